"""The data of a chart as CSV, for readers who want the numbers behind a picture."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np

from patternbook.exports import FORMULA
from patternbook.report.images import array_of

COORDINATES = ("x", "y", "z", "labels", "parents", "values")
LINKS = ("source", "target", "value")
TEXTS = ("hovertext", "text")
TAG = re.compile(r"<[^>]*>")


def csv_of(figure: Mapping[str, Any]) -> str:
    """A Plotly figure's data, one row a point and one column a coordinate; a heatmap has one row a cell.

    `series` is the trace's name, `note` what its hover text says. No text is one that a spreadsheet would
    take for a formula.
    """
    rows = [
        {"series": str(trace.get("name") or number), **point}
        for number, trace in enumerate(figure.get("data", []), start=1)
        for point in _points(trace)
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def _points(trace: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if trace.get("type") == "sankey":
        yield from _links(trace)
    elif trace.get("z") is not None and trace.get("type") in ("heatmap", "contour", "surface"):
        yield from _cells(trace)
    else:
        columns = {name: array_of(trace[name]) for name in COORDINATES if trace.get(name) is not None}
        notes = next((array_of(trace[name]) for name in TEXTS if isinstance(trace.get(name), list | tuple)), [])
        if notes:
            columns["note"] = notes
        for values in zip_longest(*columns.values()):
            yield dict(zip(columns, values, strict=True))


def _links(trace: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    labels = array_of(trace["node"].get("label"))
    columns = [array_of(trace["link"].get(name)) for name in LINKS]
    for source, target, value in zip(*columns, strict=True):
        yield {"source": labels[int(source)], "target": labels[int(target)], "value": value}


def _cells(trace: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    across, down = array_of(trace.get("x")), array_of(trace.get("y"))
    for row, values in enumerate(array_of(trace["z"])):
        for column, value in enumerate(array_of(values)):
            yield {
                "x": across[column] if across else column,
                "y": down[row] if down else row,
                "z": value,
            }


def _plain(value: Any) -> Any:
    """A value as a cell holds it: without the markup that Plotly reads, and no formula."""
    if isinstance(value, float) and np.isnan(value):
        return None
    if not isinstance(value, str):
        return value
    text = html.unescape(TAG.sub(" ", value.replace("<br>", "; "))).strip()
    return f"'{text}" if re.match(FORMULA, text) else text
