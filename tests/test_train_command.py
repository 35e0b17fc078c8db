"""`minigrad train` and `sample`: what they leave, that what goes on is equal to the bit, and what is refused."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import minigrad as mg
from minigrad.cli import main, train_command
from minigrad.train import Settings, Training
from minigrad.train.checkpoint import CheckpointError, load, save
from minigrad.train.command import STEPS

ROOT = Path(__file__).parent.parent
TEXT = "".join(f"for i in range({k}):\n    total += i * {k % 7}\n" for k in range(60))
SMALL = ("--hidden", "12", "--batch", "4", "--length", "8")
OWN = """
from minigrad import cell, tanh

@cell(h="k", x="e", W="e k", U="k k")
def mine(h, /, x, *, W, U):
    return tanh(x @ W + h @ U)

@cell(h="k", x="e", W="e k")
def boom(h, /, x, *, W):
    return {}["my own mistake"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(capsys, folder):
    """Run the command in this process: (status, standard output, standard error without the bar)."""

    def run(*args):
        with pytest.raises(SystemExit) as exit:
            main([str(a) for a in args])
        out, err = capsys.readouterr()
        return exit.value.code, out, "\n".join(line.split("\r")[-1] for line in err.splitlines())

    return run


def made(folder):
    return {p.name for p in folder.iterdir()} - {"a.txt", "mine.py"}


# ---- what is left --------------------------------------------------------------------------------
def test_training_leaves_a_checkpoint_and_a_picture_and_says_so(run, folder):
    status, out, err = run("train", "a.txt", *SMALL, "--steps", "8")
    assert status == 0
    assert re.search(r"training: 100%.*256/256 \[.*characters/s, step 8, \d\.\d\d bits per character\]", err)
    assert made(folder) == {"a.safetensors", "a.svg"}
    assert f"{len(set(TEXT))} different; lstm, 2 layer(s) of 12" in out
    assert "step 8: " in out
    assert out.endswith("minigrad sample a.safetensors\n")
    root = ET.parse(folder / "a.svg").getroot()
    assert {len(line.get("points").split()) for line in root.iter() if line.tag.endswith("polyline")} == {8}


def test_the_summary_is_json_and_nothing_else(run):
    status, out, _ = run("train", "a.txt", *SMALL, "--steps", "8", "--json", "--out", "x.safetensors")
    found = json.loads(out)
    assert status == 0
    assert (found["checkpoint"], found["curve"]) == ("x.safetensors", "x.svg")
    assert (found["steps"], found["interrupted"]) == (8, False)
    losses = load_file("x.safetensors")["losses"]
    assert found["bits_per_character"] == {
        "first": losses[0], "last": pytest.approx(losses.mean()), "guessing": np.log2(len(set(TEXT))),
    }  # fmt: skip
    assert found["characters_per_second"] * found["seconds"] == pytest.approx(8 * 4 * 8)


def test_passes_over_the_text_are_steps(run):
    _, out, _ = run("train", "a.txt", *SMALL, "--epochs", "1.5", "--json")
    chunks = (len(TEXT) - 1) // 4 // 8
    assert json.loads(out)["steps"] == -(-3 * chunks // 2)


def test_the_options_defaults_are_those_of_the_library(folder):
    options = {p.name: p.default for p in train_command.params}
    assert {k: options[k] for k in vars(Settings())} == vars(Settings())
    assert f"default: {STEPS}" in next(p.help for p in train_command.params if p.name == "steps")
    assert options["cell"] == inspect.signature(Training).parameters["cell"].default.name


def test_a_model_writes_repeatably_and_begins_with_its_prompt(run):
    run("train", "a.txt", *SMALL, "--steps", "8")
    sample = ("sample", "a.safetensors", "--length", "30", "--prompt", "for i")
    a, b, c = (run(*sample, "--seed", seed) for seed in (1, 1, 2))
    assert a == b != c
    assert a[0] == 0
    assert a[1].startswith("for i")
    assert len(a[1]) == 36  # with the line break
    assert a[1][:-1] == load("a.safetensors").model.sample(30, "for i", 1, 0.8)


# ---- going on ------------------------------------------------------------------------------------
@pytest.mark.parametrize("cell", ["lstm", "gru", "mine.py:mine"])
def test_what_is_resumed_is_what_was_never_stopped(run, folder, cell):
    """60 steps, and 30 and 30, in files that are equal byte by byte; the text is read more than once."""
    options = (*SMALL, "--cell", cell, "--every", "7")
    run("train", "a.txt", *options, "--steps", "60", "-o", "whole.safetensors")
    run("train", "a.txt", *options, "--steps", "30", "-o", "part.safetensors")
    half = (folder / "part.safetensors").read_bytes()
    status, _, _ = run("train", "a.txt", "--cell", cell, "--resume", "part.safetensors", "--steps", "60")
    assert status == 0
    whole, part = ((folder / f"{name}.safetensors").read_bytes() for name in ("whole", "part"))
    assert whole == part != half
    assert len(load_file("whole.safetensors")["losses"]) == 60


def test_a_resumed_training_may_change_its_rate_and_its_file(run, folder):
    run("train", "a.txt", *SMALL, "--steps", "4")
    before = (folder / "a.safetensors").read_bytes()
    run("train", "a.txt", "--resume", "a.safetensors", "--steps", "6", "--lr", "1e-5", "-o", "b.safetensors")
    assert (folder / "a.safetensors").read_bytes() == before
    assert load("b.safetensors").settings == Settings(12, 2, 4, 8, lr=1e-5)


@pytest.mark.slow
def test_the_default_model_goes_on_to_the_bit_in_another_process(folder):
    """Hidden size 256, two layers, as `minigrad train` trains it: 8 steps, and 4 and 4."""
    (folder / "a.txt").write_text(TEXT * 4, encoding="utf-8")
    for *more, steps in (("-o", "whole", "8"), ("-o", "part", "4"), ("--resume", "part", "8")):
        command = [sys.executable, "-m", "minigrad", "train", "a.txt", *more, "--steps", steps]
        subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=100)
    assert (folder / "whole").read_bytes() == (folder / "part").read_bytes()


def interrupted_at(monkeypatch, step):
    """Ctrl-C, while a step runs."""
    real = Training.step

    def stepped(self):
        if self.steps == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self)

    monkeypatch.setattr(Training, "step", stepped)


def test_ctrl_c_saves_and_says_how_to_go_on(run, folder, monkeypatch):
    with monkeypatch.context() as m:
        interrupted_at(m, 5)
        status, out, _ = run("train", "a.txt", *SMALL, "--cell", "mine.py:mine", "--steps", "9")
    assert status == 130
    assert made(folder) == {"a.safetensors", "a.svg"}
    assert "Stopped before step 9. Go on with:" in out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    words = shlex.split(out.splitlines()[-1])
    assert words[:3] == ["minigrad", "train", "a.txt"]
    assert run(*words[1:])[0] == 0
    run("train", "a.txt", *SMALL, "--cell", "mine.py:mine", "--steps", "9", "-o", "whole.safetensors")
    assert (folder / "a.safetensors").read_bytes() == (folder / "whole.safetensors").read_bytes()


def test_ctrl_c_twice_ends_at_once_and_keeps_the_last_checkpoint(run, folder, monkeypatch):
    run("train", "a.txt", *SMALL, "--steps", "4")
    before = (folder / "a.safetensors").read_bytes()

    def stepped(self):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Training, "step", stepped)
    status, _, err = run("train", "a.txt", "--resume", "a.safetensors", "--steps", "9")
    assert status == 130
    assert "Interrupted at once. a.safetensors holds step 4." in err
    assert (folder / "a.safetensors").read_bytes() == before


def test_a_checkpoint_is_whole_or_as_it_was(folder, monkeypatch):
    training = Training(TEXT, Settings(4, 1, 2, 8))
    save(training, "x")
    before = Path("x").read_bytes()
    training.step()
    monkeypatch.setattr("minigrad.train.checkpoint.os.fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(training, "x")
    assert Path("x").read_bytes() == before
    assert made(folder) == {"x"}


# ---- bad input -----------------------------------------------------------------------------------
TEXTS = {
    "empty": (b"", "the text is empty: there is nothing to learn from"),
    "short": (b"abc" * 10, r"bad: the text has 30 characters; 4 rows of 8 characters need 33. Pass a longer text"),
    "latin": (b"caf\xe9" * 99, r"bad: not UTF-8 text \(byte 0xe9\); save it as UTF-8"),
    "zero": (b"ab\0" * 99, "bad: not text: character 2 is a zero; pass a text file"),
}


def refused(run, message, *args):
    """The command fails with this message, status 2 and no traceback, and leaves no new file."""
    before = {p: p.read_bytes() for p in Path().iterdir() if p.is_file()}
    status, out, err = run(*args)
    assert (status, out) == (2, "")
    with pytest.raises(ValueError, match=message):
        raise ValueError(err)
    assert "Traceback" not in err
    assert {p: p.read_bytes() for p in Path().iterdir() if p.is_file()} == before


@pytest.mark.parametrize("case", TEXTS)
def test_a_text_that_cannot_be_learned_from_is_named(run, folder, case):
    content, message = TEXTS[case]
    (folder / "bad").write_bytes(content)
    refused(run, message, "train", "bad", *SMALL)


OPTIONS = {
    "no file": ("'nothing.txt' does not exist", "train", "nothing.txt"),
    "a folder": ("'.' is a directory", "train", "."),
    "hidden": ("'--hidden': 0 is not in the range x>=1", "train", "a.txt", "--hidden", "0"),
    "rate": ("'--lr': 0.0 is not in the range x>0", "train", "a.txt", "--lr", "0"),
    "steps": ("'--steps': 'many' is not a valid integer", "train", "a.txt", "--steps", "many"),
    "both": ("--steps and --epochs say the same thing: pass one", "train", "a.txt", "--steps", "3", "--epochs", "1"),
    "cell": ("no built-in cell 'lstn'; did you mean lstm", "train", "a.txt", "--cell", "lstn"),
    "out is a folder": (r"\.: is there already; .* name another file", "train", "a.txt", *SMALL, "-o", "."),
    "out is nowhere": ("no/x: cannot be written: No such file", "train", "a.txt", *SMALL, "-o", "no/x"),
    "out is there": ("mine.py: is there already; go on with it by --resume mine.py, or name another file",
                     "train", "a.txt", *SMALL, "-o", "mine.py"),
    "prompt": (r"unknown characters \['£'\]", "sample", "ok", "--prompt", "£"),
    "temperature": ("'--temperature': 0.0 is not in the range x>0", "sample", "ok", "--temperature", "0"),
}  # fmt: skip
RESUMED = {
    "size": ("ok: was trained with hidden 12, not 13, seed 0, not 1; only lr and clip may change",
             "train", "a.txt", "--resume", "ok", "--hidden", "13", "--seed", "1", "--layers", "2"),
    "done": ("ok: 3 steps are taken already; pass --steps above that, not 3",
             "train", "a.txt", "--resume", "ok", "--steps", "3"),
    "text": ("ok: was trained on another text.*; pass that text", "train", "mine.py", "--resume", "ok"),
    "a longer text": ("ok: was trained on another text; pass that text", "train", "b.txt", "--resume", "ok"),
    "another cell": (r"ok: was trained with the cell lstm .* is not gru\(",
                     "train", "a.txt", "--resume", "ok", "--cell", "gru"),
    "own cell": ("own: was trained with a cell of your own, mine; pass --cell FILE.py:mine", "sample", "own"),
    "own cell, other": (r"own: was trained with the cell mine .* is not boom\(",
                        "sample", "own", "--cell", "mine.py:boom"),
    "no safetensors": ("a.txt: not a checkpoint, or cut off .*; pass a file that `minigrad train`", "sample", "a.txt"),
    "cut": ("cut: not a checkpoint, or cut off", "train", "a.txt", "--resume", "cut"),
    "empty": ("empty: not a checkpoint, or cut off", "sample", "empty"),
    "not ours": ("other: holds arrays, but is no checkpoint of minigrad", "sample", "other"),
    "form": ("form: a checkpoint of another version of minigrad", "sample", "form"),
    "shape": (r"shape: W_hq is of \(2, 2\), lstm of 12 needs \(12, 28\) floats", "sample", "shape"),
    "no shape": ("lost: W_hq is of no shape, lstm of 12 needs", "sample", "lost"),
    "whole numbers": (r"whole: W_hq is of \(12, 28\), lstm of 12 needs \(12, 28\) floats", "sample", "whole"),
    "facts": (r"facts: the checkpoint is spoilt \(KeyError: 'settings'\); use an earlier one", "sample", "facts"),
    "state": (r"state: the checkpoint is spoilt \(KeyError: 'losses'\)", "train", "a.txt", "--resume", "state"),
    "moment": (r"moment: the checkpoint is spoilt \(ValueError: adam.v.b_q is of \(2,\), not \(28,\) floats\)",
               "train", "a.txt", "--resume", "moment"),
    "carried": (r"carried: the checkpoint is spoilt \(ValueError: state.C_l1 is of \(4, 3\), not \(4, 12\)",
                "train", "a.txt", "--resume", "carried"),
    "place": (r"place: the checkpoint is spoilt \(ValueError: chunk 999 at 0 is not a place",
              "train", "a.txt", "--resume", "place"),
}  # fmt: skip


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """A good checkpoint, one of an own cell, and files that are none, each wrong in one thing."""
    place = tmp_path_factory.mktemp("spoilt")
    (place / "mine.py").write_text(OWN)
    (place / "b.txt").write_text(TEXT + "a")
    from minigrad.cells.find import find_cell

    for name, more in (("ok", {}), ("own", {"cell": find_cell(f"{place / 'mine.py'}:mine")})):
        training = Training(TEXT, Settings(12, 2, 4, 8), **more)
        for _ in range(3):
            training.step()
        save(training, place / name)
    whole = (place / "ok").read_bytes()
    (place / "cut").write_bytes(whole[: len(whole) // 2])
    (place / "empty").write_bytes(b"")
    save_file({"x": np.zeros(2)}, place / "other", {"framework": "another"})
    arrays = load_file(place / "ok")
    facts = load(place / "ok").facts

    def changed(name, arrays, facts):
        save_file(arrays, place / name, {"minigrad": json.dumps(facts)})

    changed("form", arrays, facts | {"form": 99})
    changed("shape", arrays | {"W_hq": np.zeros((2, 2), "float32")}, facts)
    changed("whole", arrays | {"W_hq": arrays["W_hq"].astype("int32")}, facts)
    changed("lost", {k: v for k, v in arrays.items() if k != "W_hq"}, facts)
    changed("facts", arrays, {k: v for k, v in facts.items() if k != "settings"})
    changed("state", {k: v for k, v in arrays.items() if k != "losses"}, facts)
    changed("moment", arrays | {"adam.v.b_q": np.zeros(2, "float32")}, facts)
    changed("carried", arrays | {"state.C_l1": np.zeros((4, 3), "float32")}, facts)
    changed("place", arrays, facts | {"reader": facts["reader"] | {"chunk": 999, "offset": 0}})
    return {p.name: p.read_bytes() for p in place.iterdir() if p.is_file()}


@pytest.mark.parametrize("case", [*OPTIONS, *RESUMED])
def test_what_is_refused_is_named_and_nothing_is_left(run, folder, spoilt, case):
    for name, content in spoilt.items():
        (folder / name).write_bytes(content)
    refused(run, *(OPTIONS | RESUMED)[case])


def test_a_place_that_cannot_be_written_to_is_named_before_any_training(run, folder, monkeypatch):
    (folder / "closed").mkdir()
    (folder / "x.svg").mkdir()  # where the picture would be
    monkeypatch.setattr(Training, "step", lambda self: 1 / 0)
    refused(run, r"x\.svg: is a folder; name a file in it", "train", "a.txt", *SMALL, "-o", "x")


def test_the_users_own_mistake_keeps_its_traceback(run):
    status, _, err = run("train", "a.txt", *SMALL, "--cell", "mine.py:boom")
    assert status == 2
    assert "boom raised:" in err
    assert "my own mistake" in err
    assert "minigrad/train" not in err


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(run, folder, monkeypatch):
    real = Training.step

    def stepped(self):
        if self.steps == 5:
            model = self.model
            model.params = model.params | {"b_q": mg.tensor(model.params["b_q"].numpy() * np.nan)}
        return real(self)

    monkeypatch.setattr(Training, "step", stepped)
    for every, kept in ((2, "a.safetensors holds step 4"), (9, "Nothing was saved")):
        status, _, err = run("train", "a.txt", *SMALL, "--steps", "9", "--every", every)
        assert status == 2
        assert f"the loss is nan at step 6; train again with a rate (lr) below 0.004. {kept}." in err
        if every == 2:
            assert load("a.safetensors").resume(TEXT).steps == 4
            Path("a.safetensors").unlink()
    assert made(folder) == set()


def test_parameters_that_are_no_numbers_are_not_saved(run, folder):
    status, _, err = run("train", "a.txt", *SMALL, "--lr", "1e39", "--every", "1")
    assert status == 2
    assert "is not finite after step 1; train again with a rate (lr) below 1e+39. Nothing was saved." in err
    assert made(folder) == set()


def test_a_checkpoint_of_a_changed_cell_is_refused(folder):
    @mg.cell(h="k", x="e", W="e k", U="k k")
    def mine(h, /, x, *, W, U):
        return mg.tanh(x @ W + h @ U)

    @mg.cell(h="k", x="e", W="e k", U="k k", b="k")
    def other(h, /, x, *, W, U, b):
        return mg.tanh(x @ W + h @ U + b)

    save(Training(TEXT, Settings(4, 1, 2, 8), mine), "x")
    assert load("x", mine).model.core is mine
    with pytest.raises(CheckpointError, match="x: was trained with the cell mine of 4 arguments, which is not other"):
        load("x", other)
