"""Static images of charts for paper, and what stands in for them where there is no Chrome to draw them."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from patternbook.formats import Formats
from patternbook.markup import escaped

WIDTH = 800  # pixels; a text column of the PDF is 160 mm, so 12 px type prints at 7 pt
HEIGHT = 420  # pixels, of a figure that does not say
DRAWING, PIXELS = ".svg", ".png"  # of a figure with too many points for a drawing
SHARP = 2  # pixels of a PNG a pixel of the figure
MOST_ROWS = 24  # of the table that stands in for an image
NO_CHROME = (
    "No Chrome or Chromium could be started to draw static images, so the PDF shows each figure's data as a table; "
    "install Chromium, or run plotly_get_chrome, and render again."
)

NO_IMAGE = "The data of the figure stand here, because no Chrome was found to draw it."

FigureJson = Mapping[str, Any]


def draw(figures: Mapping[Path, FigureJson], fonts: Path) -> str | None:
    """Write each figure as SVG or PNG, by its file's name, all in one batch: one start of Chrome serves them all.

    Returns None, or the sentence that says why there are no images.
    """
    if not figures:
        return None
    import plotly.io as pio
    from kaleido.errors import BrowserFailedError

    for path in figures:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _typefaces(fonts):
            pio.write_images(
                fig=[dict(figure) for figure in figures.values()],
                file=list(figures),
                format=[path.suffix.removeprefix(".") for path in figures],
                width=WIDTH,
                height=[height(figure) for figure in figures.values()],
                scale=[SHARP if path.suffix == PIXELS else 1 for path in figures],
            )
    except BrowserFailedError:
        return NO_CHROME
    except RuntimeError as error:  # what Plotly makes of Kaleido's ChromeNotFoundError
        if "Chrome" not in str(error):
            raise
        return NO_CHROME
    return None


def height(figure: FigureJson) -> int:
    """Height of a figure in pixels."""
    return int(figure.get("layout", {}).get("height") or HEIGHT)


def points(figure: FigureJson) -> int:
    """How many points the traces of a figure hold, those of a table of cells counted by row."""
    return sum(
        max((len(array_of(trace.get(name))) for name in ("x", "y", "z", "values")), default=0)
        for trace in figure.get("data", [])
    )


@contextmanager
def _typefaces(fonts: Path) -> Iterator[None]:
    """Chrome finds the report's typefaces through fontconfig; without them it would measure text in another."""
    before = os.environ.get("FONTCONFIG_FILE")
    os.environ["FONTCONFIG_FILE"] = str(fonts / "fonts.conf")
    try:
        yield
    finally:
        if before is None:
            del os.environ["FONTCONFIG_FILE"]
        else:
            os.environ["FONTCONFIG_FILE"] = before


def data_table(figure: FigureJson, formats: Formats) -> str:
    """A figure's data as a pipe table: one row a category, one column a series; long series are thinned."""
    traces = enumerate(figure.get("data", []), start=1)
    series = {name: points for name, points in (_series(number, trace) for number, trace in traces) if points}
    categories = list(dict.fromkeys(category for points in series.values() for category in points))
    step = max(1, -(-len(categories) // MOST_ROWS))
    rows = [
        [category, *(_cell(points.get(category), formats) for points in series.values())]
        for category in categories[::step]
    ]
    thinned = f" It has {len(categories)} rows; those shown are {step} apart." if step > 1 else ""
    header = ["", *map(escaped, series)]
    return (
        pipe_table(header, [[escaped(text) for text in row] for row in rows], "l" + "r" * len(series))
        + f"\n\n{NO_IMAGE}{thinned}"
    )


def pipe_table(header: list[str], rows: list[list[str]], alignment: str, widths: Sequence[int] = ()) -> str:
    """A pipe table of Markdown cells; `alignment` has one of l, r, c a column, `widths` are relative."""
    rule = {"l": ":{}", "r": "{}:", "c": ":{}:"}
    dashes = ["-" * width for width in widths or [3] * len(header)]
    rules = [rule[side].format(line) for side, line in zip(alignment, dashes, strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rules, *rows])


def _series(number: int, trace: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    across = trace.get("orientation") == "h" or trace.get("type") == "funnel"
    categories, values = (array_of(trace.get(axis)) for axis in ("yx" if across else "xy"))
    name = str(trace.get("name") or f"Series {number}")
    return name, {
        html.unescape(str(category)): value
        for category, value in zip_longest(categories, values)
        if category is not None
    }


def array_of(values: Any) -> list[Any]:
    """Values of a trace; Plotly writes arrays of numbers as base64, with their shape where they are a table."""
    if isinstance(values, Mapping):
        array = np.frombuffer(base64.b64decode(values["bdata"]), dtype=np.dtype(values["dtype"]))
        if "shape" in values:
            array = array.reshape([int(length) for length in str(values["shape"]).split(",")])
        return list(array.tolist())
    return list(values) if values is not None else []


def _cell(value: Any, formats: Formats) -> str:
    if isinstance(value, int | float):
        return formats.value(value, "number")
    return "" if value is None else str(value)
