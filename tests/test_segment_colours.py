"""Segments are told apart by people with any common colour blindness, and names are legible on their tiles."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from patternbook import theme

Colour = npt.NDArray[np.float64]

# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB.
SEEN = {
    "by most": np.eye(3),
    "without long cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "without medium cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
JUST_NOTICEABLE = 2.3  # CIE76


def linear(colour: str) -> Colour:
    values = np.array(theme.rgb(colour)) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: Colour) -> Colour:
    """CIELAB of linear RGB."""
    ratio = TO_XYZ @ rgb.clip(0, 1) / WHITE
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    dark, light = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def test_the_colour_maths_knows_black_white_and_red() -> None:
    assert lab(linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.1)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.1)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("eyes", SEEN)
def test_any_two_segments_are_told_apart(eyes: str) -> None:
    colours = [*theme.SEGMENT_COLOURS.values(), *theme.FURTHER_COLOURS, theme.MUTED]
    seen = [lab(SEEN[eyes] @ linear(colour)) for colour in colours]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 6 * JUST_NOTICEABLE


def test_a_name_is_legible_on_every_tile() -> None:
    for colour in (*theme.SEGMENT_COLOURS.values(), *theme.FURTHER_COLOURS, theme.MUTED):
        assert contrast(colour, theme.text_on(colour)) >= 4.5


def test_a_segment_keeps_its_colour_whatever_other_rules_there_are() -> None:
    own = theme.segment_colours(["Regulars", "Lost", "Wholesale", "Champions"])
    assert own["Lost"] == theme.SEGMENT_COLOURS["Lost"]
    assert own["Champions"] == theme.SEGMENT_COLOURS["Champions"]
    assert len(set(own.values())) == 4
    assert list(own) == ["Regulars", "Lost", "Wholesale", "Champions"]


def test_a_dozen_segments_have_a_colour_each_and_more_still_have_one() -> None:
    names = [*theme.SEGMENT_COLOURS, "ten", "eleven", "twelve", "thirteen"]
    assert len(set(theme.segment_colours(names[:12]).values())) == 12
    assert len(theme.segment_colours(names)) == 13
