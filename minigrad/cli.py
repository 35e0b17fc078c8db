"""The command `minigrad`: tour, train, sample, prove, check, compare, spec, draw, ledger, derive, bench, cells.

Exit status: 0 yes (proved, or done), 1 refuted, 2 wrong usage or bad input, 3 unknown (neither proved
nor refuted), 70 a fault of minigrad itself, 130 interrupted. Results go to standard output, progress and
errors to standard error; an output file or folder is whole or is not there.

Only click is imported here: each command loads what it needs, so that `--help` is quick.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from .cells.cell import Cell

STATUS = {"proved": 0, "refuted": 1, "unknown": 3}
BAD_INPUT, FAULT, INTERRUPTED = 2, 70, 130
MAX_TRAINING_STEPS = 100_000


class CellType(click.ParamType):
    """A built-in cell's name, or FILE.py:FUNCTION."""

    name = "cell"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Cell:
        """The cell; fails with a usage error that says what there is instead."""
        from .cells.find import CellNotFound, find_cell

        try:
            return find_cell(value)
        except CellNotFound as e:
            self.fail(str(e), param, ctx)


cell_argument = click.argument("cell", type=CellType(), metavar="CELL")


@contextmanager
def blaming(whose: Any, *expected: type[Exception]) -> Iterator[None]:
    """Report what is wrong with the user's cell, function or file as such; let faults of ours pass.

    An exception that comes out of the user's own code keeps that code's traceback.
    """
    from .cells.find import own_traceback

    try:
        yield
    except Exception as e:
        function = getattr(whose, "fn", whose)  # a Cell is its equations
        file = function.__code__.co_filename
        through = any(f.f_code.co_filename == file for f, _ in traceback.walk_tb(e.__traceback__))
        if through and not file.startswith(str(Path(__file__).parent)):
            raise click.ClickException(f"{function.__name__} raised:\n{own_traceback(e, file)}") from e
        if isinstance(e, (ValueError, OSError, *expected)):  # what the house raises for bad input
            raise click.ClickException(str(e)) from e
        raise


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}
)
@click.version_option(package_name="minigrad", message="%(prog)s %(version)s")
def cli() -> None:
    """See a recurrent cell unrolled, and prove its gradient.

    CELL is a built-in name (`minigrad cells` lists them) or FILE.py:FUNCTION, a function with @cell.

    Exit status: 0 yes, 1 refuted, 2 wrong usage or bad input, 3 neither proved nor refuted.
    """


@cli.command("tour")
@click.option(
    "--text", "file", type=click.Path(exists=True, dir_okay=False), help="UTF-8 text to learn from."
)
@click.option("-o", "folder", type=click.Path(), default="minigrad-tour", help="Folder to leave.")
@click.option("--steps", type=click.IntRange(1, MAX_TRAINING_STEPS), default=500, help="Training steps.")
@click.pass_context
def tour_command(ctx: click.Context, file: str | None, folder: str, steps: int) -> None:
    """Train a character LSTM, prove its gradient, draw it.

    Leaves a folder with a page that shows the loss, a sample, the picture, the proof and the formula.
    Learns from the source of Python's standard library unless another text is given.
    """
    from .tour import take
    from .train import TextError

    try:
        verdict = take(file, folder, steps, say=click.echo)
    except (TextError, OSError) as e:
        raise click.ClickException(str(e)) from e
    ctx.exit(STATUS[verdict])


@cli.command("train")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--cell", type=CellType(), default="lstm", help="A built-in cell, or FILE.py:FUNCTION.")
@click.option("--hidden", type=click.IntRange(1), default=256, help="Hidden size.")
@click.option("--layers", type=click.IntRange(1), default=2, help="Layers, one above the other.")
@click.option("--batch", type=click.IntRange(1), default=32, help="Rows of the text that are read side by side.")
@click.option("--length", type=click.IntRange(1), default=64, help="Characters that the gradient goes back.")
@click.option("--steps", type=click.IntRange(1), help="Steps to take, those before --resume included.  [default: 1000]")
@click.option("--epochs", type=click.FloatRange(0, min_open=True), help="The same, in passes over the text.")
@click.option("--lr", type=click.FloatRange(0, min_open=True), default=4e-3, help="Adam's learning rate.")
@click.option("--clip", type=click.FloatRange(0, min_open=True), default=1.0, help="Largest norm of the gradient.")
@click.option("--seed", type=click.IntRange(0), default=0, help="The same numbers again, to the bit.")
@click.option("-o", "--out", metavar="CHECKPOINT", help="File to leave.  [default: FILE's name.safetensors]")
@click.option("--every", type=click.IntRange(1), default=100, help="Steps between two checkpoints.")
@click.option("--resume", metavar="CHECKPOINT", type=click.Path(exists=True, dir_okay=False), help="Go on from there.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_context
def train_command(ctx: click.Context, file: str, cell: Cell, as_json: bool, **options: Any) -> None:
    """Train a character model on FILE, any UTF-8 text.

    A bar shows the loss in bits per character, the characters per second and the time left. Ctrl-C saves, and
    says how to go on; what goes on is equal, to the bit, to what was never stopped.
    """
    from .train.command import asked_for, train

    options["cell"] = cell
    given = {k for k in options if ctx.get_parameter_source(k) is not click.core.ParameterSource.DEFAULT}
    if {"steps", "epochs"} <= given:
        raise click.UsageError("--steps and --epochs say the same thing: pass one of them")
    with blaming(cell, FloatingPointError):
        training, job = asked_for(file, options, given)
        found = train(training, job, say=lambda text: click.echo(text, err=as_json))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    ctx.exit(INTERRUPTED if found["interrupted"] else 0)


@cli.command("sample")
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False))
@click.option("--length", type=click.IntRange(0), default=500, help="Characters to write.")
@click.option("--temperature", type=click.FloatRange(0, min_open=True), default=0.8, help="Below 1: likelier ones.")
@click.option("--seed", type=click.IntRange(0), default=0, help="The same text again.")
@click.option("--prompt", default="", help="What it begins with.")
@click.option("--cell", type=CellType(), help="The cell that was trained, if it is not built in: FILE.py:FUNCTION.")
def sample_command(
    checkpoint: str, length: int, temperature: float, seed: int, prompt: str, cell: Cell | None
) -> None:
    """Let a model write that `minigrad train` has left in CHECKPOINT."""
    from .train.checkpoint import load

    with blaming(cell or load):
        click.echo(load(checkpoint, cell).model.sample(length, prompt, seed, temperature))


@cli.command("prove")
@cell_argument
@click.option("--json", "as_json", is_flag=True, help="Print the proof as JSON.")
@click.option("--witness", is_flag=True, help="Compare with sympy.diff too, over a few steps: slower.")
@click.option("--steps", type=click.IntRange(1), default=4, help="T of the run that is audited and sampled.")
@click.option("--fast", is_flag=True, help="Judge the emitted code of the fast path too.")
@click.option("--certificate", metavar="FILE", help="Leave a certificate of the step, for `verify`.")
@click.pass_context
def prove_command(
    ctx: click.Context,
    cell: Cell,
    as_json: bool,
    witness: bool,
    steps: int,
    fast: bool,
    certificate: str | None,
) -> None:
    """Prove that the BPTT gradient of CELL is right."""
    from ._progress import bar
    from .prove import prove

    with blaming(cell), bar(cell.name) as progress:
        proof = prove(cell, witness=witness, steps=steps, fast=fast, progress=progress)
        if certificate and proof:
            proof.save(certificate)
    click.echo(json.dumps(proof.to_dict(), indent=2) if as_json else str(proof))
    if certificate and not proof:
        click.echo(f"{certificate} is not written: only what is proved has a certificate", err=True)
    ctx.exit(STATUS[proof.verdict])


@cli.command("check")
@cell_argument
@click.argument("backward", metavar="FILE.py:FUNCTION")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict and all findings as JSON.")
@click.pass_context
def check_command(ctx: click.Context, cell: Cell, backward: str, as_json: bool) -> None:
    """Judge a hand-written backward of CELL, in numpy.

    FUNCTION asks by name for what it needs (h, x, dh, ... for one step; xs, h0, dhs, ... for a sequence) and
    returns a dict of gradients by argument.
    """
    from ._progress import bar
    from .cells.find import CellNotFound, find_function
    from .prove import check_backward

    try:
        function = find_function(backward)
    except CellNotFound as e:
        raise click.UsageError(str(e)) from e
    with blaming(cell, TypeError, NotImplementedError), blaming(function), bar(backward) as progress:
        found = check_backward(cell, function, progress=progress)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))
    ctx.exit(STATUS[found.verdict])


@cli.command("compare")
@click.argument("a", type=CellType(), metavar="CELL")
@click.argument("b", type=CellType(), metavar="CELL")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the verdict, the map and the difference as JSON."
)
@click.pass_context
def compare_command(ctx: click.Context, a: Cell, b: Cell, as_json: bool) -> None:
    """Prove two cells equal, under a map of weights if need be, or show where they differ."""
    from .prove import compare

    with blaming(a), blaming(b):
        found = compare(a, b)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))
    ctx.exit(0 if found else STATUS["unknown"] if found.verdict == "unknown" else STATUS["refuted"])


@cli.command("spec")
@cell_argument
@click.argument("file", type=click.File(encoding="utf-8"), metavar="FILE")
@click.pass_context
def spec_command(ctx: click.Context, cell: Cell, file: TextIO) -> None:
    """Check the code of CELL against its equations.

    FILE holds them as LaTeX, or as a line of plain text for each; - reads standard input. The weights may go
    by other names, and may be transposed, negated or joined: the map is printed.
    """
    from .prove import check_specification

    with blaming(cell):
        found = check_specification(cell, file.read())
    click.echo(str(found))
    ctx.exit(STATUS[found.verdict])


@cli.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.pass_context
def verify_command(ctx: click.Context, file: str) -> None:
    """Check a certificate with a small checker that shares no code with the prover."""
    from .verify import verify_file

    try:
        wrong = verify_file(file)
    except (ValueError, OSError) as e:
        raise click.ClickException(f"{file}: {e}") from e
    click.echo(f"wrong: {', '.join(wrong)}" if wrong else "the certificate holds")
    ctx.exit(STATUS["refuted" if wrong else "proved"])


@cli.command("draw")
@click.argument("cells", type=CellType(), metavar="CELL...", nargs=-1, required=True)
@click.option("--steps", type=int, default=4, help="Time steps T.")
@click.option("-o", "output", metavar="FILE", help="FILE.svg, .html, .dot, .png or .pdf  [default: CELL.svg]")
@click.option("--values", is_flag=True, help="Show values, and the gradient that flows back.")
@click.option("--shapes/--no-shapes", default=True, help="Write the shapes of arrays.  [default: yes]")
@click.option("--truncate", type=int, metavar="K", help="Cut the gradient every K steps, and show what is lost.")
@click.option("--lens", type=int, metavar="STEP", help="Of a long sequence, show this step too.")
@click.option("--every", is_flag=True, help="Show every step; of more than 40, four are shown.")
@click.option("--wrap", type=float, metavar="POINTS", help="In rows of this width.")
@click.option("--rolled", is_flag=True, help="One step that stands for all, its states led back.")
@click.option("--level", default="gates", help="gates, ops for every operation, steps or symbols.")
@click.option("--theme", default="light", help="light, dark, auto, paper or slide.")
def draw_command(cells: Sequence[Cell], steps: int, output: str | None, every: bool, **options: Any) -> None:
    """Draw CELL unrolled over time, with numbers drawn at random.

    Several cells are drawn one below the other, on one gradient scale. A browser opens .svg and .html; .png and
    .pdf need Graphviz. Prints the name of the file.
    """
    from .draw import RenderError, draw

    path = output or f"{'-'.join(cell.name for cell in cells)}.svg"
    with ExitStack() as stack:
        for cell in cells:
            stack.enter_context(blaming(cell, RenderError))
        draw(cells, steps, elide=False if every else None, **options).save(path)
    click.echo(path)


@cli.command("ledger")
@cell_argument
@click.option("--of", metavar="STATE", help="The state that is differentiated. [default: the first]")
@click.option(
    "--wrt", metavar="NAME", help="A parameter, or a state for its initial value. [default: the first]"
)
@click.option("--steps", type=click.IntRange(1), default=4, help="Time steps T.")
@click.option("--sort", type=click.Choice(["time", "size"]), default="time", help="Order of the rows.")
@click.option("-o", "output", help="Leave a picture too: FILE.svg, .html, .dot, .png or .pdf", metavar="FILE")
@click.option("--theme", default="light", help="Of the picture.")
def ledger_command(
    cell: Cell, of: str | None, wrt: str | None, steps: int, sort: str, output: str | None, theme: str
) -> None:
    """Show a gradient of CELL through time, term by term, with numbers drawn at random.

    One row for each step that the gradient comes from: the product of its factors, its share, and the sum, which
    is compared with the engine's gradient.
    """
    from .draw import RenderError
    from .ledger import ledger

    with blaming(cell, RenderError):
        book = ledger(cell, of, wrt, steps=steps).sorted(sort)
        if output:
            book.save(output, theme)
    click.echo(str(book))
    if output:
        click.echo(output)


@cli.command("derive")
@cell_argument
@click.option("--latex", "form", flag_value="latex", help="As LaTeX.")
@click.option("--markdown", "form", flag_value="markdown", help="As Markdown with formulas.")
@click.option("--text", "form", flag_value="text", default=True, help="As plain text (the default).")
def derive_command(cell: Cell, form: str) -> None:
    """Derive the BPTT formula of CELL, step by step."""
    from .prove import derive

    with blaming(cell):
        derivation = derive(cell)
        click.echo(getattr(derivation, form)())


@cli.command("bench")
@click.argument("tables", nargs=-1, type=click.Choice(["training", "inference", "compile", "length", "profile"]))
@click.option("--cells", default="all", help="rnn, lstm, gru as torch.nn has them, and other built-in cells.")
@click.option("--peers", default="all", help="Next to whom, with commas.")
@click.option("--grid", default="0,1,2,3,4,5,6", help="Which sizes, by number.")
@click.option("--rounds", type=click.IntRange(1), default=2, help="How many processes of each peer, in turn.")
@click.option("--seconds", type=float, default=0.1, help="How long each is timed at least; three steps at least.")
@click.option("--limit", type=float, default=60.0, help="Seconds after which a slow compiler or peer is stopped.")
@click.option("--threads", type=click.Choice(["one", "all"]), default="one", help="One pinned, or all cores.")
@click.option("--python", "pythons", multiple=True, metavar="PEER=PATH", help="Run a peer in another environment.")
@click.option("--page", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Put the tables there too.")
def bench_command(tables: tuple[str, ...], page: Path | None, **options: Any) -> None:
    """Time minigrad next to others, and hold it to its bars: all five TABLES, or some of them.

    training and inference: a step of eight cells, as ratios with their spread. compile: the first call of a
    cell over 1024 steps. length: how cost grows with T. profile: where the time goes. One process per
    peer; peers that are not installed are named and skipped. All of it takes about 15 minutes, the
    sizes 0,1,2 of training about two.
    Sizes 0 to 6 are (T, batch, input, hidden) = (35,1,16,32), (35,32,32,32), (35,32,64,128),
    (100,32,128,256), (64,64,256,512), (35,20,650,650), (1000,8,64,128).
    """
    from .bench.report import TABLES, asked, report

    try:
        report(tables or tuple(TABLES), asked(**options), page, lambda why: click.echo(why, err=True), click.echo)
    except ValueError as e:
        raise click.ClickException(str(e)) from e


@cli.command("cells")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def cells_command(as_json: bool) -> None:
    """List the built-in cells, and after them published variants."""
    from .cells import CELLS, VARIANTS

    rows = [
        {
            "name": c.name,
            "states": list(c.states),
            "inputs": list(c.inputs),
            "parameters": {p: c.shape_text(p) for p in c.params},
            "about": c.doc.splitlines()[0] if c.doc else "",
        }
        for c in (CELLS | VARIANTS).values()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(len(str(r["name"])) for r in rows)
    for r in rows:
        click.echo(f"{r['name']:<{width}}  {r['about']}")


def main(args: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status (see the module's text)."""
    sys.exit(_status(args))


def _status(args: Sequence[str] | None) -> int:
    """What click's standalone mode does, except that 1 is kept for "refuted"."""
    try:
        return cli.main(args, prog_name="minigrad", standalone_mode=False) or 0
    except click.ClickException as e:
        e.show()
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt) as e:
        click.echo(str(e.__cause__ or "") or "Interrupted; nothing was written.", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # `minigrad cells | head -1` closes our output: not an error
        sys.stdout = None
        return 0
    except Exception:
        traceback.print_exc()
        click.echo("This is a fault of minigrad, not of your input: please report it.", err=True)
        return FAULT
