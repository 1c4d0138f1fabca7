"""Findings: what a notebook found, with its uncertainty, and the recorder that it writes them with."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, model_validator

from patternbook.analysis.measure import Measure
from patternbook.disk import aside
from patternbook.errors import MissingMart
from patternbook.formats import Unit
from patternbook.params import Params, notebook_params
from patternbook.paths import RunPaths

Kind = Literal["measured", "modelled", "assumed"]
Value = int | float | str | None


class HasJson(Protocol):
    """A Plotly figure, as far as the recorder knows it."""

    def to_json(self) -> str:
        """The figure as JSON."""


FigureT = TypeVar("FigureT", bound=HasJson)

SIGNIFICANT_DIGITS = 12
ID_PATTERN = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


class Finding(BaseModel):
    """One result. `low` and `high` bound its 95 % interval; `source` names where an assumed value comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Value
    low: float | None = None
    high: float | None = None
    unit: Unit
    kind: Kind
    n: int | None = None
    label: str
    notebook: str
    cell: str
    source: str | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _is_honest(self) -> Finding:
        if self.value is None and not self.reason:
            raise ValueError("a finding without a value needs a reason")
        if self.value is not None and self.kind == "modelled" and (self.low is None or self.high is None):
            raise ValueError("a modelled finding needs low and high")
        if self.kind == "assumed" and not self.source:
            raise ValueError("an assumed finding names its source")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the interval of a number; the number itself where one is not known, zero where there is none."""
        value = float(self.value or 0)
        return value if self.low is None else self.low, value if self.high is None else self.high


def rounded(value: Any) -> Any:
    """`value` as it is stored: floats with 12 significant digits, times as ISO text, NaN and infinity as null."""
    if isinstance(value, bool) or value is None or isinstance(value, int | str):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    number = float(value)
    if not math.isfinite(number):
        return None
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}")


class Artefacts(BaseModel):
    """Ids of the tables and figures that one notebook has written."""

    tables: list[str] = []
    figures: list[str] = []


class Recorder:
    """Writes what one notebook found. Open it in the notebook's first cell, `save()` in its last.

    Saved are `findings/<notebook>.json`, and at once `tables/<topic>.<name>.parquet` and
    `figures/<topic>.<name>.json`. Files are written aside and renamed. Tables and figures that the notebook wrote
    when it last ran, and not this time, are removed: what is left out now is not to be found there either.
    """

    def __init__(self, notebook: str, params: Params) -> None:
        self.notebook = notebook
        self.params = params
        self.paths = RunPaths.of(params.run)
        self._findings: dict[str, Finding] = {}
        self._written = Artefacts()

    @classmethod
    def open(cls, notebook: str, names: Mapping[str, Any], needs: Iterable[str] = ()) -> Recorder:
        """Recorder of `notebook`, its parameters taken from the notebook's `globals()`.

        `needs` names the marts that the notebook reads; a missing one raises MissingMart with the command
        that builds it.
        """
        recorder = cls(notebook, notebook_params(names))
        missing = [mart for mart in needs if not recorder.paths.mart(mart).exists()]
        if missing:
            raise MissingMart(
                f"run {recorder.params.run!r} has no mart {', '.join(missing)} yet: build it with "
                f"`patternbook run {recorder.params.file} --until 01`, or run notebooks/01_compaction.ipynb"
            )
        return recorder

    def finding(
        self,
        finding_id: str,
        value: Any,
        *,
        unit: Unit,
        label: str,
        cell: str,
        kind: Kind = "measured",
        interval: tuple[float, float] | None = None,
        n: int | None = None,
        source: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Record one finding. `cell` is the label of the cell that computes it (`fig-…`, `tbl-…`)."""
        if not ID_PATTERN.fullmatch(finding_id):
            raise ValueError(f"finding id {finding_id!r} is not <topic>.<name>")
        low, high = interval if interval is not None else (None, None)
        self._findings[finding_id] = Finding(
            value=rounded(value),
            low=rounded(low),
            high=rounded(high),
            unit=unit,
            kind=kind,
            n=n,
            label=label,
            notebook=self.notebook,
            cell=cell,
            source=source,
            reason=reason,
        )

    def measures(self, topic: str, measures: Iterable[Measure], *, cell: str, kind: Kind = "measured") -> None:
        """Record measures as findings `<topic>.<name>` of one kind; each computed in the cell labelled `cell`."""
        for measure in measures:
            self.finding(
                f"{topic}.{measure.name}",
                measure.value,
                unit=measure.unit,
                label=measure.label,
                cell=cell,
                kind=kind,
                interval=measure.interval,
                n=measure.n,
                reason=measure.reason,
            )

    def mart(self, name: str, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """A mart of the run, or the named columns of it."""
        return pl.read_parquet(self.paths.mart(name), columns=None if columns is None else list(columns))

    def scan(self, name: str) -> pl.LazyFrame:
        """A mart of the run that is read when it is collected, and then only as far as it is asked for."""
        return pl.scan_parquet(self.paths.mart(name))

    def rows_at_cutoff(self, name: str, cutoff: date) -> pl.LazyFrame:
        """The rows of one cutoff of a mart."""
        return self.scan(name).filter(pl.col("cutoff") == cutoff)

    def products(self) -> pl.DataFrame:
        """What the source says of each product."""
        return pl.read_parquet(self.paths.products)

    def table(self, table_id: str, frame: pl.DataFrame) -> None:
        """Keep a result table under `tables/<table_id>.parquet`."""
        _check_id(table_id)
        with aside(self.paths.tables / f"{table_id}.parquet") as file:
            frame.write_parquet(file, compression="zstd")
        self._written.tables.append(table_id)

    def read_table(self, table_id: str) -> pl.DataFrame | None:
        """A result table of another notebook, None where that has left it out."""
        file = self.paths.tables / f"{table_id}.parquet"
        return pl.read_parquet(file) if file.exists() else None

    def per_customer(self, name: str, frame: pl.DataFrame) -> None:
        """Keep a result by customer under `customer/<name>.parquet`, for other notebooks; it is never published."""
        with aside(self.paths.per_customer(name)) as file:
            frame.write_parquet(file, compression="zstd")

    def read_per_customer(self, name: str) -> pl.DataFrame | None:
        """A result by customer, None where the notebook that makes it has left it out."""
        file = self.paths.per_customer(name)
        return pl.read_parquet(file) if file.exists() else None

    def no_per_customer(self, name: str) -> None:
        """Say that this run has no such result: one of an earlier run is deleted."""
        self.paths.per_customer(name).unlink(missing_ok=True)

    def figure(self, figure_id: str, figure: FigureT) -> FigureT:
        """Keep a Plotly figure under `figures/<figure_id>.json` and hand it on, for the cell to show."""
        _check_id(figure_id)
        write_aside(self.paths.figures / f"{figure_id}.json", figure.to_json())
        self._written.figures.append(figure_id)
        return figure

    def save(self) -> None:
        """Write `findings/<notebook>.json` and remove the tables and figures of an earlier run of the notebook."""
        before = read_artefacts(self.paths, [self.notebook])[self.notebook]
        for table_id in set(before.tables) - set(self._written.tables):
            (self.paths.tables / f"{table_id}.parquet").unlink(missing_ok=True)
        for figure_id in set(before.figures) - set(self._written.figures):
            (self.paths.figures / f"{figure_id}.json").unlink(missing_ok=True)
        write_aside(self.paths.artefacts(self.notebook), self._written.model_dump_json(indent=1) + "\n")
        payload = {key: self._findings[key].model_dump(exclude_none=False) for key in sorted(self._findings)}
        write_aside(
            self.paths.findings_parts / f"{self.notebook}.json",
            json.dumps(payload, indent=1, ensure_ascii=False) + "\n",
        )


def read_findings(path: Path) -> dict[str, Finding]:
    """Findings of a `findings.json` by id."""
    return {key: Finding(**entry) for key, entry in json.loads(path.read_text("utf-8")).items()}


def read_artefacts(paths: RunPaths, notebooks: Iterable[str]) -> dict[str, Artefacts]:
    """What each of the notebooks has written, by notebook; nothing for one that has not saved yet."""
    files = {notebook: paths.artefacts(notebook) for notebook in notebooks}
    return {
        notebook: Artefacts.model_validate_json(file.read_text("utf-8")) if file.exists() else Artefacts()
        for notebook, file in files.items()
    }


def write_aside(target: Path, text: str) -> None:
    """Write `text` beside `target` and rename, so that no reader sees half a file. Raises UserError on a full disk."""
    with aside(target) as file:
        file.write_text(text, "utf-8")


def _check_id(name: str) -> None:
    if not ID_PATTERN.fullmatch(name):
        raise ValueError(f"{name!r} is not <topic>.<name>")
