"""The notebooks as a graph: pytask decides what is not current, Papermill runs it."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from pytask import ExecutionReport, TaskOutcome
from rich.console import Console

from patternbook import tasks, usage
from patternbook.board import Board
from patternbook.digests import Digests
from patternbook.disk import check_writable, writing
from patternbook.errors import UserError
from patternbook.findings import write_aside
from patternbook.imports import notebook_code, source_files
from patternbook.interruption import remove_leftovers
from patternbook.locks import alone
from patternbook.params import Params
from patternbook.paths import RunPaths, project_root
from patternbook.runs import keep_previous, read_state, write_manifest
from patternbook.warehouse.contracts import CUTOFF_ORDER, MARTS

FINDINGS = "findings"
REPORT = "report"
COMPUTING_PACKAGES = ("duckdb", "lightgbm", "numpy", "polars", "pyarrow", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Notebook:
    """A notebook of the graph.

    `reads` names the sections of the parameter file that it depends on, `after` the notebooks whose results it
    uses. The source files that it depends on are those that it imports. `at_cutoffs`: it reads the marts of the
    cutoffs, which others do not depend on. `left_out` says, by kind of source, which of its results
    are left out, and why.
    """

    name: str
    reads: tuple[str, ...]
    after: tuple[str, ...] = ()
    at_cutoffs: bool = False
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The notebook as it is kept in git, without outputs."""
        return project_root() / "notebooks" / f"{self.name}.ipynb"

    @property
    def compacts(self) -> bool:
        """Whether this is the notebook that turns raw files into events and marts."""
        return not self.after


NOTEBOOKS = (
    Notebook(
        "01_compaction",
        reads=(
            "source",
            "period",
            "filter",
            "engine",
            "currency",
            "quality",
            "compaction",
            "report",
            "propensity",
            "basket",
        ),
    ),
    Notebook("02_eda", reads=("currency", "report", "privacy", "eda"), after=("01_compaction",)),
    Notebook(
        "03_segmentation",
        reads=("currency", "report", "privacy", "segmentation"),
        after=("01_compaction", "08_lifetime_churn"),
    ),
    Notebook("05_basket", reads=("currency", "privacy", "economics", "basket"), after=("01_compaction",)),
    Notebook(
        "04_propensity",
        reads=("currency", "privacy", "economics", "propensity"),
        after=("01_compaction",),
        at_cutoffs=True,
    ),
    Notebook(
        "06_funnel_temporal",
        reads=("source", "currency", "quality", "report", "privacy", "funnel", "temporal"),
        after=("01_compaction",),
        left_out={"transactions": "its funnel: order lines hold no views and carts"},
    ),
    Notebook(
        "07_experiments",
        reads=("source", "currency", "report", "privacy", "economics", "segmentation", "experiments", "roi"),
        after=("01_compaction", "04_propensity", "05_basket"),
    ),
    Notebook(
        "08_lifetime_churn",
        reads=("source", "engine", "currency", "report", "privacy", "economics", "retention", "lifetime", "churn"),
        after=("01_compaction",),
    ),
)


@dataclass(frozen=True)
class Failure:
    """A step that failed, and its one message."""

    step: str
    message: str
    by_user: bool


@dataclass
class Outcome:
    """What a run did: the steps by how they ended, seconds of those that were at work, broken expectations by finding.

    `html` and `pdf` are null unless the whole graph is done.
    """

    ran: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    html: Path | None = None
    pdf: Path | None = None

    @property
    def exit_code(self) -> int:
        """0 done, 1 a notebook failed or an `expect` is broken, 2 bad parameters or input."""
        if any(not failure.by_user for failure in self.failures):
            return 1
        if self.failures:
            return 2
        return 1 if self.broken else 0


def run(
    params: Params,
    *,
    until: str | None = None,
    notebooks: Iterable[Notebook] = NOTEBOOKS,
    console: Console | None = None,
) -> Outcome:
    """Bring a run up to date: notebooks, findings, report, manifest.

    `until` is the start of a notebook's name: only that one and those it needs are run, and nothing is merged or
    rendered. Raises UserError for bad input, and where another process computes this run.
    """
    graph = _Graph(params, select(notebooks, until), Board(console or Console(stderr=True)))
    whole = until is None
    return graph.run(graph.steps(whole), whole=whole)


def rerender(params: Params, *, notebooks: Iterable[Notebook] = NOTEBOOKS, console: Console | None = None) -> Outcome:
    """Render the report of an executed run again, current or not."""
    graph = _Graph(params, tuple(notebooks), Board(console or Console(stderr=True)))
    return graph.run([graph.report_step()], whole=True, force=True)


def recompute(params: Params, *, notebooks: Iterable[Notebook] = NOTEBOOKS, console: Console | None = None) -> Outcome:
    """Bring notebooks and findings up to date, and nothing that is made of them: no report, no manifest."""
    graph = _Graph(params, tuple(notebooks), Board(console or Console(stderr=True)))
    return graph.run([*graph.steps(whole=False), graph.findings_step()], whole=False)


def explain(
    params: Params, *, until: str | None = None, notebooks: Iterable[Notebook] = NOTEBOOKS
) -> dict[str, list[str]]:
    """Why each step would run, without running any; a step with no reason is current."""
    graph = _Graph(params, select(notebooks, until), Board(Console(quiet=True)))
    return graph.explain(graph.steps(until is None))


def select(notebooks: Iterable[Notebook], until: str | None) -> tuple[Notebook, ...]:
    """All notebooks, or the one whose name starts with `until` and those that it needs."""
    known = {notebook.name: notebook for notebook in notebooks}
    if until is None:
        return tuple(known.values())
    wanted = [name for name in known if name.startswith(until)]
    if len(wanted) != 1:
        raise UserError(
            f"--until {until!r}: names {'no' if not wanted else 'more than one'} notebook; {', '.join(known)}"
        )
    needed = _with_upstream(wanted[0], known)
    return tuple(notebook for name, notebook in known.items() if name in needed)


def _with_upstream(name: str, known: dict[str, Notebook]) -> set[str]:
    return {name}.union(*(_with_upstream(upstream, known) for upstream in known[name].after))


def input_files(params: Params) -> list[Path]:
    """The raw files that a run reads; those of a simulated market exist once it has been simulated.

    Raises UserError where a pattern of `source.files` matches nothing.
    """
    if params.source.kind == "simulated":
        return sorted(RunPaths.of(params.run).raw.glob("*.csv"))
    return params.source.matches()


def readout_files(params: Params) -> list[Path]:
    """The files of finished experiments. Raises UserError where one is missing."""
    files = [readout.path for readout in params.experiments.readouts]
    for number, file in enumerate(files):
        if not file.is_file():
            raise UserError(f"{file}: no such file; set experiments.readouts.{number}.file to where it lies")
    return files


def written_to(params: Params) -> list[Path]:
    """The folders that a run writes into; the disk of each must let it."""
    paths = RunPaths.of(params.run)
    return [paths.home, paths.report, *([paths.raw] if params.source.kind == "simulated" else [])]


def broken_expectations(params: Params, findings: dict[str, dict[str, Any]]) -> dict[str, str]:
    """One sentence for each finding that is not what `expect` says it must be, by its id."""
    broken = {}
    for name, bound in params.expect.items():
        finding = findings.get(name, {"value": None, "reason": "this run has no such finding"})
        value = finding["value"]
        if not isinstance(value, int | float):
            broken[name] = f"expect {name}: no number to compare ({finding.get('reason') or repr(value)})"
        elif bound.min is not None and value < bound.min:
            broken[name] = f"expect {name}: {value:,} is below the minimum {bound.min:,}"
        elif bound.max is not None and value > bound.max:
            broken[name] = f"expect {name}: {value:,} is above the maximum {bound.max:,}"
    return broken


class _Graph:
    """The steps of one run as pytask tasks."""

    def __init__(self, params: Params, notebooks: tuple[Notebook, ...], board: Board) -> None:
        self.params = params
        self.notebooks = notebooks
        self.board = board
        self.paths = RunPaths.of(params.run)
        self.digests = Digests(self.paths.pipeline / "digests.json")
        self.usages = self.paths.pipeline / "usage"
        self.inputs = [] if params.source.kind == "simulated" else input_files(params)
        self.notes: list[str] = []
        self.seconds: dict[str, float] = {}
        self.lock: int | None = None

    def steps(self, whole: bool) -> list[tasks.Task]:
        """The notebooks, and for the whole graph what is made of them."""
        steps = [self._notebook_step(notebook) for notebook in self.notebooks]
        return [*steps, self.findings_step(), self.report_step()] if whole else steps

    def run(self, steps: list[tasks.Task], *, whole: bool, force: bool = False) -> Outcome:
        """Run the steps that are not current, or all of them by `force`."""
        check_writable(written_to(self.params))
        with alone(self.paths.run_lock, self._refusal()) as self.lock:
            remove_leftovers(self.paths)
            workers = min(self.params.engine.threads, os.cpu_count() or 1)
            with self.board.showing():
                reports = tasks.build(steps, self.paths.pipeline, workers=workers, force=force)
            outcome = self._outcome(reports)
            self.board.close()
            if whole and not outcome.failures:
                self._conclude(outcome)
            self.digests.save()
        return outcome

    def explain(self, steps: list[tasks.Task]) -> dict[str, list[str]]:
        """Why each step would run."""
        with alone(self.paths.run_lock, self._refusal()):
            reasons = tasks.explain(steps, self.paths.pipeline)
            self.digests.save()
        return reasons

    def _refusal(self) -> str:
        return f"run {self.params.run!r} is being computed by another process; wait for it"

    def _outcome(self, reports: list[ExecutionReport]) -> Outcome:
        """What pytask's reports say; what has not been at work is put on the board."""
        outcome = Outcome(notes=self.notes, seconds=self.seconds)
        for report in reports:
            name = report.task.name
            if report.outcome == TaskOutcome.SUCCESS:
                outcome.ran.append(name)
            elif report.outcome == TaskOutcome.SKIP_UNCHANGED:
                outcome.current.append(name)
                self.board.finish(name, "unchanged")
            elif report.outcome == TaskOutcome.SKIP_PREVIOUS_FAILED:
                outcome.not_run.append(name)
                self.board.finish(name, "not run")
            else:
                error = report.exc_info[1] if report.exc_info else None
                outcome.failures.append(Failure(name, str(error), isinstance(error, UserError)))
        return outcome

    def _conclude(self, outcome: Outcome) -> None:
        """Write the manifest when anything has run, check `expect`, tell where the report lies."""
        if outcome.ran or not self.paths.manifest.exists():
            steps = [*(notebook.name for notebook in self.notebooks), FINDINGS, REPORT]
            write_manifest(self.params, input_files(self.params), usage.recall(self.usages, steps), self.digests)
        outcome.broken = broken_expectations(self.params, json.loads(self.paths.findings.read_text("utf-8")))
        outcome.html, outcome.pdf = self._report_files()

    def _notebook_step(self, notebook: Notebook) -> tasks.Task:
        upstream = [file for one in self.notebooks if one.name in notebook.after for file in self._handed_on(one)]
        if notebook.at_cutoffs:
            upstream += map(self.paths.mart, CUTOFF_ORDER)
        files = [notebook.file, *source_files(notebook_code(notebook.file)), *upstream]
        if notebook.compacts:
            files += self.inputs
        if "experiments" in notebook.reads:
            files += readout_files(self.params)
        return self._step(
            notebook.name, lambda: self._execute(notebook), notebook.reads, files, self._products(notebook)
        )

    def _execute(self, notebook: Notebook) -> usage.Usage:
        from patternbook.execution import execute_notebook  # an unchanged run does not need Papermill

        return execute_notebook(
            notebook.file,
            self.paths.notebook(notebook.name),
            self.params.to_notebook(),
            threads=self.params.engine.threads,
            progress=self._progress(notebook.name),
            minutes=self.params.execution.minutes_per_notebook,
            lock=self.lock,
        )

    def _products(self, notebook: Notebook) -> list[Path]:
        own = [self.paths.notebook(notebook.name), self._findings_part(notebook)]
        if not notebook.compacts:
            return own
        return [*own, self.paths.compaction, *self._handed_on(notebook), *map(self.paths.mart, CUTOFF_ORDER)]

    def _handed_on(self, notebook: Notebook) -> list[Path]:
        """What a later notebook depends on: where the marts are as they were, how they were made does not matter."""
        marts = [self.paths.mart(name) for name in MARTS if name not in CUTOFF_ORDER]
        return [self.paths.products, *marts] if notebook.compacts else self._products(notebook)

    def _progress(self, step: str) -> Path:
        return self.paths.pipeline / f"{step}.progress"

    def _findings_part(self, notebook: Notebook) -> Path:
        return self.paths.findings_parts / f"{notebook.name}.json"

    def findings_step(self) -> tasks.Task:
        """The notebooks' findings, merged."""
        parts = [self._findings_part(notebook) for notebook in self.notebooks]
        return self._step(FINDINGS, _measured(lambda: self._merge(parts)), (), parts, [self.paths.findings])

    def _merge(self, parts: list[Path]) -> None:
        merged: dict[str, Any] = {}
        for part in parts:
            found = json.loads(part.read_text("utf-8"))
            if twice := sorted(merged.keys() & found.keys()):
                raise ValueError(f"{twice[0]} is recorded by both {merged[twice[0]]['notebook']} and {part.stem}")
            merged |= found
        ordered = {name: merged[name] for name in sorted(merged)}
        keep_previous(self.paths, ordered)
        write_aside(self.paths.findings, json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")

    def report_step(self) -> tasks.Task:
        """The report, which depends on every parameter, since it prints them, and on what it is compared with."""
        root = project_root()
        layout = [root / "_quarto.yml", *(root / "reports").glob("*.qmd")]
        layout += [file for folder in ("theme", "filters") for file in (root / "reports" / folder).rglob("*")]
        files = [
            *sorted(file for file in layout if file.is_file()),
            *source_files("import patternbook.report"),
            *(self.paths.notebook(notebook.name) for notebook in self.notebooks),
            self.paths.compaction,
            self.paths.findings,
        ]
        sections = tuple(Params.model_fields)
        products = list(self._report_files())
        return self._step(REPORT, _measured(self._render), sections, files, products, maybe=self._compared_with())

    def _compared_with(self) -> list[Path]:
        """What the report tells changes from. Raises UserError where the run to compare with is not finished."""
        other = self.params.report.compare_with
        if other is None:
            return [self.paths.previous]
        read_state(other)
        return [RunPaths.of(other).findings, RunPaths.of(other).manifest]

    def _render(self) -> None:
        from patternbook.report import render_report  # an unchanged run needs no renderer

        hashes = {file: self.digests.of(file) or "" for file in input_files(self.params)}
        with writing(self.paths.home):
            self.notes += render_report(self.params, hashes).notes

    def _report_files(self) -> tuple[Path, Path]:
        return self.paths.report / "executive.html", self.paths.report / "executive.pdf"

    def _step(
        self,
        name: str,
        work: Callable[[], usage.Usage],
        reads: tuple[str, ...],
        files: list[Path],
        products: list[Path],
        maybe: list[Path] | None = None,
    ) -> tasks.Task:
        values = {f"section {key!r}": value for key, value in self.params.section("run", *reads).items()}
        values["installed versions"] = _installed_versions()

        def step() -> None:
            self.digests.save()  # a large input is not hashed again by the run after a killed one
            with suppress(FileNotFoundError):  # from here on the run is no longer what its manifest describes
                self.paths.manifest.rename(self.paths.concluded)
            started = time.monotonic()
            try:
                with self.board.step(name, self._progress(name)):
                    usage.remember(self.usages, name, work())
            finally:
                self.seconds[name] = time.monotonic() - started

        return tasks.task(
            name, step, values=values, files=files, maybe=maybe or [], products=products, digests=self.digests
        )


def _measured(work: Callable[[], None]) -> Callable[[], usage.Usage]:
    """Work in this process, with what it took; the peak is that of the whole process so far."""

    def measured() -> usage.Usage:
        started = time.monotonic()
        work()
        return usage.Usage(time.monotonic() - started, usage.peak_memory(os.getpid()))

    return measured


def _installed_versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in COMPUTING_PACKAGES}
