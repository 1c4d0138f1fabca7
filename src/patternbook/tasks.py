"""pytask, as the pipeline uses it: tasks made at run time, files by digest, values by content, nothing printed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytask
from pytask import ExecutionReport, PathNode, PythonNode, TaskOutcome, TaskWithoutPath

from patternbook.digests import Digests
from patternbook.disk import writing
from patternbook.paths import from_root

WHY = {"missing": "is missing", "not_in_db": "is new", "changed": "has changed"}


@dataclass(kw_only=True)
class Task(TaskWithoutPath):
    """A task that depends on its files and values, not on the text of the function that pytask is given."""

    def state(self) -> str:
        """Constant: what the function does is in the dependencies."""
        return "1"


@dataclass(kw_only=True)
class File(PathNode):
    """A file known by its digest, which is not computed again while size and time are unchanged."""

    digests: Digests = field(repr=False)

    def state(self) -> str | None:
        """The digest, null where the file is missing."""
        return self.digests.of(Path(str(self.path)))


@dataclass(kw_only=True)
class MaybeFile(File):
    """A file that need not be there; coming and going is a change."""

    def state(self) -> str:
        """The digest, or that there is no file."""
        return super().state() or "missing"


@dataclass(kw_only=True)
class Value(PythonNode):
    """A named JSON value that a task is given, known by its content."""

    owner: str

    @property
    def signature(self) -> str:
        """By task and name."""
        return hashlib.sha256(f"{self.owner} {self.name}".encode()).hexdigest()


def task(
    name: str,
    function: Callable[[], None],
    *,
    values: dict[str, Any],
    files: list[Path],
    maybe: list[Path],
    products: list[Path],
    digests: Digests,
) -> Task:
    """A task that calls `function` when one of `values`, `files` or `products` is not as it was left.

    The files in `maybe` count like `files`, but need not be there.
    """
    values = values | {"list of files": [from_root(file) for file in files]}  # pytask does not miss a file that is gone
    given: list[Any] = [
        Value(owner=name, name=key, value=json.dumps(value, sort_keys=True), hash=True) for key, value in values.items()
    ]
    return Task(
        name=name,
        function=lambda **_: function(),
        depends_on={
            "given": given + _files(files, digests),
            "maybe": [MaybeFile(name=str(file), path=file, digests=digests) for file in maybe],
        },
        produces={"made": _files(products, digests)},
    )


def build(tasks: list[Task], state: Path, *, workers: int, force: bool = False) -> list[ExecutionReport]:
    """Run the tasks that are not current, or all of them by `force`, in `workers` threads; returns pytask's reports.

    `state` is the folder where pytask keeps what it knows; one process at a time may use it.
    """
    backend = "threads" if workers > 1 else "none"
    return _pytask(tasks, state, n_workers=workers, parallel_backend=backend, force=force)


def explain(tasks: list[Task], state: Path) -> dict[str, list[str]]:
    """Why each task would run, without running any; nothing for a task that is current."""
    # pytask-parallel runs what it should explain
    reports = _pytask(tasks, state, n_workers=1, parallel_backend="none", explain=True)
    return {report.task.name: _reasons(report) for report in reports}


def _pytask(tasks: list[Task], state: Path, **options: Any) -> list[ExecutionReport]:
    state.mkdir(parents=True, exist_ok=True)
    (state / "pyproject.toml").write_text("[tool.pytask.ini_options]\n")  # makes the folder pytask's root
    with writing(state), _quietly() as said:
        session = pytask.build(
            tasks=tasks,
            paths=[state],
            database_url="sqlite://",  # in memory: pytask.lock holds the states, the database is of older versions
            capture="no",
            verbose=0,
            **options,
        )
        reports: list[ExecutionReport] = session.execution_reports
        failed = any(report.outcome == TaskOutcome.FAIL for report in reports)
        if session.exit_code != pytask.ExitCode.OK and not failed:
            raise RuntimeError(f"pytask could not run the graph:\n{said.getvalue()}")
    return reports


@contextmanager
def _quietly() -> Iterator[io.StringIO]:
    """Keep what pytask prints from the terminal."""
    said, terminal = io.StringIO(), pytask.console.file
    pytask.console.file = said
    try:
        yield said
    finally:
        pytask.console.file = terminal


def _reasons(report: ExecutionReport) -> list[str]:
    if report.outcome == TaskOutcome.SKIP_UNCHANGED:
        return []
    reasons = [
        f"{reason.node_name} would run" if reason.reason == "cascade" else f"{reason.node_name} {WHY[reason.reason]}"
        for reason in report.task.attributes["explanation"].reasons
        if reason.node_type != "source"
    ]
    return list(dict.fromkeys(reasons))


def _files(files: list[Path], digests: Digests) -> list[Any]:
    return [File(name=str(file), path=file, digests=digests) for file in dict.fromkeys(files)]
