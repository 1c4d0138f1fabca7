"""The dictionary of a real run holds all that the run wrote, with a meaning, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import real_run
import yaml

from patternbook.findings import read_findings
from patternbook.imports import notebook_code
from patternbook.meanings import RESULT_TABLES
from patternbook.paths import RunPaths
from patternbook.report.cells import MARKDOWN, data_of, labelled, read_notebook
from patternbook.report.dictionary import NAME
from patternbook.warehouse.contracts import CUSTOMERS, EVENTS, MARTS, PRODUCTS, REJECTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    params = yaml.safe_load((real_run.PROJECT / "params" / "smoke.yaml").read_text("utf-8"))
    return real_run.run(tmp_path_factory.mktemp("smoke"), **params)


@pytest.fixture(scope="module")
def tables(smoke: RunPaths) -> dict[str, list[list[str]]]:
    """Rows of cells of each table of the dictionary, by label."""
    book = read_notebook(smoke.report / "notebooks" / f"{NAME}.ipynb")
    return {label: list(rows(data_of(cell.outputs[0])[MARKDOWN])) for label, cell in labelled(book).items()}


def rows(pipe_table: str) -> Iterator[list[str]]:
    for line in pipe_table.splitlines()[2:]:
        yield [cell.replace("\\", "").strip() for cell in line.strip("|").split(" | ")]


def written(smoke: RunPaths) -> Iterator[tuple[str, Path]]:
    """Label in the dictionary and path of each Parquet file of the run, but for what steps keep for themselves."""
    for file in sorted(smoke.home.rglob("*.parquet")):
        place = file.relative_to(smoke.home)
        if place.parts[0] == "groups":
            continue
        name = "events/*" if place.parts[0] == "events" else str(place.with_suffix(""))
        yield "tbl-" + "".join(char if char.isalnum() else "-" for char in name), file


def test_every_column_of_every_file_has_a_meaning(smoke: RunPaths, tables: dict[str, list[list[str]]]) -> None:
    files = list(written(smoke))
    assert {file.parent.name for _, file in files} == {"events", "marts", "tables", "customer", "smoke"}
    for label, file in files:
        assert [row[0] for row in tables[label]] == pl.read_parquet_schema(file).names(), file.name
        assert [row[0] for row in tables[label] if not row[1]] == [], f"{file.name}: columns without a meaning"


def test_nothing_is_there_that_the_run_did_not_write(smoke: RunPaths, tables: dict[str, list[list[str]]]) -> None:
    assert tables.keys() - {"tbl-findings", "tbl-figures"} == {label for label, _ in written(smoke)}


def test_every_finding_has_its_label_unit_and_cell(smoke: RunPaths, tables: dict[str, list[list[str]]]) -> None:
    findings = read_findings(smoke.findings)
    listed = {row[0]: row[1:] for row in tables["tbl-findings"]}
    assert listed.keys() == findings.keys()
    for finding_id, finding in findings.items():
        label, unit, kind, place = listed[finding_id]
        assert (label, unit, kind) == (finding.label, finding.unit, finding.kind)
        assert label
        assert f"notebooks/{finding.notebook}.html#{finding.cell}" in place


def test_every_figure_says_what_it_shows(smoke: RunPaths, tables: dict[str, list[list[str]]]) -> None:
    listed = {row[0].strip("`"): row[1] for row in tables["tbl-figures"]}
    assert listed.keys() == {f"figures/{file.name}" for file in smoke.figures.iterdir()}
    assert all(listed.values())


def test_files_keep_the_types_that_the_contracts_promise(smoke: RunPaths) -> None:
    import duckdb

    kept = {smoke.products: PRODUCTS, smoke.customers: CUSTOMERS, smoke.rejects: REJECTS}
    kept |= {next(smoke.events.glob("*.parquet")): EVENTS} | {smoke.mart(name): mart for name, mart in MARTS.items()}
    for file, contract in kept.items():
        described = duckdb.sql(f"DESCRIBE FROM '{file}'").fetchall()
        assert [(name, kind) for name, kind, *_ in described] == [(c.name, c.type) for c in contract.columns], file.name


def test_page_is_linked_and_reachable_offline(smoke: RunPaths) -> None:
    with real_run.browser() as chrome:
        page = chrome.new_page()
        page.goto((smoke.report / "executive.html").as_uri())
        page.get_by_role("link", name="data dictionary").first.click()
        page.wait_for_url("**/notebooks/00_dictionary.html")
        assert "distinct known customers who ordered it" in page.inner_text("main")
        broken = [
            href
            for href in page.eval_on_selector_all("main a[href]", "all => all.map(one => one.href)")
            if not Path(href.removeprefix("file://").partition("#")[0]).exists()
        ]
        assert broken == []


def test_exports_hold_what_the_run_found_and_lie_beside_the_report(smoke: RunPaths) -> None:
    sheets = pl.read_excel(smoke.exports / "tables.xlsx", sheet_id=0, infer_schema_length=None)
    tables = {file.stem for file in smoke.tables.iterdir()}
    assert sheets.keys() == {"Findings", "Run", *tables}
    findings = read_findings(smoke.findings)
    assert sheets["Findings"]["id"].to_list() == list(findings)
    numbers = {key: one.value for key, one in findings.items() if isinstance(one.value, int | float)}
    exported = dict(sheets["Findings"].drop_nulls("value").select("id", "value").iter_rows())
    assert exported == numbers
    for name in tables:
        assert sheets[name].shape == pl.read_parquet(smoke.tables / f"{name}.parquet").shape
    for file in smoke.exports.iterdir():
        assert (smoke.report / "exports" / file.name).read_bytes() == file.read_bytes()
        assert f'href="exports/{file.name}"' in (smoke.report / "executive.html").read_text("utf-8")
    assert json.loads(smoke.artefacts("02_eda").read_text("utf-8"))["tables"]


def test_no_meaning_is_left_of_a_table_that_is_gone() -> None:
    code = "".join(notebook_code(file) for file in (real_run.PROJECT / "notebooks").glob("*.ipynb"))
    assert [table_id for table_id in RESULT_TABLES if f'"{table_id}"' not in code] == []


def test_every_number_of_an_answer_leads_to_where_it_was_computed(smoke: RunPaths) -> None:
    """A finding to its cell; what is none (a row of a table, a date, an interval) to that of the sentence."""
    bare = (
        "all => all.filter(p => !p.querySelector('a.trace')).map(p => { const q = p.cloneNode(true); "
        "q.querySelectorAll('a.finding').forEach(a => a.remove()); return q.textContent.trim(); })"
    )
    with real_run.browser() as chrome:
        page = chrome.new_page()
        page.goto((smoke.report / "executive.html").as_uri())
        traces = page.locator("main a.trace")
        hrefs = traces.evaluate_all("all => all.map(one => one.getAttribute('href'))")
        assert len(hrefs) > 10
        for href in hrefs:
            file, _, cell = href.partition("#")
            assert f'id="{cell}"' in (smoke.report / file).read_text("utf-8")
        answers = page.eval_on_selector_all("main p:has(a.finding)", bare)
    assert [text for text in answers if re.search(r"\d", INTERVAL.sub("", text))] == []


# Right behind the number it belongs to, in a sentence or on the card of a key figure.
INTERVAL = re.compile(r"\([^()]*\d[^()]*(?:–| to )[^()]*\)|95% interval \S+(?: to \S+)?")

WITHOUT_N = {
    "churn.matrix": "each cell says how many customers it holds",
    "roi.roadmap": "dates of the plan; the table below says with how many each is tested",
    "roi.tornado": "what is expected at the ends of each assumption; nothing is sampled",
    "experiments.detectable": "worked out from the plan; nothing is sampled",
    "experiments.profit": "what each plan is expected to earn; nothing is sampled",
    "experiments.readout": "the table of arms below says how many people each had",
    "experiments.segments": "the table of arms below says how many people each had",
}


def test_every_figure_says_how_many_it_is_of_and_what_its_axes_measure(smoke: RunPaths) -> None:
    figures = {file.stem: json.loads(file.read_text("utf-8"))["layout"] for file in smoke.figures.iterdir()}
    assert {name for name, layout in figures.items() if " n = " not in _written(layout)} <= WITHOUT_N.keys()
    assert {name: silent for name, layout in figures.items() if (silent := _axes_without_a_measure(layout))} == {}


def _written(layout: dict[str, Any]) -> str:
    """All text of a figure's heading and notes, without markup."""
    texts = [layout["title"]["text"], *(note["text"] for note in layout.get("annotations", []))]
    return " " + re.sub(r"<[^>]*>", "", " ".join(texts).replace("<br>", " "))


def _axes_without_a_measure(layout: dict[str, Any]) -> list[str]:
    """Axes of bare numbers that neither their own title, their panel's nor the figure's heading explains."""
    titled = {note.get(side) for note in layout.get("annotations", []) for side in ("xref", "yref")}
    return [
        name
        for name, axis in layout.items()
        if re.fullmatch(r"[xy]axis\d*", name)
        and axis.get("visible") is not False
        and all(re.fullmatch(r"[\d.,\s]+", str(text)) for text in axis.get("ticktext") or ["a name"])
        and not axis.get("title")
        and f"{name.replace('axis', '')} domain" not in titled
    ]
