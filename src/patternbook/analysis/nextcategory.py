"""What each customer will buy next, by top category: a ranking of categories learned from earlier buyers.

Of each customer who buys after a cutoff and each category there is one row: what they did with it before the cutoff.
Trees learn which of a customer's rows is the category of the first order after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from patternbook.analysis import classification
from patternbook.analysis.intervals import Estimate, Floats, share
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.cutoffs import Cutoffs
from patternbook.formats import Formats

MOST_CATEGORIES = 40
PART = 50_000  # customers guessed for at a time: two million rows
COLUMNS = (
    "views", "views_30d", "carts", "purchases", "view_share", "days_since_seen", "days_since_bought", "seen_last",
    "bought_last", "popularity",
)  # fmt: skip
RULES = {
    "bought_last": "category bought last",
    "seen_last": "category seen last",
    "popularity": "most popular category",
}
FORECAST = "forecast"
SETTINGS: dict[str, Any] = {"num_leaves": 7, "min_data_in_leaf": 20}


@dataclass(frozen=True)
class NextCategory:
    """Hit rates at the test by method, on the same buyers; and the likeliest category of those who are asked for."""

    hits: dict[str, Estimate]
    gain: Estimate
    best: str
    guesses: pl.DataFrame


def candidates(
    interests: pl.LazyFrame, customers: pl.DataFrame, popularity: dict[str, float], at: datetime
) -> pl.DataFrame:
    """A row a customer and category, with `COLUMNS`, by customer. `customers` has customer_id."""
    categories = pl.DataFrame({"category": list(popularity), "popularity": list(popularity.values())})
    known = (
        interests.select(
            "customer_id", "category", "views", "views_30d", "carts", "purchases", "last_seen_at", "last_bought_at"
        )
        .join(customers.lazy().select("customer_id"), on="customer_id", how="semi")
        .collect(engine="streaming")
    )
    day = 86_400
    rows = (
        customers.select("customer_id")
        .join(categories, how="cross")
        .join(known, on=["customer_id", "category"], how="left")
        .sort("customer_id", "category")
    )
    whole = pl.col("views").sum().over("customer_id")
    return rows.with_columns(pl.col("views", "views_30d", "carts", "purchases").fill_null(0)).with_columns(
        (pl.col("views") / pl.when(whole > 0).then(whole)).alias("view_share"),
        ((pl.lit(at) - pl.col("last_seen_at")).dt.total_seconds() / day).alias("days_since_seen"),
        ((pl.lit(at) - pl.col("last_bought_at")).dt.total_seconds() / day).alias("days_since_bought"),
        (pl.col("last_seen_at") == pl.col("last_seen_at").max().over("customer_id"))
        .fill_null(False)
        .alias("seen_last"),
        (pl.col("last_bought_at") == pl.col("last_bought_at").max().over("customer_id"))
        .fill_null(False)
        .alias("bought_last"),
    )


def _matrix(rows: pl.DataFrame) -> Floats:
    values: Floats = rows.select(pl.col(COLUMNS).cast(pl.Float64).fill_null(float("nan"))).to_numpy()
    return values


def next_category(
    interests: pl.LazyFrame, labels: pl.DataFrame, at: Cutoffs, asked: pl.DataFrame, minimum_buyers: int
) -> NextCategory | LeftOut:
    """Learn at all cutoffs before the test, test there; guess for the customers `asked` for (customer_id), now."""
    bought = labels.filter(pl.col("days_to_purchase") < at.horizon).drop_nulls("next_category")
    before = bought.filter(pl.col("cutoff") < at.test)
    after = bought.filter(pl.col("cutoff") == at.test)
    counts = before["next_category"].value_counts(sort=True).sort("count", "next_category", descending=[True, False])
    if min(before.height, after.height) < minimum_buyers or counts.height < 2:
        return LeftOut("Too few buyers have a category to tell which one comes next.")
    popularity = {name: count / before.height for name, count in counts.head(MOST_CATEGORIES).iter_rows()}
    learned = [
        _rows(interests, before.filter(pl.col("cutoff") == day), popularity) for day in before["cutoff"].unique().sort()
    ]
    rows = pl.concat(learned)
    booster = classification.grow(_matrix(rows), rows["chosen"].to_numpy(), COLUMNS, rounds=100, **SETTINGS)
    tested = _rows(interests, after, popularity)
    scored = tested.with_columns(pl.Series(FORECAST, classification.log_odds(booster, _matrix(tested))))
    hits = {name: _hit(scored, column) for column, name in {FORECAST: FORECAST, **RULES}.items()}
    found = {name: _estimate(flags) for name, flags in hits.items()}
    best = max(RULES.values(), key=lambda name: found[name].value)
    difference = hits[FORECAST].astype(float) - hits[best]
    drawn = classification.bootstrap(
        {"gain": lambda weights: weights @ difference / weights.sum(axis=1)}, len(difference)
    )
    nobody = pl.DataFrame(schema={"customer_id": pl.Int64, "next_category": pl.String})
    current = interests.filter(pl.col("cutoff") == at.scoring)

    def guessed(some: pl.DataFrame) -> pl.DataFrame:
        rows = candidates(current, some, popularity, _midnight(at.scoring))
        odds = pl.Series(FORECAST, classification.log_odds(booster, _matrix(rows)))
        return _first(rows.with_columns(odds), FORECAST).select(
            "customer_id", pl.col("category").alias("next_category")
        )

    return NextCategory(
        found,
        classification.percentiles(drawn["gain"], len(difference)),
        best,
        pl.concat([nobody, *(guessed(some) for some in asked.iter_slices(PART) if some.height)]),
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _rows(interests: pl.LazyFrame, buyers: pl.DataFrame, popularity: dict[str, float]) -> pl.DataFrame:
    """Candidates of the buyers of one cutoff, with `chosen`, the one that came."""
    day: date = buyers["cutoff"][0]
    rows = candidates(interests.filter(pl.col("cutoff") == day), buyers, popularity, _midnight(day))
    joined = rows.join(
        buyers.select("customer_id", "next_category"), on="customer_id", how="left", maintain_order="left"
    )
    return joined.with_columns((pl.col("category") == pl.col("next_category")).alias("chosen"))


def _first(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """The best row of each customer by a column, ties by popularity."""
    ranked = rows.sort("customer_id", column, "popularity", "category", descending=[False, True, True, False])
    return ranked.unique("customer_id", keep="first", maintain_order=True)


def _hit(rows: pl.DataFrame, column: str) -> classification.Flags:
    flags: classification.Flags = _first(rows, column)["chosen"].to_numpy()
    return flags


def _estimate(flags: classification.Flags) -> Estimate:
    found = share(int(flags.sum()), len(flags))
    assert found is not None
    return found


def measures(found: NextCategory | LeftOut) -> list[Measure]:
    """What 04 records of it."""
    label = "Buyers whose next category was foretold"
    if isinstance(found, LeftOut):
        names = ("next_category_hit_rate", "next_category_hit_rate_rule", "next_category_gain")
        return [measured(name, label, "share", None, found.reason) for name in names]
    return [
        measured("next_category_hit_rate", label, "share", found.hits[FORECAST]),
        measured("next_category_hit_rate_rule", f"{label} by the {found.best}", "share", found.hits[found.best]),
        measured("next_category_gain", f"{label}: gain over the {found.best}", "share", found.gain),
    ]


def table(found: NextCategory) -> pl.DataFrame:
    """One row a method: method, hit_rate with low and high, buyers."""
    rows = [(name, one.value, one.low, one.high, one.n) for name, one in found.hits.items()]
    return pl.DataFrame(rows, schema=["method", "hit_rate", "low", "high", "buyers"], orient="row")


def answer(found: NextCategory | LeftOut, formats: Formats) -> str:
    """How often the next category is foretold, against the best rule."""
    if isinstance(found, LeftOut):
        return found.reason
    ours, rule = (formats.share(found.hits[name].value, found.hits[name].interval) for name in (FORECAST, found.best))
    low, high = found.gain.low or 0.0, found.gain.high or 0.0
    verdict = "more than" if low > 0 else "fewer than" if high < 0 else "within what chance allows as many as"
    return (
        f"The category that a buyer bought next was foretold for {ours} of buyers, {verdict} by the {found.best}: "
        f"{rule}."
    )
