"""What a reader needs to check a run, as a notebook of tables that the report embeds like any other."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import Any

from patternbook import __version__
from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.markup import escaped, sentence
from patternbook.params import Params
from patternbook.paths import RunPaths
from patternbook.report.cells import Notebook, new_notebook, new_result, new_text
from patternbook.report.claims import SUBJECTS
from patternbook.report.images import pipe_table
from patternbook.report.parameters import row
from patternbook.report.variables import NOT_COMPUTED, anchor, number
from patternbook.runs import git_state

HASH_DIGITS = 16
MOST_NAMED = 2  # labels of what is left out for one reason; more are counted
COMPUTED = [topic for topic in SUBJECTS if topic != "readout"]  # subjects that have findings where they were computed
PACKAGES = ("duckdb", "polars", "numpy", "scipy", "plotly", "great-tables", "papermill", "pypandoc_binary", "typst")


def provenance(
    params: Params, findings: Mapping[str, Finding], paths: RunPaths, hashes: Mapping[Path, str]
) -> Notebook:
    """Notebook with the tables tbl-sources, tbl-settings, tbl-versions, tbl-numbers, and tbl-parameters."""
    formats = Formats(params.currency.code, params.currency.locale)
    cells = [
        new_text(
            "# Provenance\n\nWhere the run's numbers come from: its input, its parameters, the software, and every "
            "finding with its kind, its interval and the cell that computed it. What tables, columns and findings "
            "mean is in the [data dictionary](notebooks/00_dictionary.html)."
        ),
        *_sources(paths, hashes, formats),
        *_left_out(findings),
        table_cell(
            "tbl-settings",
            "What the parameter file says; every other key has its default",
            ["Key", "Value"],
            settings(params.model_dump(mode="json", by_alias=True, exclude_defaults=True)),
            "ll",
        ),
        table_cell("tbl-versions", "The software that computed this run", 2 * ["Part", "Version"], _versions(), "llll"),
        table_cell(
            "tbl-numbers",
            "Every number of this run; the identifier is the same in every run",
            ["Finding", "Value", "95% interval", "n", "Kind", "Computed in"],
            [_row(name, finding, formats) for name, finding in sorted(findings.items()) if finding.value is not None],
            "lrrrll",
            markup=True,
        ),
        table_cell(
            "tbl-parameters",
            "Every parameter of this run, defaults included",
            ["Key", "Value"],
            [[f"[{escaped(key)}]{{#{row(key)}}}", escaped(value)] for key, value in _all(params)],
            "ll",
            markup=True,
        ),
    ]
    return new_notebook(cells)


def facts(params: Params, findings: Mapping[str, Finding]) -> list[list[str]]:
    """What a run is, as rows of key and value: its name, the dates of its data, every parameter."""
    about = [["run", params.run], ["patternbook", __version__]]
    for key, finding_id in (("data from", "eda.first_event"), ("data to", "eda.last_event")):
        if finding_id in findings and findings[finding_id].value is not None:
            about.append([key, str(findings[finding_id].value)])
    return about + _all(params)


def _all(params: Params) -> list[list[str]]:
    return settings(params.model_dump(mode="json", by_alias=True))


def _sources(paths: RunPaths, hashes: Mapping[Path, str], formats: Formats) -> Iterator[Any]:
    """The source files and their SHA-256, where it is known."""
    if not paths.compaction.exists():
        return
    files = json.loads(paths.compaction.read_text("utf-8")).get("files", [])
    rows = [[file["file"], formats.value(file["bytes"], "bytes"), formats.count(file["rows_read"])] for file in files]
    by_name = {file.name: digest[:HASH_DIGITS] for file, digest in hashes.items()}
    shown = [by_name.get(file["file"], "") for file in files]
    if not any(shown):
        yield table_cell("tbl-sources", "The files that went in", ["File", "Size", "Rows"], rows, "lrr")
        return
    caption = "The files that went in, with the first digits of their SHA-256"
    rows = [[*row, digest] for row, digest in zip(rows, shown, strict=True)]
    yield table_cell("tbl-sources", caption, ["File", "Size", "Rows", "SHA-256"], rows, "lrrl")


def _left_out(findings: Mapping[str, Finding]) -> Iterator[Any]:
    """What this run could not compute, one row a subject and reason; a subject without any finding was not run."""
    missing: dict[tuple[str, str], list[str]] = {}
    for finding_id, finding in findings.items():
        if finding.value is None:
            topic = finding_id.split(".")[0]
            missing.setdefault((topic, finding.reason or ""), []).append(finding.label)
    seen = {finding_id.split(".")[0] for finding_id in findings}
    for topic in {*COMPUTED} - seen:
        missing[topic, NOT_COMPUTED] = []
    order = {topic: place for place, topic in enumerate(SUBJECTS)}
    rows = [
        [escaped(SUBJECTS.get(topic, topic)), escaped(_named(labels)), sentence(reason)]
        for (topic, reason), labels in sorted(missing.items(), key=lambda entry: order.get(entry[0][0], len(order)))
    ]
    if rows:
        header = ["Subject", "Left out", "Why"]
        yield table_cell("tbl-left-out", "What this run leaves out, and why", header, rows, "lll", markup=True)


def _named(labels: Sequence[str]) -> str:
    """The labels where they are few, else how many there are; all are in findings.json."""
    distinct = list(dict.fromkeys(labels))
    if len(distinct) > MOST_NAMED:
        return f"{len(distinct)} numbers"
    return "; ".join(distinct) or "all"


def table_cell(
    label: str,
    caption: str,
    header: list[str],
    rows: list[list[str]],
    sides: str,
    markup: bool = False,
    widths: Sequence[int] = (),
) -> Any:
    """A cell with a table; its rows are plain text, or Markdown where `markup` says so."""
    cells = rows if markup else [[escaped(cell) for cell in row] for row in rows]
    return new_result(label, caption, pipe_table(header, cells, sides, widths))


def settings(values: Mapping[str, Any], prefix: str = "") -> list[list[str]]:
    """Parameters as rows of dotted key and value; those without a value are left out."""
    rows: list[list[str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += settings(value, f"{prefix}{key}.")
        elif value is not None and value != []:
            rows.append([f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)])
    return rows


def _versions() -> list[list[str]]:
    """Two parts and their versions a row."""
    git = git_state()
    commit = f"{git['commit'][:12]}{' with uncommitted changes' if git['dirty'] else ''}" if git["commit"] else "—"
    system = f"{platform.system()} on {platform.machine()}"
    rows = [["patternbook", __version__], ["Commit", commit], ["Python", platform.python_version()], ["System", system]]
    rows += [[package, metadata.version(package)] for package in PACKAGES]
    half = -(-len(rows) // 2)
    return [left + right for left, right in zip_longest(rows[:half], rows[half:], fillvalue=["", ""])]


def _row(finding_id: str, finding: Finding, formats: Formats) -> list[str]:
    value, interval = number(finding, formats)
    count = formats.count(finding.n) if finding.n is not None else ""
    place = f"[{escaped(finding.notebook)}]({anchor(finding)}){{.finding}}"
    return [escaped(finding_id), escaped(value), escaped(interval), escaped(count), finding.kind, place]
