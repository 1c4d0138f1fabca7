from __future__ import annotations

from pathlib import Path

import fake_run
import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from fake_run import Report

from patternbook.errors import UserError
from patternbook.formats import Formats
from patternbook.report.cells import MARKDOWN, PLOTLY, code_cell, code_cells, data_of, labelled, read_notebook
from patternbook.report.images import NO_CHROME, data_table, draw
from patternbook.report.publish import _table, publish

FORMATS = Formats("USD", "en_US")


def test_options_are_read_and_taken_off_the_code() -> None:
    (_, cell) = code_cells(
        fake_run.notebook("T", fake_run.cell("fig-a", fake_run.sentence("x"), "A: caption", "# kept\nplot()"))
    )
    assert cell.label == "fig-a"
    assert cell.caption == "A: caption"
    assert cell.code == "# kept\nplot()"


def test_options_that_are_not_yaml_are_shown() -> None:
    with pytest.raises(UserError, match="fig-cap: A: caption"):
        code_cell(nbformat.v4.new_code_cell("#| fig-cap: A: caption\nplot()"))


@pytest.mark.parametrize(
    ("label", "output", "delivers"),
    [
        ("fig-a", fake_run.plot(go.Figure(), "alt"), True),
        ("fig-a", fake_run.sentence("left out"), False),
        ("tbl-a", fake_run.sentence("left out"), False),
        ("answer-a", fake_run.sentence("yes"), True),
    ],
)
def test_a_cell_delivers_what_its_label_promises(label: str, output: object, delivers: bool) -> None:
    cell = labelled(fake_run.notebook("T", fake_run.cell(label, output, "Caption")))[label]
    assert cell.delivers is delivers


def test_a_figure_not_for_paper_is_not_drawn(tmp_path: Path) -> None:
    output = fake_run.plot(go.Figure(go.Scatter(x=[1], y=[2])), "Turn it about.")
    output.data[PLOTLY]["layout"]["meta"]["paper"] = False
    book = fake_run.notebook("T", fake_run.cell("fig-a", output, "Caption"))
    (published,) = publish({"01": book}, tmp_path, tmp_path, FORMATS).notebooks.values()
    text = data_of(labelled(published)["fig-a"].outputs[0])[MARKDOWN]
    assert 'class="chart"' in text
    assert text.endswith("Turn it about.\n:::")
    assert not list(tmp_path.rglob("*.svg"))


def test_a_figure_of_many_points_is_an_image_with_its_data_beside_it(tmp_path: Path) -> None:
    figure = go.Figure(go.Scattergl(x=np.arange(100_000), y=np.arange(100_000) % 97, mode="markers", name="All"))
    executed = {"02_eda": fake_run.notebook("Title", fake_run.cell("fig-many", fake_run.plot(figure, "Many points.")))}
    notebook = publish(executed, tmp_path, fake_run.PROJECT / "reports/theme/fonts", FORMATS).notebooks["02_eda"]
    text = data_of(labelled(notebook)["fig-many"].outputs[0])[MARKDOWN]
    assert len(text) < 1_000
    assert "![](notebooks/figures/02_eda-fig-many.png)" in text
    assert 'href="notebooks/figures/02_eda-fig-many.csv"' in text
    assert (tmp_path / "notebooks/figures/02_eda-fig-many.png").stat().st_size < 300_000
    data = (tmp_path / "notebooks/figures/02_eda-fig-many.csv").read_text("utf-8").splitlines()
    assert (len(data), data[-1]) == (100_001, "All,99999,89")


def test_published_outputs_are_markdown_for_screen_and_paper(report: Report) -> None:
    notebook = read_notebook(report.paths.report / "notebooks" / "02_eda.ipynb")
    cells = labelled(notebook)
    outputs = [data_of(output) for cell in cells.values() for output in cell.outputs]
    assert outputs
    assert all(list(data) == [MARKDOWN] for data in outputs)
    figure = data_of(cells["fig-activity"].outputs[0])[MARKDOWN]
    assert 'aria-label="Daily active customers are level."' in figure
    assert '![](notebooks/figures/02_eda-fig-activity.svg){alt="Daily active customers are level."}' in figure
    assert figure.index('when-format="html"') < figure.index('class="chart"') < figure.index('unless-format="html"')
    assert notebook.metadata.kernelspec.language == "python"
    table = data_of(cells["tbl-kpis"].outputs[0])[MARKDOWN]
    assert "<style" not in table
    assert " id=" not in table


def test_data_table_reads_arrays_of_numbers_and_either_orientation() -> None:
    upright = go.Figure([go.Bar(x=["a", "b"], y=np.array([1.5, 2.0]), name="One"), go.Bar(x=["b"], y=[7], name="Two")])
    assert data_table(upright.to_plotly_json(), FORMATS).splitlines()[:4] == [
        "|  | One | Two |",
        "| :--- | ---: | ---: |",
        "| a | 1\\.50 |  |",
        "| b | 2\\.00 | 7\\.00 |",
    ]
    across = go.Figure(go.Bar(y=["a|b &lt;i&gt;"], x=[3], orientation="h"))
    assert "| a\\|b \\<i\\> | 3\\.00 |" in data_table(across.to_plotly_json(), FORMATS), "labels of charts are markup"


def test_a_chrome_that_is_not_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")
    assert draw({tmp_path / "a.svg": go.Figure().to_plotly_json()}, tmp_path) == NO_CHROME
    assert draw({}, tmp_path) is None


def test_a_chrome_that_does_not_start_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/bin/false")
    assert draw({tmp_path / "a.svg": go.Figure().to_plotly_json()}, tmp_path) == NO_CHROME


def test_intervals_and_notes_of_a_table_are_marked() -> None:
    cell, text = '<td class="gt_row gt_right">{}</td>', '<td class="gt_row gt_left">{}</td>'
    note = '<td class="gt_sourcenote" colspan="2">{}</td>'
    interval, bare = "−$5 (−$7 to −$3)", ["12%", "(none)", "a (b) c"]
    assert _table(cell.format(interval)) == cell.format('−$5 <span class="interval">(−$7 to −$3)</span>')
    assert [_table(cell.format(value)) for value in bare] == [cell.format(value) for value in bare]
    assert _table(text.format("2 (of 3)")) == text.format("2 (of 3)"), "words are no interval"
    assert _table(note.format("Said <b>so</b>")) == note.format('<span class="note">Said <b>so</b></span>')
