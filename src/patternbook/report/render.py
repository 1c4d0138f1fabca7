"""From an executed run to its rendered report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import polars as pl
import yaml

from patternbook.disk import writing
from patternbook.errors import UserError
from patternbook.exports import write_exports
from patternbook.findings import Artefacts, read_artefacts, read_findings, write_aside
from patternbook.formats import Formats
from patternbook.locks import in_turn
from patternbook.markup import escaped
from patternbook.params import Params
from patternbook.paths import RunPaths
from patternbook.report import pandoc, quarto
from patternbook.report.advice import TABLE as ACTIONS
from patternbook.report.advice import advice
from patternbook.report.cells import MARKDOWN, Notebook, data_of, labelled, read_notebook
from patternbook.report.claims import claims
from patternbook.report.dictionary import NAME as DICTIONARY
from patternbook.report.dictionary import dictionary
from patternbook.report.pages import write_pages
from patternbook.report.parameters import PAGE as PROVENANCE
from patternbook.report.provenance import facts, provenance
from patternbook.report.publish import PACKED_PLOTLY, publish, write_library
from patternbook.report.risks import DRIFT, risk_notebook
from patternbook.report.risks import NAME as RISKS
from patternbook.report.since import NAME as CHANGES
from patternbook.report.since import since
from patternbook.report.template import check_references, conditions, front_matter, headlines, resolve_conditions
from patternbook.report.terms import NAME as GLOSSARY
from patternbook.report.terms import glossary
from patternbook.report.tracing import traced
from patternbook.report.variables import Variables, at_home, nested, variables
from patternbook.runs import State, baseline_of, description

DOCUMENT = "executive"
VARIABLES = "_variables.yml"
EXPORTS = "exports"  # folder of the downloads, beside the report
QUARTO_PROJECT = "_quarto.yml"
SCRIPT = "../theme/report.js"  # from the report's folder


class Rendered(NamedTuple):
    """The report of a run, the renderer that made it, and lines for the log."""

    html: Path
    pdf: Path
    renderer: str
    notes: list[str]


class Sources(NamedTuple):
    """What a renderer needs: the project that it runs in, the document, its variables and published notebooks."""

    project: Path
    document: Path
    variables: Variables
    notebooks: dict[str, Notebook]
    notes: list[str]


def render_report(params: Params, hashes: Mapping[Path, str] | None = None) -> Rendered:
    """Publish and render an executed run: `executive.html`, `executive.pdf`, a page for each notebook, and exports.

    `hashes` are the SHA-256 of the source files, which the report shows where they are known.

    Everything is made aside, in a copy of what `quarto render` would see at the project's root, and then swapped in:
    as `reports/<run>/`, as `reports/latest/`, as the run's `exports/`, and as `_variables.yml`. Raises UserError where
    the run has not been executed.
    """
    paths = RunPaths.of(params.run)
    with _stage(paths) as project:
        sources = _prepare(params, paths, project, hashes or {})
        renderer, note = _render(sources)
        _swap_in(sources, paths)
    html, pdf = (paths.report / f"{DOCUMENT}.{suffix}" for suffix in ("html", "pdf"))
    return Rendered(html, pdf, renderer, [*sources.notes, note])


@contextmanager
def _stage(paths: RunPaths) -> Iterator[Path]:
    """A copy of the project's layout in the run's scratch folder, gone afterwards."""
    project = paths.scratch / "report"
    shutil.rmtree(project, ignore_errors=True)
    for folder in ("theme", "filters"):
        shutil.copytree(paths.root / "reports" / folder, project / "reports" / folder)
    shutil.copy(paths.root / QUARTO_PROJECT, project)
    try:
        yield project
    finally:
        shutil.rmtree(project)


def _prepare(params: Params, paths: RunPaths, project: Path, hashes: Mapping[Path, str]) -> Sources:
    executed = _executed(params, paths)
    findings = read_findings(paths.findings)
    folder = project / "reports" / paths.latest.name
    formats = Formats(params.currency.code, params.currency.locale)
    trace = provenance(params, findings, paths, hashes)
    artefacts = read_artefacts(paths, executed)
    made = {
        PROVENANCE: trace,
        DICTIONARY: dictionary(params, findings, artefacts, paths),
        GLOSSARY: glossary(""),  # its terms are those of the finished text
    }
    template = (paths.root / "reports" / f"{DOCUMENT}.qmd").read_text("utf-8")
    now = State(description(params, hashes), findings)
    tables = _tables(artefacts, paths)
    named = risk_notebook(params, findings, tables.get(DRIFT), formats)
    if named:
        made[RISKS] = named
    moved = since(params, now, baseline_of(params), headlines(template))
    if moved:
        made[CHANGES] = moved.notebook
    answering = {name: traced(name, notebook, findings, params, formats) for name, notebook in executed.items()}
    fonts = project / "reports" / "theme" / "fonts"
    published = publish({**answering, **made}, folder, fonts, formats)
    write_library(folder)
    write_exports(findings, tables, facts(params, findings), folder / EXPORTS)

    values = variables(params, findings, conditions(template)) | _reasons_of_cells(executed)
    values |= {f"claim.{topic}": text for topic, text in claims(findings, formats).items()}
    values |= advice(params, tables.get(ACTIONS), findings, formats)
    values |= moved.values if moved else {}
    cells = _available(executed) | {f"{name}.{label}" for name, book in made.items() for label in labelled(book)}
    body = resolve_conditions(template, lambda subject: subject in values or subject in cells)
    check_references(body, values, cells)

    notebooks = published.notebooks
    terms = {GLOSSARY: glossary(pandoc.expanded(body, values, notebooks))}
    notebooks |= publish(terms, folder, fonts, formats).notebooks

    metadata = _metadata(params, values)
    document = folder / f"{DOCUMENT}.qmd"
    document.write_text(front_matter({**metadata, "plotly": PACKED_PLOTLY}) + body, "utf-8")
    (project / VARIABLES).write_text(yaml.safe_dump(nested(values), allow_unicode=True), "utf-8")
    write_pages(notebooks, project, folder, metadata)
    return Sources(project, document, values, notebooks, published.notes)


def _executed(params: Params, paths: RunPaths) -> dict[str, Notebook]:
    """The run's executed notebooks by name; a failed one carries a second suffix and does not count."""
    files = sorted(file for file in paths.notebooks.glob("*.ipynb") if "." not in file.stem)
    if not files or not paths.findings.exists():
        raise UserError(f"run {params.run!r} has not been executed: `patternbook run {params.file}` does it")
    return {file.stem: read_notebook(file) for file in files}


def _tables(artefacts: Mapping[str, Artefacts], paths: RunPaths) -> dict[str, pl.DataFrame]:
    """The run's result tables by id, in the notebooks' order."""
    return {
        table_id: pl.read_parquet(paths.tables / f"{table_id}.parquet")
        for written in artefacts.values()
        for table_id in sorted(written.tables)
    }


def _available(executed: Mapping[str, Notebook]) -> set[str]:
    """Cells that show what their label promises, as `02_eda.fig-activity`."""
    return {
        f"{name}.{label}" for name, book in executed.items() for label, cell in labelled(book).items() if cell.delivers
    }


def _reasons_of_cells(executed: Mapping[str, Notebook]) -> Variables:
    """What a cell that left its figure or table out says instead."""
    return {
        f"reason.{name}.{label}": at_home(
            " ".join(data_of(output)[MARKDOWN] for output in cell.outputs if MARKDOWN in data_of(output)),
            f"notebooks/{name}.html#{label}",
        )
        for name, book in executed.items()
        for label, cell in labelled(book).items()
        if not cell.delivers
    }


def _metadata(params: Params, values: Variables) -> dict[str, str]:
    """Title block of the report and of the notebooks' pages, as Markdown."""
    report = params.report
    metadata = {
        "title": escaped(report.title),
        "organisation": escaped(report.organisation),
        "confidentiality": escaped(report.confidentiality),
        "run": values["run.name"],
        "data-as-of": values.get("run.data_as_of", ""),
        "script": SCRIPT,
    }
    return {key: text for key, text in metadata.items() if text}


def _render(sources: Sources) -> tuple[str, str]:
    """Render with Quarto where it is installed; returns the renderer's name and a note for the log."""
    if quarto.is_installed():
        quarto.render(sources.project, sources.document)
        return "quarto", quarto.note()
    return "pandoc", pandoc.render(sources.project, sources.document, sources.variables, sources.notebooks)


def _swap_in(sources: Sources, paths: RunPaths) -> None:
    """Put the finished report into its places."""
    _replace(paths.report, sources.document.parent)
    with in_turn(paths.latest_lock):
        _replace(paths.latest, sources.document.parent)
    _replace(paths.exports, sources.document.parent / EXPORTS)
    write_aside(paths.root / VARIABLES, (sources.project / VARIABLES).read_text("utf-8"))


def _replace(target: Path, finished: Path) -> None:
    """Copy `finished` beside `target` and rename: data/ may lie on another disk, where renaming alone would fail."""
    aside, old = (target.with_name(f".{target.name}.{suffix}") for suffix in ("partial", "old"))
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        with writing(target.parent):
            shutil.copytree(finished, aside)
            if target.exists():
                target.rename(old)
            aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
