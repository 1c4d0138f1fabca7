from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from patternbook.report.chartdata import csv_of


def data(figure: go.Figure) -> list[dict[str, Any]]:
    """The figure as it lies in a notebook, read back by an independent reader."""
    return pl.read_csv(io.StringIO(csv_of(json.loads(figure.to_json())))).to_dicts()


def test_a_line_has_a_row_a_point_and_arrays_of_numbers_are_read() -> None:
    figure = go.Figure([go.Scatter(name="a", x=np.arange(3), y=np.array([0.5, np.nan, 2]))])
    assert data(figure) == [
        {"series": "a", "x": 0, "y": 0.5},
        {"series": "a", "x": 1, "y": None},
        {"series": "a", "x": 2, "y": 2.0},
    ]


@pytest.mark.parametrize("z", [[[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])])
def test_a_heatmap_has_a_row_a_cell(z: Any) -> None:
    assert [(row["x"], row["y"], row["z"]) for row in data(go.Figure(go.Heatmap(x=["u", "v"], y=["p", "q"], z=z)))] == [
        ("u", "p", 1), ("v", "p", 2), ("u", "q", 3), ("v", "q", 4)]  # fmt: skip


def test_flows_name_their_ends() -> None:
    link = {"source": [0, 1], "target": [1, 0], "value": [5, 6]}
    found = data(go.Figure(go.Sankey(node={"label": ["from", "to"]}, link=link)))
    assert [(row["source"], row["target"], row["value"]) for row in found] == [("from", "to", 5), ("to", "from", 6)]


def test_no_text_is_markup_or_a_formula() -> None:
    figure = go.Figure(go.Bar(x=["=1+2", "a &lt;b&gt;"], y=[1, 2], hovertext=["<b>bold</b><br>next", "plain"]))
    assert [(row["x"], row["note"]) for row in data(figure)] == [("'=1+2", "bold ; next"), ("a <b>", "plain")]
