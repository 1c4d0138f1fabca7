from __future__ import annotations

import base64
import gzip
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import fake_run
import pytest
import typst
from fake_run import SIMULATED, Report

from patternbook.errors import UserError
from patternbook.params import Params
from patternbook.report import pandoc, quarto, render_report
from patternbook.report.images import NO_CHROME, NO_IMAGE

LOADING = {"src", "srcset", "poster", "data", "action"}


class Page(HTMLParser):
    """What a test wants to know of a page: what it loads, where it links, its anchors, headings, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[tuple[str, dict[str, str]]] = []
        self.anchors: set[str] = set()
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._inside = tag if tag in ("script", "style") else ""
        self.loads += [attributes[name] for name in LOADING & attributes.keys()]
        if tag == "link":
            self.loads.append(attributes["href"])
        if tag == "a" and "href" in attributes:
            self.links.append((attributes["href"], attributes))
        if "id" in attributes:
            self.anchors.add(attributes["id"])

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
            self._inside = ""
        elif self._inside == "style":
            self._inside = ""
            self.loads += re.findall(r"url\(['\"]?([^)'\"]+)", data)
            assert "@import" not in data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\xa0", " ").split())


@pytest.fixture(scope="session")
def page(report: Report) -> Page:
    return Page(report.html)


@pytest.fixture(scope="session")
def sparse_page(sparse_report: Report) -> Page:
    return Page(sparse_report.html)


def pdf_text(pdf: Path) -> str:
    """Text of a PDF, by Debian's poppler, without the places where a long word may break."""
    return " ".join(os.popen(f"pdftotext -layout '{pdf}' -").read().replace("\u200b", "").split())


def test_html_loads_nothing_from_outside(page: Page) -> None:
    assert page.loads
    assert not [source for source in page.loads if not source.startswith("data:")]


def test_nothing_heavy_stands_before_the_text_and_plotly_is_the_last_thing(report: Report, page: Page) -> None:
    assert report.html.index('id="content"') < 400_000, "typefaces and style, nothing else"
    before, _, last = report.html.rpartition("<script")
    packed = re.search(r'src="data:[^"]*base64,([^"]+)" id="plotly" type="application/gzip"></script>', last)
    assert packed is not None
    assert gzip.decompress(base64.b64decode(packed[1])).decode().startswith("/**\n* plotly.js v")
    assert len(before) < 1_000_000
    assert not [script for script in page.scripts if "plotly.js v" in script]
    assert report.html.count('class="chart"') == 2
    assert "plot.ly" not in report.html


def test_figures_and_tables_are_numbered(page: Page) -> None:
    for kind in ("Figure", "Table"):
        numbers = [int(n) for n in re.findall(rf"{kind} (\d+) \w", page.text)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert numbers


def test_every_number_leads_to_a_cell_that_exists(report: Report, page: Page) -> None:
    traced = [href for href, attributes in page.links if "finding" in attributes.get("class", "")]
    assert len(traced) > 20
    anchors = {
        file.name: Page(file.read_text("utf-8")).anchors for file in report.paths.report.glob("notebooks/*.html")
    }
    for href in traced:
        file, _, anchor = href.removeprefix("notebooks/").partition("#")
        assert anchor in anchors[file], href


def test_links_within_the_page_arrive(page: Page) -> None:
    assert not [href for href, _ in page.links if href.startswith("#") and href[1:] not in page.anchors]


CONVERSION = "Conversion · funnel.conversion · measured · 95% interval 3.7%–4.9% · n = 4,504"


def test_numbers_say_their_kind(page: Page) -> None:
    titles = {attributes.get("title", "") for _, attributes in page.links}
    assert any(title == CONVERSION for title in titles)


def test_simulated_market_is_named_first(report: Report, page: Page) -> None:
    assert page.text.index("The market is simulated") < page.text.rindex("In brief")
    first = os.popen(f"pdftotext -l 1 '{report.rendered.pdf}' -").read()
    assert "The market is simulated" in first


def test_pdf_has_the_same_numbers(report: Report) -> None:
    text = pdf_text(report.rendered.pdf)
    for number in ("$59,443", "4,504", "4.3%", "3.7%–4.9%", "56%", "Jul 30, 2024", "17,435", "+8.3%"):
        assert number in text, number
    assert "Figure 1" in text
    assert "Table 1" in text


def test_pdf_figures_are_drawings_with_alternative_text(report: Report) -> None:
    pdf = report.rendered.pdf.read_bytes()
    assert b"/Image" not in pdf.replace(b"/ImageB", b"").replace(b"/ImageC", b"").replace(b"/ImageI", b"")
    drawings = sorted(file.name for file in report.paths.report.glob("notebooks/figures/*.svg"))
    assert drawings == ["02_eda-fig-activity.svg", "06_funnel_temporal-fig-funnel.svg"]
    assert "Source Sans 3" in (report.paths.report / "notebooks" / "figures" / drawings[0]).read_text("utf-8")


def test_product_names_are_text_everywhere(report: Report, page: Page) -> None:
    assert fake_run.NASTY in page.text
    assert not [script for script in page.scripts if script.startswith("alert")]
    assert '<script>alert("x")</script> & "quoted"' in pdf_text(report.rendered.pdf)


def test_latest_and_variables_are_those_of_the_run(report: Report) -> None:
    assert (report.paths.latest / "executive.html").read_bytes() == report.rendered.html.read_bytes()
    assert "funnel:" in (report.root / "_variables.yml").read_text("utf-8")
    assert not report.paths.scratch.joinpath("report").exists()
    assert {file.name for file in report.root.joinpath("reports").iterdir()} == {
        "executive.qmd", "filters", "full", "latest", "theme",
    }  # fmt: skip


def test_notebook_pages_share_one_library_and_show_code(report: Report) -> None:
    text = (report.paths.report / "notebooks" / "06_funnel_temporal.html").read_text("utf-8")
    page = Page(text)
    assert [source for source in page.loads if not source.startswith("data:")] == ["plotly.min.js"]
    assert {"fig-funnel", "tbl-funnel", "answer-funnel"} <= page.anchors
    assert "show(result)" in page.text.replace("( ", "(").replace(" )", ")")
    assert "FutureWarning" not in text
    assert "../executive.html" in {href for href, _ in page.links}


def test_left_out_part_says_why_and_leaves_no_heading_behind(sparse_report: Report, sparse_page: Page) -> None:
    assert fake_run.NO_FUNNEL in sparse_page.text
    assert "What it does not mean" not in sparse_page.text
    assert "fig-funnel" not in sparse_page.anchors
    assert "What was left out" in sparse_page.text
    assert fake_run.NO_FUNNEL in pdf_text(sparse_report.rendered.pdf)
    bare = re.findall(
        r"<h(\d)[^>]*>[^<]*</h\1>\s*(?:</section>\s*)+(?:<section[^>]*>\s*<h|</main>)", sparse_report.html
    )
    assert not bare
    assert "simulated" not in sparse_page.text.lower()


def test_without_chrome_the_pdf_shows_data_and_the_log_says_why(sparse_report: Report) -> None:
    assert NO_CHROME in sparse_report.rendered.notes
    assert sparse_report.html.count('class="chart"') == 1, "HTML stays complete"
    text = pdf_text(sparse_report.rendered.pdf)
    assert "2024-07-01" in text
    assert f"{NO_IMAGE} It has 30 rows; those shown are 2 apart." in text


def test_a_run_of_compaction_alone_says_so_and_shows_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_run.lay_project(tmp_path)
    findings = {name: entry for name, entry in fake_run.full_findings().items() if name.startswith("compaction.")}
    books = {"01_compaction": fake_run.full_notebooks()["01_compaction"]}
    fake_run.lay_run(tmp_path, SIMULATED, findings, books)
    monkeypatch.setenv("PATTERNBOOK_ROOT", str(tmp_path))
    monkeypatch.setattr("patternbook.report.quarto.is_installed", lambda: False)
    text = Page(render_report(SIMULATED).html.read_text("utf-8")).text
    assert "This run computed no answers" in text
    assert "What customers are worth all This run did not compute it." in " ".join(text.split())
    assert "17,435" in text


def test_notes_name_the_renderer(report: Report) -> None:
    assert report.rendered.renderer == "pandoc"
    assert report.rendered.notes == [pandoc.NOTE]


def test_failed_render_changes_nothing(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    before = report.rendered.pdf.stat().st_mtime_ns
    monkeypatch.setenv("PATTERNBOOK_ROOT", str(report.root))
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")
    monkeypatch.setattr("patternbook.report.quarto.is_installed", lambda: False)
    monkeypatch.setattr(typst, "compile", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        render_report(SIMULATED)
    assert report.rendered.pdf.stat().st_mtime_ns == before
    assert not report.paths.scratch.joinpath("report").exists()


def test_pdf_is_tagged_for_screen_readers(report: Report) -> None:
    assert re.search(r"Tagged:\s+yes", os.popen(f"pdfinfo '{report.rendered.pdf}' 2>/dev/null").read())


@pytest.mark.parametrize("message", ["internal error: parent group", "unknown variable: x"])
def test_tags_that_typst_cannot_write_cost_no_report(
    message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_typst, asked = typst.compile, []

    def failing(source: str, **options: object) -> None:
        asked.append(options.get("pdf_tags", True))
        if options.get("pdf_tags", True):
            raise RuntimeError(message)
        compile_typst(source, **options)

    monkeypatch.setattr(typst, "compile", failing)
    source = tmp_path / "a.typ"
    source.write_text("= Title")
    if message.startswith("internal"):
        assert not pandoc._compile(source, tmp_path)
        assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    else:
        with pytest.raises(RuntimeError, match="unknown variable"):
            pandoc._compile(source, tmp_path)
        assert asked == [True]


@pytest.mark.skipif(not quarto.is_installed(), reason="Quarto is not installed")
@pytest.mark.slow
def test_quarto_renders_the_same_report(
    report: Report, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_run.lay_everything(tmp_path)
    monkeypatch.setenv("PATTERNBOOK_ROOT", str(tmp_path))
    rendered = render_report(SIMULATED)
    assert rendered.renderer == "quarto"
    other = Page(rendered.html.read_text("utf-8"))
    assert not [source for source in other.loads if not source.startswith("data:")]
    assert not [script for script in other.scripts if "plotly.js v" in script], "it lies packed"
    numbers = re.compile(r"[$\d][\d.,%]*")
    assert numbers.findall(other.text) == numbers.findall(page.text)
    papers = [set(numbers.findall(pdf_text(pdf))) for pdf in (rendered.pdf, report.rendered.pdf)]
    assert {number for number in papers[0] ^ papers[1] if len(number) > 1} == set(), "but for page numbers"


def test_unexecuted_run_is_a_user_error(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERNBOOK_ROOT", str(report.root))
    with pytest.raises(UserError, match="'none' has not been executed: `patternbook run"):
        render_report(Params(run="none", source={"kind": "simulated"}))
