"""Certificates: every cell's holds for the independent checker, and none that was tampered with does."""

import ast
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from own_cells import OWN

from minigrad import Cell, Tensor, cell, exp, prove, sigmoid, stack, tanh
from minigrad import verify as module
from minigrad.cells import CELLS, affine
from minigrad.cli import cli
from minigrad.domains.sizes import Undecided
from minigrad.prove import equal
from minigrad.prove.certificate import FORMAT, STATEMENT, certificate
from minigrad.prove.report import Check, Proof
from minigrad.verify import verify, verify_file

EVERY = CELLS | OWN
QUICK = ["rnn", "lstm", "torch_gru", "normed_rnn", "token_rnn", "kinks", "smooth_mixture", "attention_like"]


@cell(h="n", x="d", W="d n", u="n")
def diagonal(h: Tensor, /, x: Tensor, *, W: Tensor, u: Tensor) -> Tensor:
    z = exp(-(x @ W))
    return z * (u * h) + x @ W / (3 + z)


@cell(h="n", c="n", x="d", W="d n", unused="n")
def passing(h: Tensor, c: Tensor, /, x: Tensor, *, W: Tensor, unused: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """An argument without use, a state that is handed on, and an output that is an entry of a stack."""
    return c, tanh(x @ W) * sigmoid(h), stack([h, c])[1]


def through_json(c: Cell) -> Any:
    return json.loads(json.dumps(certificate(c)))


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in EVERY])
def test_the_certificate_of_a_cell_holds(name):
    assert verify(through_json(EVERY[name])) == []


@pytest.mark.parametrize("c", [diagonal, passing, CELLS["rnn"].then(affine)], ids=lambda c: c.name)
def test_the_certificate_of_another_form_of_cell_holds(c):
    assert verify(through_json(c)) == []


def test_a_gradient_that_is_claimed_twice_as_large_is_refused_by_the_name_of_the_argument():
    data = through_json(CELLS["rnn"])
    slots = {s["name"]: k for k, s in enumerate(data["tape"]) if s["op"] == "argument"}
    for name, k in slots.items():
        changed = copy.deepcopy(data)
        claim, dims = changed["claims"][str(k)], data["tape"][k]["dims"]
        changed["tape"].append({"op": "add", "args": [claim, claim], "dims": dims, "sum": [], "name": ""})
        changed["claims"][str(k)] = [len(data["tape"]), list(range(len(dims)))]
        assert verify(changed) == [name]


# ---- tampering ---------------------------------------------------------------------------------
OTHER = {
    "add": "sub", "sub": "add", "mul": "add", "div": "mul", "pow": "mul", "tanh": "sin", "sigmoid": "tanh",
    "softplus": "exp", "exp": "tanh", "log": "sqrt", "sqrt": "log", "sin": "cos", "cos": "sin",
    "logsumexp": "exp", "where": "add", "output": "tanh", "argument": "constant", "cotangent": "constant",
    "greater": "sub", "sign": "exp", "equal": "add", "number": "argument", "constant": "cotangent",
}  # fmt: skip


def slot_changes(data: Any) -> Iterator[tuple[str, Any]]:
    """(what, certificate with one slot changed): the operation, its arguments, indices, sizes, numbers."""
    for k, slot in enumerate(data["tape"]):
        changes: list[tuple[str, dict[str, Any]]] = [("operation", {"op": OTHER[slot["op"]]})]
        args, dims, sums = slot["args"], slot["dims"], slot["sum"]
        if slot["op"] in ("sub", "div"):
            changes.append(("exchanged", {"args": args[::-1]}))
        if slot["op"] in ("add", "sub"):
            changes.append(("dropped", {"args": [args[0], args[0]]}))
        changes += [("lost", {"args": args[:-1]}), ("more", {"args": [*args, *args[:1]]})] if args else []
        for i, (a, places) in enumerate(args):
            for b in (a - 1, a + 1):
                changes.append(("argument", {"args": [*args[:i], [b, places], *args[i + 1 :]]}))
            if len(places) > 1:
                changes.append(("index", {"args": [*args[:i], [a, places[::-1]], *args[i + 1 :]]}))
            if places:
                changes.append(("stale", {"args": [*args[:i], [a, [p + 1 for p in places]], *args[i + 1 :]]}))
        changes += [("size", {"dims": ["m", *dims[1:]]}), ("transposed", {"dims": dims[::-1]})] if dims else []
        if slot["op"] != "exp":  # a multiple of exp is its own derivative too: right, of another program
            changes += [("summed", {"sum": [*sums, "n"]}), ("other sum", {"sum": ["b"] if sums == ["n"] else ["n"]})]
        changes += [("kept", {"sum": []})] if sums else []
        if slot["op"] == "argument" or (slot["op"] == "number" and slot["name"] != "0"):  # max(x, 2) is right as well
            changes.append(("name", {"name": "2" if slot["name"] != "2" else "3"}))
        for what, change in changes:
            if not all(slot[key] == new for key, new in change.items()):
                tape = [*data["tape"][:k], slot | change, *data["tape"][k + 1 :]]
                yield f"{what} of slot {k} ({slot['op']})", data | {"tape": tape}


def claim_changes(data: Any) -> Iterator[tuple[str, Any]]:
    """(what, certificate with a claim changed)."""
    claims = data["claims"]
    for k, claim in claims.items():
        others = [c for c in claims.values() if c and c != claim][:3]
        wrong = [None, *others, *([[claim[0], claim[1][::-1]]] if claim and len(claim[1]) > 1 else [])]
        for new in (*wrong, [int(k), [*range(len(data["tape"][int(k)]["dims"]))]], 7, [], [0], "x", [-1, []]):
            if new != claim:
                yield f"claim {k} = {new}", data | {"claims": claims | {k: new}}
        yield f"no claim {k}", data | {"claims": {i: c for i, c in claims.items() if i != k}}


def form_changes(data: Any) -> Iterator[tuple[str, Any]]:
    """(what, something that is not a certificate of this form)."""
    for key in data:
        if key != "minigrad":
            yield f"no {key}", {k: v for k, v in data.items() if k != key}
            for wrong in (None, 0, True, "", "x", [], {}, [[]], [None], {"0": 0}, 1e308):
                yield f"{key} = {wrong!r}", data | {key: wrong}
    for key in ("op", "args", "dims", "sum", "name"):
        for wrong in (None, 0, -1, "", [], {}, [0], [[0]], [[0, 0]], [["0", []]], [[1e9, []]], ["n"] * 99, [{}]):
            slot = next(s for s in reversed(data["tape"]) if s["args"] and s["op"] != "output")
            if slot[key] != wrong and not (key == "name" and slot["op"] not in ("number", "argument")):
                tape = [slot | {key: wrong} if s is slot else s for s in data["tape"]]
                yield f"{key} of a slot = {wrong!r}", data | {"tape": tape}
    for number in ("1e9", "1e999999999", "9" * 10**6, "1/0", "0.5", "nan", "", "1/2/3", " 1", "1000000"):
        tape = [s | {"name": number} if s["op"] == "number" else s for s in data["tape"]]
        if tape != data["tape"]:
            yield f"numbers {number[:20]}", data | {"tape": tape}
    for said in ("every size", "gradients of", "over the real numbers"):
        yield f"statement without {said!r}", data | {"statement": data["statement"].replace(said, "all")}
    for wrong in (None, 3, "x", [], [data], {"tape": data["tape"]}, data | {"format": "minigrad certificate 1"}):
        yield f"{str(wrong)[:30]} in its place", wrong


def tampered(data: Any) -> Iterator[tuple[str, Any]]:
    for changes in (slot_changes, claim_changes, form_changes):
        yield from changes(data)


def refused(data: Any) -> bool:
    """Whether the checker refuses, by a verdict or by a ValueError with words; another error passes through."""
    try:
        return bool(verify(data))
    except ValueError as e:
        return len(str(e)) > 10


def accepted(names: list[str]) -> tuple[int, list[str]]:
    """How many changes to the cells' certificates there are, and those that the checker accepts."""
    changes = [(f"{n}: {what}", data) for n in names for what, data in tampered(through_json(EVERY[n]))]
    return len(changes), [what for what, data in changes if not refused(data)]


def test_tampering_is_refused():
    count, found = accepted(["diagonal_rnn"])
    assert found == []
    assert count > 400


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rnn", "lstm", "token_rnn"])
def test_tampering_with_a_larger_cell_is_refused(name):
    count, found = accepted([name])
    assert found == []
    assert count > 400


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": "minigrad certificate 1"}, "its format is 'minigrad certificate 1'; this checker knows"),
        ({"statement": "It is right."}, "its statement is not what the tape is about: For rnn"),
        ({"tape": []}, "an output has no cotangent of its own"),
        ({"tape": None}, "not a well-formed certificate"),
        ({"claims": {}}, "not a well-formed certificate"),
    ],
)
def test_what_is_not_a_certificate_is_said_to_be_none(change, text):
    with pytest.raises(ValueError, match=text):
        verify(through_json(CELLS["rnn"]) | change)


@pytest.mark.parametrize(
    ("slot", "change", "text"),
    [
        (9, {"op": "unheard of"}, "slot 9: the operation 'unheard of' is not known here"),
        (9, {"args": []}, "slot 9: .* of 0 arguments"),
        (9, {"dims": ["n", "b"]}, r"slot 9: .* do not fit \['n', 'b'"),
        (9, {"dims": [1]}, "slot 9: the dimensions"),
    ],
)
def test_a_slot_that_is_not_well_formed_is_named(slot, change, text):
    data = through_json(CELLS["rnn"])
    data["tape"][slot] |= change
    with pytest.raises(ValueError, match=text):
        verify(data)


def test_large_exponents_are_refused():
    @cell(h="n")
    def high(h: Tensor, /) -> Tensor:
        return h**18

    with pytest.raises(ValueError, match="the exponent 17 is beyond 16"):
        verify(through_json(high))


def test_where_needs_a_comparison():
    data = through_json(OWN["diagonal_rnn"])
    (k,) = [k for k, s in enumerate(data["tape"]) if s["op"] == "where"]
    data["tape"][k]["args"][0] = data["tape"][k]["args"][1]
    with pytest.raises(ValueError, match=f"slot {k}: where without a comparison"):
        verify(data)


def test_an_output_that_the_cell_uses_is_refused():
    data = through_json(OWN["two_speeds"])
    first, last = [k for k, s in enumerate(data["tape"]) if s["op"] == "output"][::2]
    data["tape"][last]["args"] = [[first, [0, 1]]]
    with pytest.raises(ValueError, match="the cell uses an output, or the cotangent of one"):
        verify(data)


# ---- files -------------------------------------------------------------------------------------
def test_a_proof_is_saved_and_verified_the_same_bytes_each_time(tmp_path):
    proof = prove(CELLS["rnn"])
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    proof.save(first)
    proof.save(second)
    assert first.read_bytes() == second.read_bytes()
    assert verify_file(str(first)) == []
    assert json.loads(first.read_text()).keys() == {"format", "statement", "cell", "minigrad", "tape", "claims"}


def test_what_is_not_proved_or_not_of_a_step_is_not_saved(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")
    unknown = Proof("BPTT of x", "", (Check("a", "", "unknown", 0.0),))
    with pytest.raises(ValueError, match="BPTT of x: unknown; only what is proved has a certificate"):
        unknown.save(path)
    with pytest.raises(ValueError, match="no certificate; there are some for the proofs of a cell's gradient"):
        equal(CELLS["rnn"], CELLS["rnn"]).save(path)

    def cannot() -> Any:
        raise Undecided("that operation")

    with pytest.raises(ValueError, match="proved, but its step has no certificate: that operation"):
        Proof("BPTT of x", "", (Check("a", "", "proved", 0.0),), (), cannot).save(path)
    with pytest.raises(TypeError, match="not JSON serializable"):
        Proof("BPTT of x", "", (Check("a", "", "proved", 0.0),), (), lambda: {"a": set()}).save(path)
    assert [f.name for f in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("text", ["", "{", '{"a": ', "[" * 100_000, "\x00", "NaN garbage"], ids=range(6))
def test_a_file_that_is_not_json_is_said_to_be_none(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="it is not JSON"):
        verify_file(str(path))


def test_a_binary_file_is_not_json_and_a_missing_one_is_not_there(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="it is not JSON"):
        verify_file(str(path))
    with pytest.raises(FileNotFoundError, match="none"):
        verify_file(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "x.json: it is not JSON"),
        ("[]", "x.json: it is not a well-formed certificate"),
        ('{"format": "minigrad certificate 1"}', "x.json: its format is 'minigrad certificate 1'; this checker knows"),
    ],
)
def test_the_command_says_what_is_wrong_with_a_file_as_bad_input(tmp_path, text, said):
    path = tmp_path / "x.json"
    path.write_text(text)
    found = CliRunner().invoke(cli, ["verify", str(path)], standalone_mode=False)
    assert said in str(found.exception)
    assert type(found.exception).__name__ == "ClickException"  # main gives it status 2


# ---- the checker -------------------------------------------------------------------------------
def test_the_checker_has_fewer_than_150_lines_and_imports_nothing_of_the_house():
    tree = ast.parse(source := Path(module.__file__).read_text())
    texts = [n for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    documented = {line for n in texts for line in range(n.lineno, (n.end_lineno or n.lineno) + 1)}
    lines = [text.strip() for k, text in enumerate(source.splitlines(), 1) if k not in documented]
    assert len([text for text in lines if text and not text.startswith("#")]) < 150
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert {name.partition(".")[0] for name in imported} <= {
        "__future__", "collections", "functools", "itertools", "json", "operator", "re", "sympy", "typing",
    }  # fmt: skip


def test_writer_and_checker_agree_on_form_and_statement():
    assert (module.FORMAT, module.STATEMENT) == (FORMAT, STATEMENT)
