"""Who leaves: limits of silence, forecasts that only look back, waits, and what is at stake."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import lifelines
import numpy as np
import polars as pl
import pytest
import repeat_buying
import shap
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.statistics import logrank_test
from scipy.stats import false_discovery_control, lognorm

from patternbook.analysis import churn, leaving, risk, silence, survival
from patternbook.analysis.bgnbd import BgNbd
from patternbook.analysis.history import history
from patternbook.analysis.leaving import MODEL, RECENCY, TREES, Leaving, Settings, study
from patternbook.analysis.lifetime import Models, Terms, fit, per_customer
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.moments import FEATURES, Definition, Log, Moment, matrix, moment
from patternbook.formats import Formats
from patternbook.params import Churn

US = Formats("USD", "en_US")
START, LAST = date(2024, 1, 1), date(2024, 12, 30)
BUYERS = 2000
DEFINITION = Definition("silence", 0.9, 0.5)
SETTINGS = Settings(DEFINITION, 0.6, 50, 1)
LEVELS = risk.Levels(0.3, 0.6, 0.2, 0.5)


def shop(n: int, seed: int, days: int = 365) -> pl.DataFrame:
    """Orders of `n` buyers within `days`, drop-out planted."""
    return repeat_buying.orders(n, np.random.default_rng(seed), START, days)


def orders(rows: list[tuple[int, datetime]], units: int = 1) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"customer_id": pl.Int64, "ordered_at": pl.Datetime("us")}, orient="row")
    return frame.with_columns(pl.lit(units).alias("units"), (20.0 + pl.col("customer_id") % 7).alias("revenue"))


def visits(purchases: pl.DataFrame) -> pl.DataFrame:
    return purchases.select("customer_id", pl.col("ordered_at").alias("ended_at"), pl.lit(1).alias("carts"))


def log_of(purchases: pl.DataFrame, last: date = LAST) -> Log:
    return Log.of(purchases, visits(purchases), START, last, "UTC")


@pytest.fixture(scope="module")
def found() -> Leaving:
    """The year of a shop up to its last quarter, so that what follows is known."""
    result = study(log_of(shop(BUYERS, 1)), SETTINGS, 90)
    assert isinstance(result, Leaving)
    return result


# --- limits of silence ----------------------------------------------------------------------------------------------


def drawn_gaps(customers: int, rng: np.random.Generator) -> pl.DataFrame:
    """Two to eight gaps a customer, log-normal around a mean of their own: mean 3, between 0.5, within 0.4."""
    number = rng.integers(2, 9, customers)
    own = rng.normal(3.0, np.sqrt(0.5), customers)
    logs = rng.normal(np.repeat(own, number), np.sqrt(0.4))
    return (
        pl.DataFrame({"customer_id": np.repeat(np.arange(customers), number), "log": logs})
        .group_by("customer_id", maintain_order=True)
        .agg(
            pl.len().alias("gaps"),
            pl.col("log").mean().alias("mean_log"),
            ((pl.col("log") - pl.col("log").mean()) ** 2).sum().alias("squares"),
        )
    )


def test_rhythm_finds_what_was_planted() -> None:
    rhythm = silence.rhythm(drawn_gaps(20_000, np.random.default_rng(0)))
    assert not isinstance(rhythm, LeftOut)
    assert rhythm == pytest.approx((3.0, 0.5, 0.4), abs=0.03)


def test_limits_are_exceeded_as_often_as_they_say() -> None:
    """The next gap of each customer lies beyond the limit for one in ten, with few gaps and with many."""
    rng = np.random.default_rng(1)
    n = 40_000
    number = rng.integers(0, 6, n).astype(float)
    own = rng.normal(3.0, np.sqrt(0.5), n)
    mean_log = own + rng.normal(0, np.sqrt(0.4 / np.maximum(number, 1)))
    limit = silence.limits(silence.Rhythm(3.0, 0.5, 0.4), number, mean_log, 0.9)
    beyond = np.exp(rng.normal(own, np.sqrt(0.4))) > limit
    for k in range(6):
        assert beyond[number == k].mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / (number == k).sum()))


@settings(deadline=None, max_examples=80)
@given(
    number=st.integers(0, 1000),
    mean_log=st.floats(0, 6),
    between=st.floats(0, 2),
    within=st.floats(0.01, 2),
    quantile=st.floats(0.5, 0.98),
)
def test_a_limit_lies_between_the_own_rhythm_and_everybodys(
    number: int, mean_log: float, between: float, within: float, quantile: float
) -> None:
    rhythm = silence.Rhythm(3.0, between, within)
    own, none, stricter = (
        float(silence.limits(rhythm, np.array([k]), np.array([mean_log]), q)[0])
        for k, q in ((number, quantile), (0, quantile), (number, quantile + 0.01))
    )
    known = lognorm.ppf(quantile, np.sqrt(within), scale=np.exp(mean_log))
    assert none == pytest.approx(lognorm.ppf(quantile, np.sqrt(within + between), scale=np.exp(3.0)))
    assert (
        min(known, np.exp(3.0)) * (1 - 1e-9)
        <= own
        <= max(known, none, np.exp(mean_log) * none / np.exp(3.0)) * (1 + 1e-9)
    )
    assert own < stricter


def test_limits_of_life_are_where_p_alive_crosses() -> None:
    model = BgNbd(*repeat_buying.BUYING, np.eye(4), 0.0)
    x, t_x = np.array([1.0, 4.0, 30.0]), np.array([3.0, 20.0, 40.0])
    limit = silence.limits_of_life(model, x, t_x, 0.3)
    assert model.p_alive(x, t_x, t_x + limit) == pytest.approx([0.3] * 3)
    assert silence.limits_of_life(model, np.zeros(1), np.zeros(1), 0.3) == [np.inf]


def test_probability_of_silence_between_two_moments_is_that_of_draws() -> None:
    model, rng, n = BgNbd(*repeat_buying.BUYING, np.eye(4), 0.0), np.random.default_rng(2), 200_000
    x, t_x, T = 3.0, 20.0, 26.0
    rate, leave = rng.gamma(model.r + x, 1 / (model.alpha + T), n), rng.beta(model.a, model.b + x, n)
    times = np.cumsum(rng.exponential(1, (n, 40)) / rate[:, None], axis=1)
    real = (np.arange(40) < rng.geometric(leave)[:, None]) & (rng.random(n) < model.p_alive(x, t_x, T))[:, None]
    silent = ~(real & (times > 12) & (times <= 20)).any(axis=1)
    assert silent.mean() == pytest.approx(float(model.p_silent_between(12, 20, x, t_x, T)), abs=4 * 0.5 / np.sqrt(n))
    assert model.p_silent_between(0, 8, x, t_x, T) == pytest.approx(model.p_silent(8, x, t_x, T))


def test_who_has_left_by_hand() -> None:
    days = pl.DataFrame({"customer_id": [1, 2, 2, 3], "day": [START] * 3 + [date(2024, 1, 9)]}).with_columns(
        pl.when(pl.int_range(4) == 2).then(date(2024, 1, 5)).otherwise("day").alias("day")
    )
    customers = pl.DataFrame({"customer_id": [1, 2, 3], "limit": [9.0, 4.0, np.inf]})
    assert silence.left(days, customers, date(2024, 1, 9)).tolist() == [0, 0, 0]
    assert silence.left(days, customers, date(2024, 1, 10)).tolist() == [0, 1, 0]
    assert silence.left(days, customers, date(2024, 1, 11)).tolist() == [1, 1, 0]


# --- time only runs forward -----------------------------------------------------------------------------------------


def test_no_feature_moves_when_the_future_runs_wild() -> None:
    calm = shop(600, 3)
    cutoff = date(2024, 8, 1)
    rng = np.random.default_rng(0)
    later = orders(
        [(int(k), datetime(2024, 8, 2, 0, 0, 1) + timedelta(hours=int(k))) for k in rng.integers(0, 600, 3000)]
    )
    wild = pl.concat(
        [calm, later.with_columns(pl.col("revenue") * 1000), later.with_columns(pl.lit(-5).alias("units"))]
    )
    for kind in ("silence", "p_alive"):
        definition = Definition(kind, 0.9, 0.5)
        before, after = (moment(log_of(rows), cutoff, definition, 50) for rows in (calm, wild))
        assert isinstance(before, Moment) and isinstance(after, Moment)
        assert before.present.equals(after.present) and before.left.equals(after.left)
        assert before.model is not None and after.model is not None
        assert before.model.parameters == pytest.approx(after.model.parameters)


def test_features_by_hand() -> None:
    many = shop(300, 4).filter(pl.col("customer_id") != 7)
    own = orders([(7, datetime(2024, 3, day, 12)) for day in (1, 5, 17)])
    back = orders([(7, datetime(2024, 3, 18, 12))], units=-1)
    known = moment(log_of(pl.concat([many, own, back])), date(2024, 3, 20), DEFINITION, 50)
    assert isinstance(known, Moment)
    (row,) = known.present.filter(pl.col("customer_id") == 7).select(list(FEATURES)).rows(named=True)
    expected = {"silence": 3, "age": 19, "transactions": 3, "gap": 8, "slowing": 1.5, "returned": 1, "unseen": 2}
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert (row["visits"], row["carts"]) == (4, 4)
    assert row["lateness"] == pytest.approx(3 / row["limit"])


def test_a_test_is_made_of_what_was_known_before_it(found: Leaving) -> None:
    """What follows the tested cutoff decides the outcome and moves no probability."""
    assert found.headline is not None and found.headline.tested is not None
    tested = found.headline.tested
    assert tested.cutoff == LAST - timedelta(days=90)
    quiet = shop(BUYERS, 1).filter(pl.col("ordered_at").dt.date() <= tested.cutoff)
    extra = orders([(k, datetime(2024, 12, 30, 12)) for k in range(BUYERS // 2)])
    changed = study(log_of(pl.concat([quiet, extra])), SETTINGS, 90)
    assert isinstance(changed, Leaving) and changed.headline is not None and changed.headline.tested is not None
    assert not np.array_equal(changed.headline.tested.left, tested.left)
    for method, probability in tested.probabilities.items():
        assert np.array_equal(changed.headline.tested.probabilities[method], probability)


# --- forecasts ------------------------------------------------------------------------------------------------------


def test_with_drop_out_planted_the_model_beats_recency_and_is_calibrated(found: Leaving) -> None:
    assert set(found.forecasts) == {30, 60, 90, 180} and found.headline is not None
    headline, tested = found.headline, found.headline.tested
    assert headline.horizon == 90 and tested is not None
    assert set(tested.probabilities) == {TREES, MODEL, RECENCY}
    ahead = leaving.percentiles(tested.replicates[MODEL] - tested.replicates[RECENCY], len(tested.left))
    assert ahead.low is not None and ahead.low > 0
    expected = tested.probabilities[MODEL]
    chance = np.sqrt((expected * (1 - expected)).sum())
    assert abs(expected.sum() - tested.left.sum()) < 8 * chance  # chance here, and as much in the calibration
    error = churn.quality(tested, MODEL, 0.6)["calibration_error"]
    assert error is not None and error.value < 0.08
    assert headline.method in (MODEL, TREES)
    expected_by_horizon = [forecast.expected.value for forecast in found.forecasts.values()]
    assert expected_by_horizon == sorted(expected_by_horizon)


def test_how_many_will_have_left_lies_in_the_interval() -> None:
    """A dozen shops, each seen for a year, and the 60 days that follow."""
    hits = 0
    for seed in range(12):
        whole = shop(700, 100 + seed, 425)
        forecast = leaving.forecast(leaving.Moments(log_of(whole), SETTINGS), 60)
        assert isinstance(forecast, leaving.Forecast)
        outcome = silence.left(log_of(whole).days, forecast.undecided, LAST + timedelta(days=60))
        low, high = forecast.expected.low, forecast.expected.high
        assert low is not None and high is not None
        hits += low <= outcome.sum() <= high
    assert hits >= 8  # binomial(12, 0.95): fewer happen once in 5,000 times


def test_contributions_add_up_to_the_log_odds_and_are_those_of_shap(found: Leaving) -> None:
    assert found.headline is not None and found.headline.trees is not None
    few = found.headline.undecided.head(200)
    whole = np.asarray(found.headline.trees.predict(matrix(few), pred_contrib=True))
    margin = np.asarray(found.headline.trees.predict(matrix(few), raw_score=True))
    assert whole.sum(axis=1) == pytest.approx(margin)
    parts = churn.contributions(found.headline)[:200]
    explained = np.asarray(shap.TreeExplainer(found.headline.trees).shap_values(matrix(few)))
    assert parts == pytest.approx(explained.reshape(parts.shape), abs=1e-6)


def test_factors_are_the_largest_contributions_in_words(found: Leaving) -> None:
    assert found.headline is not None
    words = churn.factors(found.headline)
    parts = churn.contributions(found.headline)
    assert words.height == len(parts)
    leading = np.array(list(FEATURES.values()))[parts.argmax(axis=1)]
    for text, meaning, size in zip(words["factor_1"][:50], leading[:50], parts.max(axis=1)[:50], strict=True):
        assert (text is None) == (size <= 0)
        assert text is None or text.startswith(meaning)


def test_the_same_data_give_the_same_numbers_with_one_thread_and_two(found: Leaving) -> None:
    again = study(log_of(shop(BUYERS, 1).sample(fraction=1, shuffle=True, seed=5)), SETTINGS._replace(threads=2), 90)
    assert isinstance(again, Leaving)
    assert churn.customers(again).equals(churn.customers(found))
    assert churn.measures(again) == churn.measures(found)


def test_a_customer_has_one_row_and_probabilities_only_while_there(found: Leaving) -> None:
    everyone = churn.customers(found)
    assert everyone["customer_id"].is_unique().all() and everyone.height == BUYERS
    chances = everyone.select(pl.col("^p_left_.*$"))
    gone, there = (chances.filter(everyone["left"] == flag) for flag in (True, False))
    assert all(gone[name].null_count() == gone.height for name in gone.columns)
    assert all(there[name].is_between(0, 1).all() for name in there.columns)
    assert there["p_left_90d"].sum() == pytest.approx(found.forecasts[90].expected.value)


def test_where_one_feature_knows_it_all_no_forecast_is_given(found: Leaving) -> None:
    features = churn.importance(found)
    assert isinstance(features, pl.DataFrame) and features["share"].sum() == pytest.approx(1)
    assert churn.believed(found, features) is found
    leak = features.with_columns(pl.when(pl.col("feature") == "age").then(0.97).otherwise("auc_low").alias("auc_low"))
    refused = churn.believed(found, leak)
    assert isinstance(refused, LeftOut) and FEATURES["age"] in refused.reason
    assert all(measure.value is None and measure.reason for measure in churn.measures(refused))


# --- data that allow nothing ----------------------------------------------------------------------------------------

ONE_EACH = orders([(k, datetime(2024, 1, 1) + timedelta(days=k)) for k in range(300)])


@pytest.mark.parametrize(
    ("purchases", "last", "said"),
    [
        (shop(40, 5), LAST, "fewer than the 50"),
        (ONE_EACH, LAST, "too rarely"),
        (orders([(k, datetime(2024, 1, 1, 12)) for k in range(300)]), START, "too rarely"),
        (shop(300, 6).with_columns(pl.lit(-1).alias("units")), LAST, "fewer than the 50"),
        (shop(300, 6).clear(), LAST, "fewer than the 50"),
    ],
)
def test_what_the_data_do_not_allow_is_left_out_with_one_sentence(
    purchases: pl.DataFrame, last: date, said: str
) -> None:
    refused = study(log_of(purchases, last), SETTINGS, 90)
    assert isinstance(refused, LeftOut) and said in refused.reason
    for measure in [*churn.counts(refused), *churn.measures(refused)]:
        assert measure.value is None and measure.reason == refused.reason
    assert churn.answer(refused, US) == refused.reason
    assert churn.importance(refused) == refused


def test_a_horizon_that_cannot_be_tested_gives_way_to_a_shorter_one() -> None:
    last = date(2024, 5, 30)
    short = study(log_of(shop(2000, 7, 151), last), SETTINGS, 90)
    assert isinstance(short, Leaving) and short.headline is not None
    assert (short.headline.horizon, short.forecasts[90].tested) == (60, None)
    assert "180 days" in short.missing[180].reason
    assert "too short to test a forecast over 90 days" in churn.answer(short, US)
    assert churn.horizons(short)["auc"].null_count() == 1
    weeks = study(log_of(shop(1500, 8, 50), date(2024, 2, 19)), SETTINGS, 90)
    assert isinstance(weeks, Leaving) and weeks.headline is None and not weeks.forecasts
    assert "too short" in churn.answer(weeks, US)


def test_by_p_alive_a_customer_of_one_purchase_has_not_left() -> None:
    alive = study(log_of(shop(1200, 9)), SETTINGS._replace(definition=Definition("p_alive", 0.9, 0.5)), 90)
    assert isinstance(alive, Leaving)
    assert (alive.now.left["x"] > 0).all() and "BG/NBD" in churn.definition(alive, US)
    p_alive = alive.now.model.p_alive(*(alive.now.left[name] for name in ("x", "t_x", "T")))  # type: ignore[union-attr]
    assert (p_alive < 0.5).all()


# --- risk against value ---------------------------------------------------------------------------------------------


def graded(found: Leaving) -> tuple[pl.DataFrame, pl.DataFrame]:
    customers = risk.graded(found, churn.customers(found), LEVELS)
    histories = history(shop(BUYERS, 1), LAST, "week", "UTC").with_columns(
        (pl.col("mean_spend") * np.random.default_rng(0).gamma(5, 0.2, BUYERS)).alias("mean_spend")
    )
    models = fit(histories, 50)
    assert isinstance(models, Models) and not isinstance(models.spend, LeftOut)
    return customers, per_customer(histories, models, Terms(0.3, 0.1, "week"))


def test_the_matrix_holds_everybody_who_is_still_there(found: Leaving) -> None:
    customers, values = graded(found)
    cells = risk.matrix(found.headline, customers, values, LEVELS, Churn().prevention.model_dump(), 1)
    assert isinstance(cells, pl.DataFrame)
    assert cells["customers"].sum() == found.now.present.height
    by_risk = dict(cells.group_by("risk").agg(pl.col("customers").sum()).iter_rows())
    p = customers["p_left_90d"]
    assert by_risk == {"high": (p >= 0.6).sum(), "medium": p.is_between(0.3, 0.6, closed="left").sum(),
                       "low": (p < 0.3).sum()}  # fmt: skip
    known = cells.filter(pl.col("at_stake") > 0)
    assert (known["low"] < known["at_stake"]).all() and (known["at_stake"] < known["high"]).all()
    assert (cells["at_stake"] <= cells["worth"]).all()
    assert cells["measure"].n_unique() == 9


def test_small_cells_are_hidden_and_never_one_alone(found: Leaving) -> None:
    customers, values = graded(found)
    sizes = risk.matrix(found.headline, customers, values, LEVELS, Churn().prevention.model_dump(), 1)
    assert isinstance(sizes, pl.DataFrame)
    smallest = int(sizes["customers"].sort()[0])
    cells = risk.matrix(found.headline, customers, values, LEVELS, Churn().prevention.model_dump(), smallest + 1)
    assert isinstance(cells, pl.DataFrame)
    hidden = cells.filter(pl.col("customers").is_null())
    assert hidden.height >= 2 or smallest == 0
    assert hidden.select(pl.col("worth", "at_stake", "low", "high").null_count()).row(0) == (hidden.height,) * 4


def test_without_values_there_is_no_matrix(found: Leaving) -> None:
    customers, values = graded(found)
    bare = values.select("customer_id", "p_alive")
    refused = risk.matrix(found.headline, customers, bare, LEVELS, Churn().prevention.model_dump(), 10)
    assert isinstance(refused, LeftOut) and risk.answer(refused, US) == refused.reason


# --- waits ----------------------------------------------------------------------------------------------------------


def drawn_waits(n: int, seed: int, means: tuple[float, ...]) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, len(means), n)
    wait, observed = np.ceil(rng.exponential(np.array(means)[group])), rng.integers(1, 200, n)
    return pl.DataFrame(
        {
            "customer_id": np.arange(n),
            "group": [f"g{k}" for k in group],
            "days": np.minimum(wait, observed).astype(np.int64),
            "again": wait <= observed,
        }
    ).sort("group", "customer_id")


def test_kaplan_meier_is_that_of_lifelines() -> None:
    waits = drawn_waits(400, 0, (40.0,))
    ours = survival.kaplan_meier(waits, 1).drop_nulls()
    other = lifelines.KaplanMeierFitter().fit(waits["days"].to_numpy(), waits["again"].to_numpy())
    at = ours["days"].to_numpy()[1:]
    band = other.confidence_interval_survival_function_
    assert ours["share"].to_numpy()[1:] == pytest.approx(other.survival_function_at_times(at).to_numpy())
    assert ours["low"].to_numpy()[1:] == pytest.approx(band.iloc[:, 0].loc[at].to_numpy())
    assert ours["high"].to_numpy()[1:] == pytest.approx(band.iloc[:, 1].loc[at].to_numpy())


def test_log_rank_is_that_of_lifelines_with_benjamini_hochberg() -> None:
    waits = drawn_waits(300, 1, (30.0, 35.0, 60.0))
    ours = survival.against_the_rest(waits)
    raw = []
    for group in ("g0", "g1", "g2"):
        own, rest = (waits.filter(side) for side in (pl.col("group") == group, pl.col("group") != group))
        raw.append(logrank_test(own["days"], rest["days"], own["again"], rest["again"]).p_value)
    assert ours == pytest.approx(false_discovery_control(raw))


def test_waits_by_hand() -> None:
    days = pl.DataFrame(
        {"customer_id": [2, 1, 1, 1], "day": [date(2024, 1, 3), date(2024, 1, 9), START, date(2024, 1, 4)]}
    )
    rows = survival.waits(days, date(2024, 1, 11)).rows()
    assert rows == [
        (1, 1, START, 3, True),
        (1, 2, date(2024, 1, 4), 5, True),
        (1, 3, date(2024, 1, 9), 2, False),
        (2, 1, date(2024, 1, 3), 8, False),
    ]


def test_groups_that_differ_are_told_apart_and_small_ones_left_out() -> None:
    waits = pl.concat(
        [drawn_waits(900, 2, (20.0, 80.0)), drawn_waits(8, 3, (20.0,)).with_columns(group=pl.lit("tiny"))]
    )
    curves = survival.curves("kind", waits, 10, independent=True)
    assert isinstance(curves, survival.Curves)
    assert curves.groups["group"].to_list() == ["g0", "g1"]
    assert (curves.groups["p_value"] < 1e-6).all() and "differ beyond chance" in survival.answer(curves, US)
    assert curves.table["at_risk"].min() >= 10  # type: ignore[operator]
    refused = survival.curves("kind", drawn_waits(300, 4, (20.0,)), 10, independent=True)
    assert isinstance(refused, LeftOut) and "by kind" in refused.reason


def test_groups_by_what_is_known_when_the_wait_starts() -> None:
    waits = survival.waits(log_of(shop(2000, 10)).days, LAST)
    often, cohort = survival.by_frequency(waits, 10), survival.by_cohort(waits, 10)
    customers = pl.DataFrame({"customer_id": range(2000), "platform": [["web", "<b>app"][k % 2] for k in range(2000)]})
    entry = survival.by_first(waits, customers, "platform", 10)
    assert isinstance(often, survival.Curves) and isinstance(cohort, survival.Curves)
    assert isinstance(entry, survival.Curves)
    assert often.groups["group"].to_list() == ["1st", "2nd", "3rd", "5th"] and often.groups["p_value"].null_count() == 4
    assert cohort.groups["group"].to_list() == ["2024 Q4", "2024 Q3", "2024 Q2", "2024 Q1"]
    assert cohort.groups["customers"].sum() == 2000
    assert "\\<b\\>app" in survival.answer(entry, US)
    assert survival.stacked([often, cohort]).columns == ["by", *often.table.columns]
