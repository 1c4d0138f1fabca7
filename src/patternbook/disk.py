"""Writing so that a full or read-only disk costs nothing but one message."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from patternbook.errors import UserError
from patternbook.paths import from_root, project_root

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to, which becomes `target` when all is written: no reader sees half a file.

    Raises UserError where the disk is full or closed to writing; then `target` is what it was before.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    try:
        with writing(target.parent):
            yield partial
            partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a UserError that names `folder` of what any library says when it cannot write there."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if problem := trouble(error, folder):
            raise problem from error
        raise


def trouble(error: BaseException, folder: Path) -> UserError | None:
    """What a user can do about an error met when writing into `folder`; None where it is no error of the disk."""
    if _means(error, FULL):
        return no_space(folder)
    if isinstance(error, OSError) and error.errno in CLOSED and _is_below(error.filename, folder):
        return _closed(folder, error)
    return None


def no_space(folder: Path) -> UserError:
    """That the disk of `folder` is full, and what to do."""
    return UserError(
        f"{_name(folder)}: no space left on the disk ({_free(folder) / 1e6:,.0f} MB free now): make room, or let the "
        "folder lead to a larger disk, then run again; what was complete is kept"
    )


def check_room(folder: Path, needed: int) -> None:
    """Raise UserError, before any work is spent, where the disk of `folder` has not `needed` bytes left."""
    if _free(folder) < needed:
        raise UserError(
            f"{_name(folder)}: about {needed / 1e6:,.0f} MB are needed, {_free(folder) / 1e6:,.0f} MB are free: make "
            "room, or let the folder lead to a larger disk"
        )


def check_writable(folders: Iterable[Path]) -> None:
    """Raise UserError, before any work is spent, naming the first folder that cannot be made or written to."""
    for place in dict.fromkeys(_existing(folder) for folder in folders):
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            raise trouble(error, place) or _closed(place, error) from None


def _closed(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"{_name(folder)}: cannot be written to ({os.strerror(error.errno or 0).lower()}): "
        "give this user the right to write there"
    )


def _means(error: BaseException, codes: tuple[int, ...]) -> bool:
    """Whether an error has one of the codes; libraries that raise errors of their own quote the system's words."""
    number = getattr(error, "errno", None)
    return any(number == code or os.strerror(code) in str(error) for code in codes)


def _is_below(name: object, folder: Path) -> bool:
    return isinstance(name, str | os.PathLike) and Path(name).absolute().is_relative_to(folder)


def _name(folder: Path) -> str:
    return str(folder) if folder == project_root() else from_root(folder)


def _free(folder: Path) -> int:
    return shutil.disk_usage(_existing(folder)).free


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())
