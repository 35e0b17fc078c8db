"""A training as one file, and back: after it, the same steps give the same bits.

The form is safetensors: arrays by name, and one line of JSON. It runs no code when it is read.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from .._output import whole_file
from ..cells import CELLS, VARIANTS
from ..cells.cell import Cell
from ..engine.core import tensor
from .model import CharModel
from .text import fingerprint
from .training import Settings, Training

KEY = "minigrad"  # of the metadata; one key, since the order of several is not kept
FORM = 1
Path = str | os.PathLike[str]


class CheckpointError(ValueError):
    """A file that cannot be gone on from; the message names it, says why and what to do."""


def save(training: Training, path: Path) -> None:
    """Write the training to a file, which is whole or as it was before.

    Raises OSError, naming the file; FloatingPointError if a parameter is no finite number.
    """
    model = training.model
    for name, p in model.params.items():
        if not np.isfinite(p.numpy()).all():
            raise FloatingPointError(
                f"{name} is not finite after step {training.steps}; train again with a rate (lr) below "
                f"{training.settings.lr:g}"
            )
    arrays = {name: p.numpy() for name, p in model.params.items()}
    for name, (t, m, v) in training.adam.state.items():
        arrays |= {f"adam.t.{name}": np.asarray(t), f"adam.m.{name}": m, f"adam.v.{name}": v}
    for k, layer in enumerate(training.state):
        arrays |= {f"state.{s}_l{k}": v.numpy() for s, v in zip(model.core.states, layer, strict=True)}
    arrays["losses"] = np.array(training.losses, "float64")
    facts = {
        "form": FORM,
        "cell": model.core.name,
        "built_in": built_in(model.core.name) is model.core,
        "shapes": {a: model.core.shape_text(a) for a in model.core.sizes},
        "settings": dataclasses.asdict(training.settings),
        "vocabulary": model.vocabulary,
        "text": training.fingerprint,
        "reader": training.reader.state,
    }
    whole = to_bytes(
        {name: np.array(a, order="C") for name, a in arrays.items()}, {KEY: json.dumps(facts, sort_keys=True)}
    )
    with whole_file(path) as part, open(part, "wb") as f:
        f.write(whole)
        f.flush()
        os.fsync(f.fileno())  # renamed only when it is on the disk


def built_in(name: str) -> Cell | None:
    """minigrad's own cell of that name, if there is one."""
    return (CELLS | VARIANTS).get(name)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a file holds: facts about the training, its arrays by name, and the model."""

    path: str
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]
    settings: Settings
    model: CharModel

    def resume(self, text: str, **changed: Any) -> Training:
        """The training as it was when it was saved, on the same text; lr and clip may be `changed`.

        Raises CheckpointError for another text, or if another setting would change.
        """
        if wrong := [k for k, v in changed.items() if k not in ("lr", "clip") and v != getattr(self.settings, k)]:
            said = ", ".join(f"{k} {getattr(self.settings, k)}, not {changed[k]}" for k in wrong)
            raise CheckpointError(
                f"{self.path}: was trained with {said}; only lr and clip may change: leave the others out"
            )
        if fingerprint(text) != self.facts.get("text"):
            raise CheckpointError(
                f"{self.path}: was trained on another text; pass that text, or train anew without --resume"
            )
        training = Training(text, dataclasses.replace(self.settings, **changed), model=self.model)
        self._fill(training)
        return training

    def _fill(self, training: Training) -> None:
        """Give a new training what the file holds. Raises CheckpointError if something is missing or does not fit."""
        a, shapes = self.arrays, self.model.shapes()

        def fitting(name: str, shape: tuple[int, ...]) -> np.ndarray:
            if a[name].shape != shape or a[name].dtype.kind != "f":
                raise ValueError(f"{name} is of {a[name].shape}, not {shape} floats")
            return a[name]

        try:
            training.losses = fitting("losses", a["losses"].shape[:1]).tolist()
            training.reader.state = self.facts["reader"]
            training.state = tuple(
                tuple(tensor(fitting(f"state.{v.name}_l{k}", v.shape)) for v in layer)
                for k, layer in enumerate(training.state)
            )
            training.adam.state = {
                n: (int(a[f"adam.t.{n}"]), fitting(f"adam.m.{n}", shape), fitting(f"adam.v.{n}", shape))
                for n, shape in shapes.items() if f"adam.t.{n}" in a
            }  # fmt: skip
        except (KeyError, TypeError, ValueError) as e:
            raise _spoilt(self.path, e) from None


def load(path: Path, cell: Cell | None = None) -> Checkpoint:
    """The checkpoint in a file. cell: the one that was trained, if it is not one of minigrad's.

    Raises CheckpointError if the file is cut off, is not a checkpoint, or is one of another cell; OSError
    if it cannot be read.
    """
    facts, arrays = _read(str(path))
    try:
        settings = Settings(**facts["settings"])
        core = _cell(str(path), facts, cell)
        n, layers = settings.hidden, settings.layers
        model = CharModel(str(facts["vocabulary"]), core, n, layers, {})
        shapes = model.shapes()
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError) as e:
        raise _spoilt(str(path), e) from None
    for name, shape in shapes.items():
        found = arrays[name].shape if name in arrays else "no shape"
        if found != shape or arrays[name].dtype.kind != "f":
            raise CheckpointError(
                f"{path}: {name} is of {found}, {core.name} of {n} needs {shape} floats; the file is "
                "spoilt, or is of another version of the cell"
            )
    model.params = {n: tensor(arrays[n], requires_grad=True, name=n) for n in shapes}
    return Checkpoint(str(path), facts, arrays, settings, model)


def _read(path: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with open(path, "rb"):  # its errors name the file
        pass
    try:
        with safe_open(path, framework="numpy") as f:
            facts = json.loads((f.metadata() or {})[KEY])
            arrays = {name: f.get_tensor(name) for name in f.keys()}
    except SafetensorError as e:
        raise CheckpointError(
            f"{path}: not a checkpoint, or cut off ({e}); pass a file that `minigrad train` has written"
        ) from None
    except (KeyError, ValueError):
        raise CheckpointError(
            f"{path}: holds arrays, but is no checkpoint of minigrad; pass a file that `minigrad train` has written"
        ) from None
    if not isinstance(facts, dict) or facts.get("form") != FORM:
        raise CheckpointError(f"{path}: a checkpoint of another version of minigrad; train anew with this one")
    return facts, arrays


def _cell(path: str, facts: dict[str, Any], given: Cell | None) -> Cell:
    """The cell that was trained. Raises CheckpointError if it must be given, or another was."""
    name, found = facts["cell"], given
    if found is None and facts["built_in"]:
        found = built_in(name)
    if found is None:
        raise CheckpointError(f"{path}: was trained with a cell of your own, {name}; pass --cell FILE.py:{name}")
    if found.name != name or {a: found.shape_text(a) for a in found.sizes} != facts["shapes"]:
        raise CheckpointError(
            f"{path}: was trained with the cell {name} of {len(facts['shapes'])} arguments, which is not "
            f"{found.name}{found.signature}; pass the cell that it was trained with"
        )
    return found


def _spoilt(path: str, e: Exception) -> CheckpointError:
    return CheckpointError(f"{path}: the checkpoint is spoilt ({type(e).__name__}: {e}); use an earlier one")
