"""One notebook through Papermill: in this interpreter's own kernel, timed, and with an error that names its cell."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from patternbook.disk import writing
from patternbook.errors import MissingMart, UserError
from patternbook.interruption import KERNEL_FOLDER, stopped_when_interrupted
from patternbook.kernel import PARENT
from patternbook.paths import from_root
from patternbook.progress import PROGRESS_FILE
from patternbook.usage import Usage, peak_memory

KERNEL_STARTS = 3
START_TIMEOUT_S = 60
USER_ERRORS = {error.__name__ for error in (UserError, MissingMart)}
THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
LABEL = re.compile(r"^#\|\s*label:\s*(\S+)", re.MULTILINE)

logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it would say is in the error that it raises


class NotebookFailed(Exception):
    """A notebook stopped at a cell. The message names notebook, cell, error and where the executed notebook lies."""


class NotebookKernel(AsyncKernelManager):
    """A kernel of this interpreter, whatever kernelspecs are installed, with hash seed and thread counts fixed.

    It talks through sockets in `folder`: kernels that start at once cannot race for a port, no one else can listen.
    """

    def __init__(self, threads: int, progress: Path, folder: Path, lock: int | None) -> None:
        super().__init__(transport="ipc", connection_file=str(folder / "kernel.json"))
        self._inherits = () if lock is None else (lock,)
        self._kernel_spec = KernelSpec(
            argv=[sys.executable, "-m", "patternbook.kernel", "-f", "{connection_file}"],
            display_name="patternbook",
            language="python",
            env={
                "PYTHONHASHSEED": "0",
                "PYDEVD_DISABLE_FILE_VALIDATION": "1",
                PROGRESS_FILE: str(progress),
                PARENT: str(os.getpid()),
                **dict.fromkeys(THREAD_COUNTS, str(threads)),
            },
        )

    interrupted = False
    overdue = False
    _client: Any = None

    async def _async_start_kernel(self, **options: Any) -> None:
        await super()._async_start_kernel(pass_fds=self._inherits, **options)

    start_kernel = _async_start_kernel

    def client(self, **options: Any) -> Any:
        """A client, whose channels `close` closes."""
        self._client = super().client(**options)
        return self._client

    def close(self) -> None:
        """End the process and the client's channels."""
        if self._client:
            self._client.stop_channels()
        if self.has_kernel:
            run_sync(self.shutdown_kernel)(now=True)

    def interrupt(self) -> None:
        """Kill the process, because the whole command is to end."""
        self.interrupted = True
        self._kill()

    def stop_as_overdue(self) -> None:
        """Kill the process, because its notebook has taken too long."""
        self.overdue = True
        self._kill()

    def _kill(self) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """Process id, null before the kernel has started."""
        return getattr(self.provisioner, "pid", None)


def execute_notebook(
    notebook: Path,
    target: Path,
    parameters: dict[str, Any],
    *,
    threads: int,
    progress: Path,
    minutes: float,
    lock: int | None = None,
) -> Usage:
    """Run `notebook` with `parameters` and write it, executed, to `target`; `progress` is the file of its notes.

    The kernel is killed after `minutes`; it holds the lock with the file descriptor `lock` as long as it lives.

    Raises UserError where a cell raises one or the disk is full, NotebookFailed for any other error; the notebook as
    far as it came then lies beside `target` as `<name>.failed.ipynb`.
    """
    partial, failed = (target.with_name(f"{target.stem}.{word}.ipynb") for word in ("partial", "failed"))
    failed.unlink(missing_ok=True)
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            usage = _execute(notebook, partial, parameters, threads, progress, minutes, lock)
        except PapermillExecutionError as error:
            partial.rename(failed)
            if error.ename in USER_ERRORS:
                raise UserError(error.evalue) from None
            cell = _cell_name(error.exec_count, error.source)
            raise NotebookFailed(
                f"{target.stem}: {cell}: {error.ename}: {error.evalue}\n  see {from_root(failed)}"
            ) from None
        except KernelDied as death:
            cell = _last_started_cell(partial)
            partial.rename(failed)
            raise NotebookFailed(f"{target.stem}: {cell}: {death}\n  see {from_root(failed)}") from None
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        partial.rename(target)
    return usage


class KernelDied(Exception):
    """A kernel ended in the middle of its notebook; the message says why, as far as it is known."""


def _execute(
    notebook: Path,
    partial: Path,
    parameters: dict[str, Any],
    threads: int,
    progress: Path,
    minutes: float,
    lock: int | None,
) -> Usage:
    for start in range(1, KERNEL_STARTS + 1):
        started = time.monotonic()
        with _kernel(threads, progress, lock) as kernel, _limited(kernel, minutes):
            try:
                papermill.execute_notebook(
                    _literal(notebook),
                    _literal(partial),
                    parameters,
                    kernel_name="python3",
                    language="python",
                    progress_bar=False,
                    start_timeout=START_TIMEOUT_S,
                    km=kernel,
                )
            except RuntimeError as error:
                if kernel.interrupted:
                    raise
                if kernel.overdue or isinstance(error, DeadKernelError):
                    raise KernelDied(_cause_of_death(kernel, minutes)) from None
                if start == KERNEL_STARTS:  # the kernel did not come up; no cell has run
                    raise
            else:
                return Usage(time.monotonic() - started, peak_memory(kernel.pid))
    raise AssertionError("unreachable")


def _cause_of_death(kernel: NotebookKernel, minutes: float) -> str:
    if kernel.overdue:
        return (
            f"stopped after {minutes:g} minutes (execution.minutes_per_notebook); if it needs longer, raise that, "
            f"for example --set execution.minutes_per_notebook={minutes * 2:g}"
        )
    return "the kernel died, perhaps for want of memory"


@contextmanager
def _kernel(threads: int, progress: Path, lock: int | None) -> Iterator[NotebookKernel]:
    note = progress.with_suffix(".kernel")  # where a later run finds the folder, should this process be killed
    with tempfile.TemporaryDirectory(prefix=KERNEL_FOLDER) as folder:
        note.unlink(missing_ok=True)
        note.symlink_to(folder)
        kernel = NotebookKernel(threads, progress, Path(folder), lock)
        try:
            with stopped_when_interrupted(kernel.interrupt):
                yield kernel
        finally:
            kernel.close()
            for file in (progress, note):
                file.unlink(missing_ok=True)


@contextmanager
def _limited(kernel: NotebookKernel, minutes: float) -> Iterator[None]:
    """Kill the kernel when the time is over."""
    limit = threading.Timer(60 * minutes, kernel.stop_as_overdue)
    limit.daemon = True
    limit.start()
    try:
        yield
    finally:
        limit.cancel()


def _literal(path: Path) -> str:
    """The path for Papermill, which formats braces in paths."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _cell_name(count: int | None, source: str) -> str:
    label = LABEL.search(source)
    return f"cell In [{count}]" + (f" ({label[1]})" if label else "")


def _last_started_cell(notebook: Path) -> str:
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    started = [cell for cell in cells if cell["cell_type"] == "code" and cell["metadata"]["papermill"]["start_time"]]
    return _cell_name(len(started), "".join(started[-1]["source"])) if started else "before its first cell"
