from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go

from patternbook import theme
from patternbook.charts import drawing
from patternbook.report.paper import BESIDE, OTHER, TAG, on_paper


def spec(figure: go.Figure) -> dict[str, Any]:
    return dict(json.loads(figure.to_json()))


def bars(title: str) -> dict[str, Any]:
    figure = go.Figure()
    drawing.labelled_bars(figure, ["First", "Second"], [3, 2], ["three", "two"], [theme.BLUE] * 2)
    figure.update_xaxes(visible=False)
    return spec(drawing.finished(figure, title, "A subtitle " * 9, height=2 * drawing.LABELLED_ROW, alt="Two bars."))


def test_bars_take_less_paper_and_say_the_same() -> None:
    screen = bars("A title that is long enough to take two lines on a telephone")
    paper = on_paper(screen)
    assert screen == bars("A title that is long enough to take two lines on a telephone"), "the figure itself stays"
    assert paper["layout"]["height"] < 0.75 * screen["layout"]["height"]
    assert f"<b>First{BESIDE}three" in {entry["text"] for entry in paper["layout"]["annotations"]}
    assert paper["data"] == screen["data"]
    titles = [figure["layout"]["title"]["text"] for figure in (paper, screen)]
    words = [TAG.sub(" ", title).split() for title in titles]
    assert words[0] == words[1]
    assert titles[0].count("<br>") < titles[1].count("<br>")


def test_the_plot_keeps_the_room_that_its_heading_leaves() -> None:
    figure = drawing.finished(go.Figure(go.Scatter(y=[1, 2])), "Short", "Below", height=300, alt="A line.")
    layout = on_paper(spec(figure))["layout"]
    assert layout["height"] - layout["margin"]["t"] - layout["margin"]["b"] == round(300 * OTHER)
    assert layout["title"]["text"] == figure.layout.title.text


def test_a_figure_of_no_size_is_printed_as_it_is() -> None:
    figure = spec(go.Figure(go.Scatter(y=[1, 2])))
    assert on_paper(figure) == figure
