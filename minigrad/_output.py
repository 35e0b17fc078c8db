"""Files and folders that are either whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` if the block succeeds; else nothing changes.

    It has the suffix of `path`. Raises OSError, naming `path`, if its folder is missing or read-only.
    """
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; name a file in it")
    part = _beside(place)
    try:
        part.touch(exist_ok=False)  # fails now, and not after the work is done
    except OSError as e:
        raise _named(e, path) from None
    try:
        yield part
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError now that `whole_file` would raise later; nothing is changed."""
    with suppress(_Enough), whole_file(path):
        raise _Enough


class _Enough(Exception):
    """Ends a whole_file without its file."""


@contextmanager
def whole_folder(path: str | os.PathLike[str], marker: str) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `path` if the block succeeds; else nothing changes.

    A folder that is there is replaced only if it is empty or holds a file `marker`: then an earlier
    run made it. Raises OSError, naming `path`, otherwise, and if it cannot be made.
    """
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(f"{path}: is a file; name a folder")
    if place.is_dir() and not (place / marker).is_file() and any(place.iterdir()):
        raise FileExistsError(f"{path}: holds other files, which are not overwritten; name another folder")
    part, old = _beside(place), _beside(place, "old")
    try:
        part.mkdir()
    except OSError as e:
        raise _named(e, path) from None
    try:
        yield part
        if place.exists():
            place.rename(old)
        try:
            part.rename(place)
        except OSError:
            if old.exists():
                old.rename(place)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _beside(place: Path, word: str = "part") -> Path:
    return place.with_name(f".{place.stem}.{word}{os.getpid()}{place.suffix}")


def _named(e: OSError, path: str | os.PathLike[str]) -> OSError:
    return type(e)(f"{path}: cannot be written: {e.strerror}")
