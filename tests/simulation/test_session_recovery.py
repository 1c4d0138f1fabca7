"""A market with a funnel, signals and platforms: what was planted for sessions is found within the stated intervals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from markets import source

from patternbook.analysis import abandonment, sessions, signals
from patternbook.analysis.abandonment import Carts, Paths
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.sessions import Groups, Sessions
from patternbook.analysis.signals import Signals
from patternbook.formats import Formats
from patternbook.params import Params
from patternbook.paths import RunPaths
from patternbook.warehouse.compaction import compact
from patternbook.warehouse.marts import build_marts

US = Formats("USD", "en_US")
WIDER = 2.0  # times the half-width of a 95 % interval: a chance of one in 10,000, so that no seed had to be picked


class Built:
    def __init__(self, paths: RunPaths, truth: dict[str, Any]) -> None:
        self.paths, self.truth = paths, truth

    def mart(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.paths.mart(name))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    root: Path = tmp_path_factory.mktemp("project")
    market = source(60_000, only=("funnel", "signals", "platforms", "repeat_buying"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATTERNBOOK_ROOT", str(root))
        params = Params(run="funnel", source=market)
        compact(params)
        build_marts(params)
        paths = RunPaths("funnel", root)
        yield Built(paths, yaml.safe_load((paths.raw / "truth.json").read_text("utf-8")))


def assert_holds(found: Estimate | None, truth: float) -> None:
    assert found is not None and found.interval is not None
    half = max(found.interval[1] - found.value, found.value - found.interval[0])
    assert abs(found.value - truth) < WIDER * half, (found, truth)


def test_planted_carts_and_orders(made: Built) -> None:
    counts, planted = made.truth["counts"], made.truth["planted"]["funnel"]
    found = sessions.total(made.mart("session_funnel"), "simulated", 10)
    assert isinstance(found, Sessions)
    assert found.counts["carting"] == counts["sessions_with_cart"]
    assert found.counts["buying"] == counts["orders"]
    assert found.counts["carting_to_purchase"] == counts["orders_with_cart"]
    assert found.rates["conversion"].value == counts["orders"] / counts["sessions"]
    paths = abandonment.paths(made.mart("purchases"), made.mart("customers"), made.mart("carts"), "simulated", 10)
    assert isinstance(paths, Paths)
    row = paths.table.row(0, named=True)
    assert_holds(Estimate(row["share"], row["low"], row["high"], paths.orders), planted["cart_given_order"])


def test_planted_removal(made: Built) -> None:
    """The probability of emptying holds for carts that are not ordered from."""
    mart, planted = made.mart("carts"), made.truth["planted"]["funnel"]
    found = abandonment.carts(mart, "simulated", 10)
    assert isinstance(found, Carts)
    counts = made.truth["counts"]
    assert found.abandonment is not None
    assert found.abandonment.value == pytest.approx(1 - counts["orders_with_cart"] / counts["sessions_with_cart"])
    assert_holds(found.removal, planted["removal"] * found.abandonment.value)
    assert sum(found.flows["carts"]) == mart.height


def test_planted_signals_and_the_leaks_among_them(made: Built) -> None:
    found = signals.signals(
        made.mart("signals"), made.mart("sessions").lazy(), made.mart("purchases")["order_id"],
        made.mart("session_funnel"), "simulated", 10, 0.05,
    )  # fmt: skip
    assert isinstance(found, Signals)
    actions = {row["signal"]: row for row in found.table.filter(pl.col("kind") == "Action").iter_rows(named=True)}
    for name, planted in made.truth["planted"]["signals"].items():
        truth = (planted["buying"] / (1 - planted["buying"])) / (planted["browsing"] / (1 - planted["browsing"]))
        row = actions[name]
        off = abs(np.log(row["odds_ratio"] / truth))
        assert off < WIDER * np.log(row["odds_ratio_high"] / row["odds_ratio_low"]) / 2, (name, truth, row)
    assert {name for name, row in actions.items() if row["leak"]} == {"checkout", "delivery_info", "cart"}
    assert signals.answer(found, US).startswith("What tells a buyer most is sign\\_in")
    circumstances = found.table.filter(pl.col("kind").is_in(["Device", "Channel"]))
    assert circumstances.height > 3
    assert circumstances["told"].sum() <= 1  # none is planted


def test_platforms_and_weekdays_are_alike_where_nothing_is_planted(made: Built) -> None:
    found = sessions.by_group(made.mart("session_funnel"), made.mart("product_stats"), 10, 0.05, US)
    assert isinstance(found, Groups)
    alike = found.table.filter(pl.col("grouping").is_in(["Platform", "Weekday"]))
    assert alike.height == 14
    assert (alike["differs"].fill_null(0) != 0).sum() <= 1
    price = found.table.filter(pl.col("grouping") == "Price of products")["group"].to_list()
    assert len(price) == 4 and all(" to $" in name for name in price)
