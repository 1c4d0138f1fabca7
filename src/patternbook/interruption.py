"""How a command ends on Ctrl-C and SIGTERM, and what a run that was killed has left behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from patternbook.errors import UserError
from patternbook.locks import alone_in_warehouse, in_turn
from patternbook.paths import RunPaths

GRACE_S = 2.0  # for threads to notice; nothing half-written bears a final name, so they may be cut off
MESSAGE = "interrupted; what was complete is kept, the next `patternbook run` continues from there"
SHOW_CURSOR = "\x1b[?25h"
KERNEL_FOLDER = "patternbook-kernel-"  # start of the name of a kernel's folder of sockets

_stops: set[Callable[[], None]] = set()


class Interrupted(BaseException):
    """The user, or the system, wants the command to end. `exit_code` is 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, signum: int) -> None:
        super().__init__(MESSAGE)
        self.exit_code = 128 + signum


def end_on_signals() -> None:
    """From here on Ctrl-C and SIGTERM raise Interrupted in the main thread; a second one ends the process at once."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _interrupt)


@contextmanager
def stopped_when_interrupted(stop: Callable[[], None]) -> Iterator[None]:
    """Let an interruption call `stop`, for work that the main thread would wait for."""
    _stops.add(stop)
    try:
        yield
    finally:
        _stops.discard(stop)


def _interrupt(signum: int, _: FrameType | None) -> NoReturn:
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_DFL)
    for stop in tuple(_stops):
        stop()
    deadline = threading.Timer(GRACE_S, _cut_off, (128 + signum,))
    deadline.daemon = True
    deadline.start()
    raise Interrupted(signum)


def _cut_off(exit_code: int) -> None:
    """End the process whatever its threads are at."""
    cursor = SHOW_CURSOR if sys.stderr.isatty() else ""
    os.write(2, f"{cursor}{MESSAGE}\n".encode())
    os._exit(exit_code)


def _put_back(folder: Path) -> None:
    """Undo the replacing of a folder that did not come to its end."""
    aside, old = (folder.with_name(f".{folder.name}.{suffix}") for suffix in ("partial", "old"))
    if old.exists() and not folder.exists():
        old.rename(folder)
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)


def remove_leftovers(paths: RunPaths) -> None:
    """Remove what a killed run has left: half-written files, notes of progress, and its kernels' folders in /tmp.

    A folder that it was about to replace is put back. To be called by the process that holds the run's lock.
    """
    for note in paths.home.rglob("*.kernel"):
        folder = note.readlink()
        if folder.name.startswith(KERNEL_FOLDER):
            shutil.rmtree(folder, ignore_errors=True)
        note.unlink()
    for folder in (paths.report, paths.exports):
        _put_back(folder)
    with in_turn(paths.latest_lock):
        _put_back(paths.latest)
    half_written = [*paths.home.rglob("*.partial"), *paths.notebooks.glob("*.partial.ipynb")]
    for file in [*half_written, *paths.pipeline.glob("*.progress")]:
        if not file.is_relative_to(paths.scratch):
            file.unlink(missing_ok=True)
    with suppress(UserError), alone_in_warehouse(paths):  # else a notebook outside of this run is at work there
        for folder in (paths.scratch, paths.raw.with_name(f"{paths.raw.name}.partial")):
            shutil.rmtree(folder, ignore_errors=True)
