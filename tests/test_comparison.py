"""What moved between two runs, against cases worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from patternbook.analysis.intervals import wilson
from patternbook.circumstances import compare_circumstances
from patternbook.comparison import compare, compare_states, interval_of_difference
from patternbook.findings import Finding
from patternbook.runs import State

PARAMETERS = {"run": "a", "source": {"kind": "clickstream", "files": ["x.csv"]}, "currency": {"code": "USD"}}
MANIFEST = {
    "run": "a", "finished_at": "2026-01-01T00:00:00+00:00", "parameters": PARAMETERS, "packages": {"polars": "1"},
    "inputs": {"raw/x.csv": {"sha256": "1" * 64}}, "code": {"patternbook/cli.py": "2" * 64}, "git": {"commit": None},
    "patternbook": "0.1", "python": "3.11", "platform": "p", "processor": "x86_64",
}  # fmt: skip


def finding(value: Any, interval: tuple[float, float] | None = None, unit: str = "share", **more: Any) -> Finding:
    low, high = interval or (None, None)
    return Finding(
        value=value, low=low, high=high, unit=unit, kind="measured", label="L", notebook="02_eda", cell="c", **more
    )


def verdict(before: Finding | None, after: Finding | None, **options: Any) -> str | None:
    moves = compare(*({"a.b": one} if one else {} for one in (before, after)), **options)
    return moves[0].verdict if moves else None


def test_symmetric_intervals_give_the_difference_and_its_standard_error() -> None:
    # standard errors 3 and 4 make 5, so ± 1.96 × 5
    low, high = interval_of_difference(
        finding(10, (10 - 1.96 * 3, 10 + 1.96 * 3), "number"), finding(20, (20 - 1.96 * 4, 20 + 1.96 * 4), "number")
    ) or (0.0, 0.0)
    assert (low, high) == pytest.approx((10 - 9.8, 10 + 9.8))


def test_shares_give_newcombes_published_interval() -> None:
    # Newcombe 1998, table II: 56/70 against 48/80, difference 0.20, method 10: 0.0524 to 0.3339
    ends = [wilson(x, n) for x, n in ((48, 80), (56, 70))]
    before, after = (
        finding(x / n, (float(low), float(high)))
        for (x, n), (low, high) in zip(((48, 80), (56, 70)), ends, strict=True)
    )
    assert interval_of_difference(before, after) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (finding(0.60, (0.59, 0.61)), finding(0.62, (0.61, 0.63)), "beyond"),  # 0.02 − √2·0.01 > 0
        (finding(0.60, (0.59, 0.61)), finding(0.614, (0.604, 0.624)), "within"),  # 0.014 − √2·0.01 < 0
        (finding(0.60, (0.50, 0.61)), finding(0.62, (0.61, 0.99)), "beyond"),  # the arms that face each other count
        (finding(0.60, (0.59, 0.61)), finding(0.60, (0.58, 0.62)), "within"),
        (finding(0.60, (0.59, 0.61)), finding(0.60, (0.59, 0.61)), None),
        (finding(5, unit="count"), finding(6, unit="count"), "changed"),
        (finding(0.6, (0.5, 0.7)), finding(0.9), "changed"),
        (finding("a", unit="text"), finding("b", unit="text"), "changed"),
        (finding(5, unit="count"), finding(5, unit="days"), "changed"),
        (finding(5), None, "gone"),
        (None, finding(5), "new"),
        (finding(5), finding(None, reason="too few"), "left out"),
        (finding(None, reason="too few"), finding(5), "found"),
        (finding(None, reason="too few"), finding(None, reason="no carts"), "reason"),
        (finding(None, reason="too few"), finding(None, reason="too few"), None),
    ],
)
def test_verdicts(before: Finding | None, after: Finding | None, expected: str | None) -> None:
    assert verdict(before, after) == expected


def test_beyond_is_said_of_two_samples_of_one_market_in_at_most_its_five_per_cent() -> None:
    seeds, people = 2000, 400
    bought = np.random.default_rng().binomial(people, 0.3, size=(seeds, 2))
    low, high = wilson(bought, people)
    said = sum(
        verdict(*(finding(bought[n, side] / people, (low[n, side], high[n, side])) for side in (0, 1))) == "beyond"
        for n in range(seeds)
    )
    assert binom.ppf(1e-6, seeds, 0.05) <= said <= binom.ppf(1 - 1e-6, seeds, 0.05)


def test_size_is_told_absolutely_and_relatively() -> None:
    (move,) = compare({"a.b": finding(0.5, (0.4, 0.6))}, {"a.b": finding(0.6, (0.5, 0.7))})
    assert (move.difference, move.relative) == pytest.approx((0.1, 0.2))
    assert (move.low, move.high) == pytest.approx((0.1 - math.hypot(0.1, 0.1), 0.1 + math.hypot(0.1, 0.1)))


@pytest.mark.parametrize("before", [0, -0.2])
def test_there_is_no_relative_size_of_a_change_from_nothing_or_from_less(before: float) -> None:
    (move,) = compare({"a.b": finding(before)}, {"a.b": finding(0.3)})
    assert move.relative is None
    assert move.difference == pytest.approx(0.3 - before)


def test_amounts_of_two_currencies_are_not_subtracted() -> None:
    amounts = [finding(value, (value - 1, value + 1), "currency") for value in (10, 20)]
    (move,) = compare({"a.b": amounts[0]}, {"a.b": amounts[1]}, one_currency=False)
    assert (move.verdict, move.difference) == ("changed", None)
    euro = {**MANIFEST, "parameters": {**PARAMETERS, "currency": {"code": "EUR"}}}
    moves = compare_states(State(MANIFEST, {"a.b": amounts[0]}), State(euro, {"a.b": amounts[1]})).moves
    assert moves[0].difference is None


def test_what_matters_most_comes_first() -> None:
    before = {
        "a.beyond": finding(0.6, (0.59, 0.61)), "a.changed": finding(10), "a.doubled": finding(10),
        "a.within": finding(0.6, (0.1, 0.9)), "a.headline": finding(0.6, (0.1, 0.9)), "a.same": finding(1),
        "a.from_zero": finding(0),
    }  # fmt: skip
    after = {
        "a.beyond": finding(0.7, (0.69, 0.71)), "a.changed": finding(11), "a.doubled": finding(20),
        "a.within": finding(0.7, (0.1, 0.9)), "a.headline": finding(0.7, (0.1, 0.9)), "a.same": finding(1),
        "a.from_zero": finding(3), "a.new": finding(1),
    }  # fmt: skip
    order = [move.id for move in compare(before, after, first=["a.headline", "a.same"])]
    assert order == ["a.headline", "a.beyond", "a.from_zero", "a.doubled", "a.changed", "a.new", "a.within"]


def changed(**changes: Any) -> dict[str, Any]:
    return {**MANIFEST, **changes}


def test_equal_manifests_differ_in_nothing() -> None:
    assert compare_circumstances(MANIFEST, MANIFEST).changes == {}


def test_parameters_are_told_by_dotted_key_and_names_of_runs_are_not() -> None:
    other = {**PARAMETERS, "run": "b", "source": {"kind": "clickstream", "files": ["x.csv", "y.csv"]}, "filter": "a"}
    changes = compare_circumstances(MANIFEST, changed(parameters=other)).parameters
    assert changes == [("source.files", "x.csv", "x.csv, y.csv"), ("filter", "—", "a")]


def test_input_is_told_by_content() -> None:
    inputs = {"moved/x.csv": {"sha256": "1" * 64}, "y.csv": {"sha256": "3" * 64}}
    found = compare_circumstances(MANIFEST, changed(inputs=inputs))
    assert found.inputs == [("y.csv", "—", "3" * 12)]
    grown = compare_circumstances(MANIFEST, changed(inputs={"raw/x.csv": {"sha256": "4" * 64}}))
    assert grown.inputs == [("raw/x.csv", "1" * 12, "4" * 12)]


def test_code_and_versions_are_told() -> None:
    found = compare_circumstances(
        MANIFEST, changed(code={"patternbook/cli.py": "5" * 64}, packages={"polars": "2", "new": "1"}, python="3.12")
    )
    assert found.code == [("patternbook/cli.py", "2" * 12, "5" * 12)]
    assert found.versions == [("python", "3.11", "3.12"), ("polars", "1", "2"), ("new", "—", "1")]


SIMULATED = {**PARAMETERS, "source": {"kind": "simulated"}}


@pytest.mark.parametrize(
    ("parameters", "inputs", "said"),
    [
        (PARAMETERS, {"elsewhere/x.csv": {"sha256": "1" * 64}}, "Both read the same data"),
        (PARAMETERS, {"raw/x.csv": {"sha256": "9" * 64}}, "They share files, or names of files"),
        (PARAMETERS, {"x.csv": {"sha256": "1" * 64}, "y.csv": {"sha256": "9" * 64}}, "They share files"),
        (PARAMETERS, {"raw/y.csv": {"sha256": "9" * 64}}, "They read different files"),
        (SIMULATED, {"raw/x.csv": {"sha256": "9" * 64}}, "They read different files"),
    ],
)
def test_whether_two_runs_are_independent_is_said(parameters: Any, inputs: Any, said: str) -> None:
    before = changed(parameters=parameters)
    assert compare_circumstances(before, changed(parameters=parameters, inputs=inputs)).shared.startswith(said)


def test_as_json_holds_both_findings_and_the_interval_of_the_difference() -> None:
    states = [State(MANIFEST, {"a.b": finding(value, (value - 0.1, value + 0.1))}) for value in (0.2, 0.7)]
    told = compare_states(*states).as_json()
    (moved,) = told["moved"]
    assert (moved["id"], moved["verdict"], moved["before"]["value"], moved["after"]["high"]) == (
        "a.b", "beyond", 0.2, pytest.approx(0.8),
    )  # fmt: skip
    assert moved["low"] == pytest.approx(0.5 - math.hypot(0.1, 0.1))
    assert told["findings"] == 1
