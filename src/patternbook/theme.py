"""The one visual language of charts, tables and report: typefaces and colours, each colour with one meaning."""

from __future__ import annotations

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
