"""One process at a time: locks that end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from patternbook.errors import UserError
from patternbook.paths import RunPaths

PATIENCE_S = 3.0  # what a process that was killed leaves behind lets go of its lock within a second
RETRY_S = 0.1


@contextmanager
def alone(file: Path, refusal: str) -> Iterator[int]:
    """Hold the lock `file` and yield its file descriptor; a process that inherits that holds the lock as well.

    Raises UserError(refusal) while another process holds it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        _acquire(lock.fileno(), refusal)
        yield lock.fileno()


@contextmanager
def in_turn(file: Path) -> Iterator[None]:
    """Hold the lock `file`; wait while another process holds it, for work that takes a moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        yield


def alone_in_warehouse(paths: RunPaths) -> AbstractContextManager[int]:
    """Hold the lock of a run's events and marts, which a notebook may build outside of a run as well."""
    return alone(
        paths.warehouse_lock, f"events and marts of run {paths.run!r} are being built by another process; wait for it"
    )


def _acquire(descriptor: int, refusal: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise UserError(refusal) from None
            time.sleep(RETRY_S)
        else:
            return
