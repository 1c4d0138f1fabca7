"""Charts for paper, which is wider than a telephone: fewer broken lines, and lower plots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

TITLE_LENGTH, SUBTITLE_LENGTH = 96, 136  # characters that fit on a line of paper
TITLE_BREAK = "</b><br><b>"
LABEL_BREAK = "</b><br>"  # between a bar's label and its text; see charts.drawing.labelled_bars
BESIDE = "</b>  \u200e"  # what stands for it on paper; a name from right to left takes no number along
HEAD_LINE = 22  # pixels of a line of the heading; see charts.drawing.finished
LABELLED, PANELS, OTHER = 0.45, 0.88, 0.64  # of the height on screen: rows whose label takes one line, panels, others
LEAST = 90  # pixels, which no plot goes below
BOTTOM, NO_AXIS = 22, 8  # pixels below a plot, and below one without an axis there; Plotly adds what ticks need
SUBTITLE = re.compile(r'<br>(?P<style><span style="font-size:[^>]*>)(?P<line>.*?)</span>(?=<br>|$)')
TAG = re.compile(r"<[^>]*>")

FigureJson = Mapping[str, Any]


def on_paper(figure: FigureJson) -> dict[str, Any]:
    """A copy of a figure as it is printed: its heading on fewer lines, labels on one, and the plot lower."""
    result = deepcopy(dict(figure))
    layout = result.get("layout", {})
    height, margin = layout.get("height"), layout.get("margin", {})
    if not height or "t" not in margin:
        return result
    heading, saved = _heading(str(layout.get("title", {}).get("text", "")))
    labelled = [entry for entry in layout.get("annotations", []) if LABEL_BREAK in str(entry.get("text", ""))]
    plot = height - margin["t"] - margin.get("b", 0)
    share = LABELLED if labelled else PANELS if "yaxis2" in layout else OTHER
    lower = max(round(plot * share), min(plot, LEAST))
    has_axis = layout.get("xaxis", {}).get("visible") is not False
    margin["b"] = min(margin.get("b", 0), BOTTOM if has_axis else NO_AXIS)
    margin["l"] = 0  # flush with the text
    layout["title"].setdefault("pad", {})["l"] = 0
    for entry in labelled:
        entry["text"] = entry["text"].replace(LABEL_BREAK, BESIDE, 1)
    if heading:
        layout["title"]["text"] = heading
    margin["t"] -= saved * HEAD_LINE
    layout["height"] = margin["t"] + lower + margin.get("b", 0)
    return result


def _heading(text: str) -> tuple[str, int]:
    """A heading with its title and its subtitle on one line each where they fit, and how many lines that saves."""
    title, lines = SUBTITLE.sub("", text), list(SUBTITLE.finditer(text))
    joined = title.replace(TITLE_BREAK, " ")
    if len(TAG.sub("", joined)) > TITLE_LENGTH:
        joined = title
    below: list[str] = []
    for line in (match["line"] for match in lines):
        fits = below and len(TAG.sub("", f"{below[-1]} {line}")) <= SUBTITLE_LENGTH
        below = [*below[:-1], f"{below[-1]} {line}"] if fits else [*below, line]
    saved = title.count(TITLE_BREAK) - joined.count(TITLE_BREAK) + len(lines) - len(below)
    return joined + "".join(f"<br>{lines[0]['style']}{line}</span>" for line in below), saved
