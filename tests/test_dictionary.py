"""The dictionary of a real run holds all that the run wrote, with a meaning, and nothing else."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import polars.selectors as cs
import prose
import pytest
import real_run
import yaml

from patternbook.findings import read_findings
from patternbook.imports import notebook_code
from patternbook.meanings import RESULT_TABLES
from patternbook.params import load_params
from patternbook.paths import RunPaths
from patternbook.report.cells import MARKDOWN, data_of, labelled, read_notebook
from patternbook.report.dictionary import NAME
from patternbook.warehouse.contracts import CUSTOMERS, EVENTS, MARTS, PRODUCTS, REJECTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    params = yaml.safe_load((real_run.PROJECT / "params" / "smoke.yaml").read_text("utf-8"))
    root = tmp_path_factory.mktemp("smoke")
    prose.lay_previous(RunPaths(params["run"], root), params)
    return real_run.run(root, **params)


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


PEOPLE = {"customers", "buyers", "people", "viewers", "carters", "visitors", "orders"}  # no more people than orders
COUNTED = ("02_eda-fig-activity", "03_segmentation-fig-segments-migration", "06_funnel_temporal-fig-days")


def test_no_table_and_no_chart_counts_few_people(smoke: RunPaths) -> None:
    def few(counts: pl.Series) -> list[float]:
        return counts.filter((counts > 0) & (counts < 10) & (counts % 1 == 0)).to_list()  # privacy.minimum_group

    found = {}
    for file in sorted(smoke.tables.glob("*.parquet")):
        table = pl.read_parquet(file)
        found |= {f"{file.stem}.{name}": few(table[name]) for name in PEOPLE & set(table.select(cs.integer()).columns)}
    page = (smoke.report / "executive.html").read_text("utf-8")
    offered = re.findall(r'download="([^"]+)[.]csv" href="data:text/csv[^,]*,([^"]*)"', page)
    charts = {name: unquote(data) for name, data in offered if name in COUNTED}
    assert "02_eda-fig-activity" in charts
    for chart, data in charts.items():
        table = pl.read_csv(io.StringIO(data), infer_schema_length=None)
        found |= {f"{chart}.{name}": few(table[name]) for name in {"y", "value"} & set(table.columns)}
    assert {name: counts for name, counts in found.items() if counts} == {}


def test_no_meaning_is_left_of_a_table_that_is_gone() -> None:
    code = "".join(notebook_code(file) for file in (real_run.PROJECT / "notebooks").glob("*.ipynb"))
    assert [table_id for table_id in RESULT_TABLES if f'"{table_id}"' not in code] == []


@pytest.fixture(scope="module")
def told(smoke: RunPaths) -> prose.Numbers:
    return prose.Numbers(smoke, load_params(smoke.root / "params.yaml"))


@pytest.fixture(scope="module")
def screen(smoke: RunPaths) -> list[prose.Paragraph]:
    with real_run.browser() as chrome:
        page = chrome.new_page()
        page.goto((smoke.report / "executive.html").as_uri())
        return prose.on_screen(page)


def test_every_number_of_the_prose_has_a_home(told: prose.Numbers, screen: list[prose.Paragraph]) -> None:
    assert sum(part.title != "" for paragraph in screen for part in paragraph) > 100
    assert [(wrong, told_as(paragraph)) for paragraph in screen if (wrong := told.homeless(paragraph))] == []


def told_as(paragraph: prose.Paragraph) -> str:
    return "".join(part.text for part in paragraph)


def test_every_home_is_there(smoke: RunPaths, screen: list[prose.Paragraph]) -> None:
    pages = {f"notebooks/{file.name}": file.read_text("utf-8") for file in smoke.report.glob("notebooks/*.html")}
    homes = {part.href for paragraph in screen for part in paragraph if {"finding", "trace"} & {*part.role.split()}}
    assert [home for home in homes if f'id="{home.partition("#")[2]}"' not in pages[home.partition("#")[0]]] == []


def test_a_number_without_a_home_would_be_found(told: prose.Numbers, screen: list[prose.Paragraph]) -> None:
    """Planted in each heading, paragraph and caption; and in place of what a link should say."""
    for paragraph in screen:
        assert told.homeless([prose.Part("Of 98,765 customers "), *paragraph]) == ["98,765"]
        for place, part in enumerate(paragraph):
            if part.title:
                wrong = part._replace(text="98.765%")
                assert "98.765%" in told.homeless([*paragraph[:place], wrong, *paragraph[place + 1 :]])


def test_paper_says_what_the_screen_does(smoke: RunPaths, screen: list[prose.Paragraph]) -> None:
    paper = prose.on_paper(smoke.report / "executive.pdf")
    assert sum(bool(re.search(r"\d", "".join(words))) for words in paper) > 50
    assert prose.untold_on_screen(paper, screen) == []
    for words in paper:
        assert prose.untold_on_screen([[*words, " and 98,765"]], screen)


WITHOUT_N = {
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
