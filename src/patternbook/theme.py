"""The one visual language of charts, tables and report: typefaces and colours, each colour with one meaning."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

SANS = "Source Sans 3"
SERIF = "Source Serif 4"
SANS_STACK = f"'{SANS}', 'Source Sans Pro', 'Helvetica Neue', Arial, sans-serif"

INK = "#16202c"  # text
MUTED = "#5a6676"  # secondary text; 4.5:1 on paper
RULE = "#dfe3e8"  # hairlines and grid
PAPER = "#ffffff"
WASH = "#f5f7f9"  # panels

BLUE = "#1f5a92"  # the main series; measured
ORANGE = "#c8650b"  # the contrast to it; modelled
GREEN = "#1b7f6b"  # gain
PURPLE = "#7b4b94"  # assumed
SKY = "#62a6d6"
SAND = "#c9a24b"
RED = "#b3323a"  # loss

SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, SAND, RED)  # told apart with any common colour blindness

EVENT_COLOURS = {"view": SKY, "cart": SAND, "remove_from_cart": MUTED, "purchase": BLUE, "other": "#aab4c0"}
KIND_COLOURS = {"measured": BLUE, "modelled": ORANGE, "assumed": PURPLE}

# From the best to those who left: cold while they buy, warm where they may be lost, pale or violet once they are quiet.
# Any two are told apart with any common colour blindness.
SEGMENT_COLOURS = {
    "Champions": "#2a2d62",
    "Loyal": "#3d8fce",
    "Can't lose them": "#980000",
    "At risk": "#cd7200",
    "New": "#13844f",
    "Promising": "#7fdeab",
    "Needs attention": "#b5d872",
    "Hibernating": "#90cbdd",
    "Lost": "#5a20ac",
}
FURTHER_COLOURS = ("#fcc214", "#1414fc", "#141414")  # for more segments than these


def segment_colours(names: Sequence[str]) -> dict[str, str]:
    """The colour of each segment, in the order of the rules: its own, or for a name that has none one that is free."""
    free = [colour for name, colour in SEGMENT_COLOURS.items() if name not in names]
    others = itertools.cycle([*free, *FURTHER_COLOURS])
    return {name: SEGMENT_COLOURS[name] if name in SEGMENT_COLOURS else next(others) for name in names}


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`, from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def luminance(colour: str) -> float:
    """Relative luminance, from 0 to 1 (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_on(colour: str) -> str:
    """Paper or ink, whichever stands out more from a tile of this colour."""
    to_paper = (luminance(PAPER) + 0.05) / (luminance(colour) + 0.05)
    to_ink = (luminance(colour) + 0.05) / (luminance(INK) + 0.05)
    return PAPER if to_paper >= to_ink else INK
