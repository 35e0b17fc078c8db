"""The command line: what it says, what it leaves, and with which exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from planted import planted, wrong_rules

from minigrad._output import whole_file, whole_folder
from minigrad.cells import CELLS, VARIANTS
from minigrad.cells.find import CellFileError, CellNotFound, find_cell
from minigrad.cli import main
from minigrad.draw.picture import LEVELS
from minigrad.draw.theme import THEMES
from minigrad.engine.core import TABLE
from minigrad.prove import Check, Proof

MINE = '''
from minigrad import cell, stop_gradient, tanh

@cell(h="n", x="d", W="d n", U="n n")
def mine(h, /, x, *, W, U):
    """A cell of my own."""
    return tanh(x @ W + h @ U)

@cell(h="n", x="d", W="d n", U="n n")
def cut(h, /, x, *, W, U):
    return tanh(x @ W + stop_gradient(h) @ U)

@cell(h="n", x="d", W="d n")
def boom(h, /, x, *, W):
    return {}["my own mistake"]

@cell(h="n", x="d", W="d n")
def misfit(h, /, x, *, W):
    return tanh(x @ W @ W)

def plain(h, /, x, *, W):
    return tanh(x @ W + h)

number = 3
'''


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return file


@pytest.fixture
def run(capsys):
    """Run the command in this process: (status, standard output, standard error)."""

    def run(*args):
        with pytest.raises(SystemExit) as exit:
            main([str(a) for a in args])
        out, err = capsys.readouterr()
        return exit.value.code, out, err

    return run


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


# ---- finding a cell ------------------------------------------------------------------------------
@pytest.mark.parametrize("name", CELLS)
def test_a_built_in_cell_is_found_by_name(name):
    assert find_cell(name) is CELLS[name]


def test_a_cell_of_a_file_is_found_and_the_folder_stays_clean(mine):
    cell = find_cell(f"{mine}:mine")
    assert (cell.name, cell.states, cell.params) == ("mine", ("h",), ("W", "U"))
    assert files(mine.parent) == ["mine.py"]


def test_a_file_may_import_its_neighbours(mine):
    (mine.parent / "other.py").write_text("from mine import mine as again\n")
    try:
        assert find_cell(f"{mine.parent / 'other.py'}:again").name == "mine"
        assert str(mine.parent) not in sys.path
    finally:
        sys.modules.pop("mine", None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lstn", "no built-in cell 'lstn'; did you mean lstm"),
        ("qqq", "no built-in cell 'qqq'; did you mean rnn or .* or torch_gru"),
        ("{dir}/nowhere.py:f", "nowhere.py: cannot be read: No such file"),
        ("{dir}:f", "cannot be read: Is a directory"),
        ("{dir}/mine.py", "which cell of this file.*mine.py:FUNCTION"),
        (
            "{dir}/mine.py:nine",
            "has no 'nine'; its cells are mine, cut, boom, misfit; did you mean .*mine.py:mine",
        ),
        ("{dir}/mine.py:number", "is a int, not a cell; decorate a function"),
        ("{dir}/empty.py:f", "has no 'f'; it defines no cell$"),
    ],
)
def test_what_is_no_cell_is_named(mine, name, message):
    (mine.parent / "empty.py").write_text("")
    with pytest.raises(CellNotFound, match=message):
        find_cell(name.format(dir=mine.parent))


def test_an_undecorated_function_is_shown_how_to_be_a_cell(mine):
    with pytest.raises(CellNotFound, match="is a plain function") as e:
        find_cell(f"{mine}:plain")
    assert '@cell(h="...", x="...", W="...")\n    def plain(h, /, x, *, W):' in str(e.value)


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("def f():\n    return 1 / 0\nf()", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: "),
        ("raise SystemExit('no')", "SystemExit: no"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
    ],
)
def test_a_file_that_raises_keeps_its_own_traceback(tmp_path, code, last):
    file = tmp_path / "bad.py"
    file.write_text(code)
    with pytest.raises(CellFileError) as e:
        find_cell(f"{file}:f")
    text = str(e.value)
    assert f"{file} raised while it was read" in text
    assert f'File "{file}", line' in text
    assert last in text.splitlines()[-1]
    assert "find.py" not in text


# ---- whole or not there --------------------------------------------------------------------------
def fail_halfway(place, name):
    with place as part:
        (part / name).write_text("half")
        raise KeyError


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    with whole_file(tmp_path / "a.svg") as part:
        part.write_text("new")
        assert part.suffix == ".svg"
        assert not (tmp_path / "a.svg").exists()
    assert (tmp_path / "a.svg").read_text() == "new"
    with pytest.raises(KeyError):
        fail_halfway(whole_file(tmp_path / "a.svg"), "")
    assert (tmp_path / "a.svg").read_text() == "new"
    assert files(tmp_path) == ["a.svg"]


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    for content in ("first", "second"):
        with whole_folder(tmp_path / "t", "mark") as part:
            (part / "mark").write_text(content)
    with pytest.raises(KeyError):
        fail_halfway(whole_folder(tmp_path / "t", "mark"), "mark")
    assert (tmp_path / "t" / "mark").read_text() == "second"
    assert files(tmp_path) == ["t", "t/mark"]


def test_a_folder_of_others_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds other files"), whole_folder(tmp_path, "mark"):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def whole_marked_folder(path):
    return whole_folder(path, "mark")


@pytest.mark.parametrize(
    ("make", "place"),
    [(whole_file, p) for p in ("no/a", ".", "f/a")]
    + [(whole_marked_folder, p) for p in ("no/a", "f", "f/a")],
)
def test_an_unwritable_place_is_named_before_the_work(tmp_path, make, place):
    (tmp_path / "f").write_text("")
    with pytest.raises(OSError, match=str(tmp_path / place)), make(tmp_path / place):
        pytest.fail("the work was begun")
    assert files(tmp_path) == ["f"]


# ---- the commands --------------------------------------------------------------------------------
def test_cells_lists_every_built_in_cell(run):
    status, out, _ = run("cells")
    assert (status, [line.split()[0] for line in out.splitlines()]) == (0, list(CELLS | VARIANTS))
    status, out, _ = run("cells", "--json")
    assert [row["name"] for row in json.loads(out)] == list(CELLS | VARIANTS)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fly", "No such command 'fly'"),
        ("prove", "Missing argument 'CELL'"),
        ("prove lstn", "'CELL': there is no built-in cell 'lstn'"),
        ("derive rnn --wings", "No such option.*--wings"),
        ("draw", "Missing argument 'CELL...'"),
        ("draw lstm --steps 0 -o a.svg", "steps=0; a picture has at least 1 time step"),
        (
            "draw lstm --steps 1000000 -o a.svg",
            "steps=1,000,000 is more than the 10,000 of which a picture is made",
        ),
        ("draw lstm --steps two -o a.svg", "'--steps': 'two' is not a valid integer"),
        ("draw rnn gru --rolled -o a.svg", "are for one run; draw these runs one by one"),
        ("draw rnn nothere -o a.svg", "there is no built-in cell 'nothere'"),
        ("draw rnn -o a.gif", "cannot save 'a.gif': its suffix says the format"),
        ("draw rnn -o a.svg --theme pink", "there is no theme 'pink'; pass one of light, dark"),
        ("draw rnn -o a.svg --level atoms", "there is no level 'atoms'; pass one of gates, ops"),
        ("draw rnn -o nowhere/a.svg", "nowhere/a.svg: cannot be written: No such file or directory"),
        ("tour --steps 0", "'--steps': 0 is not in the range 1<=x<=100000"),
        ("tour --steps 1000000", "'--steps': 1000000 is not in the range"),
        ("tour --text nowhere.txt", "'--text': File 'nowhere.txt' does not exist"),
        ("tour -o nowhere/tour", "nowhere/tour: cannot be written: No such file or directory"),
    ],
)
def test_wrong_usage_is_status_2_is_named_and_leaves_nothing(run, tmp_path, monkeypatch, command, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*command.split())
    assert (status, out) == (2, "")
    assert re.search(message, " ".join(err.split()))
    assert files(tmp_path) == []


@pytest.mark.parametrize(("rule", "verdict", "status"), [("right", "proved", 0), ("sign", "refuted", 1)])
def test_the_exit_status_of_prove_is_the_verdict(run, mine, rule, verdict, status):
    row = TABLE["tanh"]
    with planted(row, (wrong_rules(row) | {"right": row.vjp})[rule]):
        code, out, _ = run("prove", f"{mine}:mine")
        assert code == status
        assert re.match(rf".*\bmine: {verdict} in ", out)
        code, out, _ = run("prove", f"{mine}:mine", "--json")
    assert code == status
    proof = json.loads(out)
    assert proof["verdict"] == verdict
    assert (proof["counterexample"] is not None) == (verdict == "refuted")
    assert verdict in {c["verdict"] for c in proof["checks"]}


def test_a_gradient_that_is_stopped_is_a_condition(run, mine):
    code, out, _ = run("prove", f"{mine}:cut")
    assert code == 0
    assert "provided that dL/dw takes what stop_gradient holds as a constant" in " ".join(out.split())


def test_unknown_is_not_yes(run, monkeypatch):
    check = Check("step", "a claim", "unknown", 0.0)
    monkeypatch.setattr("minigrad.prove.prove", lambda cell, **_: Proof(cell.name, "a statement", (check,)))
    assert run("prove", "rnn")[0] == 3


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("boom", ["Error: boom raised:", '.py", line', "KeyError: 'my own mistake'"]),
        ("misfit", ["Error: misfit raised:", "return tanh(x @ W @ W)", "ShapeError: misfit", "matmul: "]),
    ],
)
@pytest.mark.parametrize("command", ["prove", "draw -o a.svg", "derive"])
def test_a_cell_that_raises_keeps_its_own_traceback(run, mine, monkeypatch, command, name, messages):
    monkeypatch.chdir(mine.parent)
    command, *options = command.split()
    status, out, err = run(command, f"mine.py:{name}", *options)
    assert (status, out) == (2, "")
    assert [m for m in messages if m not in err] == []
    assert files(mine.parent) == ["mine.py"]


def test_a_fault_of_ours_is_not_called_refuted(run, monkeypatch):
    monkeypatch.setattr("minigrad.prove.prove", lambda cell, **_: 1 / 0)
    status, out, err = run("prove", "rnn")
    assert (status, out) == (70, "")
    assert "ZeroDivisionError" in err
    assert "please report it" in err


def test_an_interrupted_tour_leaves_nothing(run, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        assert len(files(tmp_path)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr("minigrad.tour.stops.learn", interrupted)
    status, _, err = run("tour", "-o", tmp_path / "out")
    assert (status, err.strip()) == (130, "Interrupted; nothing was written.")
    assert files(tmp_path) == []


def test_draw_writes_one_file_and_says_so(run, mine, monkeypatch):
    monkeypatch.chdir(mine.parent)
    assert run("draw", "mine.py:mine", "--steps", "2", "-o", "a.svg") == (0, "a.svg\n", "")
    assert run("draw", "mine.py:mine", "--values", "--theme", "dark", "-o", "a.dot") == (0, "a.dot\n", "")
    assert run("draw", "rnn", "mine.py:mine", "--values", "-o", "b.dot") == (0, "b.dot\n", "")
    assert run("draw", "mine.py:mine", "--rolled", "-o", "c.dot") == (0, "c.dot\n", "")
    assert run("draw", "rnn", "gru") == (0, "rnn-gru.svg\n", "")
    assert files(mine.parent) == ["a.dot", "a.svg", "b.dot", "c.dot", "mine.py", "rnn-gru.svg"]
    assert (mine.parent / "a.svg").read_text(encoding="utf-8").startswith("<svg")
    assert (mine.parent / "a.dot").read_text(encoding="utf-8").startswith("digraph")


def test_the_help_of_draw_names_every_theme_and_level(run):
    _, text, _ = run("draw", "--help")
    assert [name for name in (*THEMES, *LEVELS) if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize(("option", "sign"), [("--latex", r"\frac"), ("--markdown", "$"), ("--text", "tanh")])
def test_derive_writes_the_formula_in_three_forms(run, option, sign):
    status, out, _ = run("derive", "rnn", option)
    assert status == 0
    assert sign in out


def test_the_command_is_also_the_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", "cells"], capture_output=True, text=True, check=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    assert done.stdout.split()[0] == "rnn"


def test_help_loads_neither_sympy_nor_graphviz():
    code = "import sys, minigrad.cli; print({'sympy', 'graphviz', 'jinja2', 'tqdm'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
