from __future__ import annotations

import re
from pathlib import Path

import pytest
import typst

from patternbook import theme

THEME = Path(__file__).parents[2] / "reports" / "theme"
COLOURS = {
    "ink": theme.INK,
    "muted": theme.MUTED,
    "rule": theme.RULE,
    "wash": theme.WASH,
    "measured": theme.KIND_COLOURS["measured"],
    "modelled": theme.KIND_COLOURS["modelled"],
    "assumed": theme.KIND_COLOURS["assumed"],
    "gain": theme.GREEN,
    "loss": theme.RED,
}


def test_screen_has_the_colours_of_the_charts() -> None:
    light, _, _ = (THEME / "report.css").read_text("utf-8").partition("prefers-color-scheme: dark")
    declared = dict(re.findall(r"--(\w+): (#\w{6});", light))
    assert {name: declared[name] for name in COLOURS} == COLOURS


def test_paper_has_the_colours_of_the_charts() -> None:
    text = (THEME / "typst-template.typ").read_text("utf-8")
    declared = dict(re.findall(r'#let (\w+) = rgb\("(#\w{6})"\)', text))
    names = {"rule": "hairline", "measured": "accent"}
    for name in ("ink", "muted", "rule", "wash", "measured", "gain", "loss"):
        assert declared[names.get(name, name)] == COLOURS[name], name


@pytest.mark.parametrize("file", ["report.css", "typst-template.typ"])
def test_typefaces_are_those_of_the_charts(file: str) -> None:
    text = (THEME / file).read_text("utf-8")
    assert theme.SANS in text
    assert theme.SERIF in text


def test_fonts_are_small_and_licensed() -> None:
    fonts = list((THEME / "fonts").iterdir())
    assert sum(font.stat().st_size for font in fonts) < 1_000_000
    assert sum("SIL OPEN FONT LICENSE" in font.read_text("utf-8") for font in fonts if font.suffix == ".txt") == 2


@pytest.mark.parametrize("family", [theme.SANS, theme.SERIF])
def test_a_letter_that_no_typeface_has_is_a_box_and_not_a_gap(family: str, tmp_path: Path) -> None:
    page = tmp_path / "page.typ"
    page.write_text(f'#set text(font: "{family}")\n\U0010fffd', "utf-8")
    drawn = typst.compile(str(page), format="svg", font_paths=[str(THEME / "fonts")])
    assert drawn.count(b"<path") == 2, "the ground of the page, and the box"
