"""Repeat buying, spend and value: published figures, planted truth, and data that allow nothing."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repeat_buying import BUYING, SPEND, cdnow, customers, expected_loss
from scipy.optimize import approx_fprime
from scipy.stats import binom, chi2, pearsonr

from patternbook.analysis import bgnbd, gammagamma, holdout, lifetime
from patternbook.analysis.bgnbd import BgNbd, fit_bgnbd
from patternbook.analysis.gammagamma import fit_gammagamma
from patternbook.analysis.history import history, orders
from patternbook.analysis.lifetime import Models, Terms, fit, lost, mean, per_customer, total
from patternbook.analysis.likelihood import NotIdentified
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.suppression import leading
from patternbook.formats import Formats

US = Formats("USD", "en_US")
TERMS = Terms(margin=0.3, discount_rate=0.1, unit="week")
CALIBRATION = date(1997, 9, 30)


@pytest.fixture(scope="module")
def cdnow_buyers() -> pl.DataFrame:
    return history(cdnow(), CALIBRATION, "week", "UTC")


@pytest.fixture(scope="module")
def cdnow_model(cdnow_buyers: pl.DataFrame) -> BgNbd:
    return fit_bgnbd(cdnow_buyers["x"], cdnow_buyers["t_x"], cdnow_buyers["T"])


# --- published figures ----------------------------------------------------------------------------------------------


def test_bgnbd_on_cdnow_is_as_published(cdnow_buyers: pl.DataFrame, cdnow_model: BgNbd) -> None:
    """Fader, Hardie & Lee (2005), table 2."""
    assert cdnow_buyers.height == 2357
    assert cdnow_model.parameters == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=0.0006)
    assert cdnow_model.log_likelihood == pytest.approx(-9582.4, abs=0.05)


def test_expected_transactions_on_cdnow_are_as_published(cdnow_model: BgNbd) -> None:
    """Fader, Hardie & Lee, "Implementing the BG/NBD model for customer base analysis in Excel"."""
    assert cdnow_model.expected(39, 2, 30.43, 38.86) == pytest.approx(1.226, abs=0.0005)


def test_gamma_gamma_on_cdnow_is_as_published() -> None:
    """Fader & Hardie (2013): repeat transactions only."""
    repeats = cdnow().sort("customer_id", "ordered_at").filter(pl.col("ordered_at") <= datetime(1997, 9, 30))
    daily = repeats.group_by("customer_id", "ordered_at").agg(pl.col("revenue").sum()).sort("ordered_at")
    later = daily.filter(pl.col("ordered_at") > pl.col("ordered_at").min().over("customer_id"))
    spend = (
        later.group_by("customer_id").agg(pl.len().alias("n"), pl.col("revenue").mean()).filter(pl.col("revenue") > 0)
    )
    model = fit_gammagamma(spend["n"], spend["revenue"])
    assert spend.height == 946
    assert [model.p, model.q, model.v] == pytest.approx([6.25, 3.74, 15.44], abs=0.012)


# --- the mathematics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("logs", [np.zeros(4), np.array([-1.0, 1.5, -0.5, 0.7])])
def test_gradients_are_those_of_the_likelihoods(cdnow_buyers: pl.DataFrame, logs: np.ndarray) -> None:
    x, t_x, T = (cdnow_buyers[name].cast(pl.Float64).to_numpy() for name in ("x", "t_x", "T"))
    buying = bgnbd._Likelihood(x, t_x, T, np.ones_like(x))
    assert buying(logs)[1] == pytest.approx(approx_fprime(logs, lambda at: buying(at)[0]), rel=1e-3, abs=0.05)
    drawn = customers(300, np.random.default_rng(1)).histories
    spend = gammagamma._Likelihood(drawn["transactions"].to_numpy().astype(float), drawn["mean_spend"].to_numpy() / 40)
    assert spend(logs[:3])[1] == pytest.approx(approx_fprime(logs[:3], lambda at: spend(at)[0]), rel=1e-3, abs=0.05)


def test_weights_stand_for_identical_customers(cdnow_buyers: pl.DataFrame, cdnow_model: BgNbd) -> None:
    grouped = cdnow_buyers.group_by("x", "t_x", "T").len().sort("x", "t_x", "T")
    again = fit_bgnbd(grouped["x"], grouped["t_x"], grouped["T"], grouped["len"])
    assert again.parameters == pytest.approx(cdnow_model.parameters, rel=1e-5)


def test_moments_of_the_future_are_those_of_drawn_futures() -> None:
    """Mean and variance of discounted transactions of a new customer, against draws."""
    rng, n = np.random.default_rng(7), 200_000
    r, alpha, a, b = BUYING
    rate, leave = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    times = np.cumsum(rng.exponential(1, (n, 60)) / rate[:, None], axis=1)
    happens = (np.arange(60) < rng.geometric(leave)[:, None]) & (times <= 52)
    worth = (np.exp(-0.01 * times) * happens).sum(axis=1)
    theta = np.array(BUYING)
    first = bgnbd.expected_if_alive(theta, 52, 0, 0, 0.01)
    second = bgnbd.expected_if_alive(theta, 52, 0, 0, 0.02) + bgnbd.pairs_if_alive(theta, 52, 0, 0, 0.01)
    assert worth.mean() == pytest.approx(float(first), abs=4 * worth.std() / np.sqrt(n))
    squares = worth**2
    assert squares.mean() == pytest.approx(float(second), abs=4 * squares.std() / np.sqrt(n))


@settings(deadline=None, max_examples=60)
@given(x=st.integers(0, 10_000), t_x=st.floats(0.01, 1), T=st.floats(0.1, 300), t=st.floats(0.01, 260))
def test_what_is_expected_stays_within_bounds(x: int, t_x: float, T: float, t: float) -> None:
    model = BgNbd(*BUYING, np.eye(4), 0.0)
    last = t_x * T if x else 0.0
    alive, silent, expected = model.p_alive(x, last, T), model.p_silent(t, x, last, T), model.expected(t, x, last, T)
    rate = (model.r + x) / (model.alpha + T)
    assert 0 <= alive <= 1
    assert 1 - alive - 1e-12 <= silent <= 1
    assert 0 <= expected <= alive * rate * t * (1 + 1e-9)
    assert expected >= 1 - silent - 1e-9  # one transaction or more, at least once


def test_total_and_slopes_agree_with_refitting_by_hand() -> None:
    """The loadings are the derivatives: moving one parameter moves the total as they say.

    Those of the loss are what is left of them beside the direction in which the loss of all moves.
    """
    drawn = customers(500, np.random.default_rng(3)).histories
    models = fit(drawn, 50)
    assert isinstance(models, Models) and not isinstance(models.spend, LeftOut)
    frame = per_customer(drawn, models, TERMS)
    root = np.linalg.cholesky(models.buying.covariance)
    often = frame["x"].to_numpy() > 2

    def by_hand(column: str, who: np.ndarray) -> np.ndarray:
        slopes = []
        for step in np.eye(4) * 1e-3:
            moved = BgNbd(*(models.buying.parameters * np.exp(step)), models.buying.covariance, 0.0)
            ahead = per_customer(drawn, Models(moved, models.spend, None), TERMS)[column].to_numpy()
            slopes.append((ahead - frame[column].to_numpy())[who].sum() / 1e-3)
        return np.array(slopes) @ root

    def loaded(column: str) -> np.ndarray:
        return frame[f"{column}_loadings"].to_numpy()[often].sum(axis=0)[:4]

    all_of_them, few = by_hand("loss_12m", often | True), by_hand("loss_12m", often)
    assert loaded("value_12m") == pytest.approx(
        by_hand("value_12m", often), rel=0.02, abs=2e-4 * frame["value_12m"].sum()
    )
    along = all_of_them / np.linalg.norm(all_of_them)
    assert loaded("loss_12m") == pytest.approx(few - (few @ along) * along, abs=0.02 * np.linalg.norm(few))


def test_the_ends_of_the_loss_are_those_of_what_the_data_do_not_reject() -> None:
    """Both ends lie on the border of likelihood; nobody among many parameters within it goes beyond them."""
    drawn = customers(600, np.random.default_rng(3)).histories
    x, t_x, T = (drawn[name].to_numpy().astype(float) for name in ("x", "t_x", "T"))
    buying = fit_bgnbd(x, t_x, T)
    likelihood = bgnbd._Likelihood.of(x, t_x, T)

    def loss(theta: np.ndarray) -> float:
        return float(lost(theta, TERMS, x, t_x, T, np.ones_like(x)).sum())

    ends = bgnbd.ends(buying, x, t_x, T, lambda theta: float(np.log(loss(theta))))
    assert ends is not None
    drop = chi2.ppf(0.95, 1) / 2
    assert [buying.log_likelihood - likelihood(np.log(end))[0] for end in ends] == pytest.approx([drop] * 2, rel=1e-3)
    rng = np.random.default_rng(0)
    logs = rng.multivariate_normal(np.log(buying.parameters), 2 * buying.covariance, 2000)
    inside = [loss(np.exp(at)) for at in logs if buying.log_likelihood - likelihood(at)[0] <= drop]
    assert len(inside) > 100
    low, high = map(loss, ends)
    assert low * 0.999 <= min(inside) < loss(buying.parameters) < max(inside) <= high * 1.001
    assert max(inside) / min(inside) > (high / low) ** 0.6  # nor are the ends far beyond


def test_drop_out_that_cannot_be_told_from_none_may_cost_nothing() -> None:
    drawn = customers(600, np.random.default_rng(1), buying=(0.8, 4.0, 0.02, 2.5)).histories
    models = fit(drawn, 50)
    assert isinstance(models, Models)
    found = total(per_customer(drawn, models, TERMS), "loss_12m")
    assert found.low == 0.0 and found.high is not None
    assert found.value < found.high < 0.3 * total(per_customer(drawn, models, TERMS)).value


# --- intervals hold what they promise -------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Parameters, the realised total of the next year and the loss to drop-out, over 60 markets of 600 buyers."""
    seeds, truth = 60, dict(zip(lifetime.LABELS, (*BUYING, *SPEND), strict=True))
    hits = dict.fromkeys([*truth, "total", "loss", "loss of the silent"], 0)
    terms = Terms(1.0, 0.1, "week")
    for seed in range(seeds):
        drawn = customers(600, np.random.default_rng(seed), discount=TERMS.discount)
        models = fit(drawn.histories, 50)
        assert isinstance(models, Models)
        for name, found in lifetime.parameters(models, 600).items():
            hits[name] += found.low <= truth[name] <= found.high
        values = per_customer(drawn.histories, models, terms)
        whole = total(values, "value_12m")
        hits["total"] += whole.low <= drawn.future.sum() <= whole.high
        true_loss = expected_loss(drawn.histories, terms)
        silent = values.select((pl.col("x") > 1) & (pl.col("T") - pl.col("t_x") > 12)).to_series()
        for name, who in (("loss", silent | True), ("loss of the silent", silent)):
            found = total(values.filter(who), "loss_12m")
            hits[name] += found.low <= true_loss[who.to_numpy()].sum() <= found.high
    low = binom.ppf(1e-4, seeds, 0.95)
    assert all(count >= low for count in hits.values()), hits


def test_a_wider_group_has_a_relatively_narrower_interval() -> None:
    drawn = customers(400, np.random.default_rng(5)).histories
    models = fit(drawn, 50)
    assert isinstance(models, Models)
    frame = per_customer(drawn, models, TERMS)
    few, all_of_them = total(frame.head(10)), total(frame)
    assert few.low < few.value < few.high
    assert few.high / few.value > all_of_them.high / all_of_them.value
    assert mean(frame, "value_12m").value == pytest.approx(all_of_them.value / 400)
    assert (frame["loss_12m"] >= 0).all()


def test_independence_is_a_correlation_with_its_interval() -> None:
    drawn = customers(3000, np.random.default_rng(2)).histories
    found = lifetime.independence(drawn)
    repeat = drawn.filter(pl.col("x") > 0)
    assert found is not None and found.low < found.value < found.high
    assert found.value == pytest.approx(
        pearsonr(np.log(repeat["transactions"]), np.log(repeat["mean_spend"])).statistic
    )
    assert found.low <= 0.03 and found.high >= -0.03


# --- histories ------------------------------------------------------------------------------------------------------


def purchase_rows(*rows: tuple[int | None, str, int, float]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["customer_id", "ordered_at", "units", "revenue"], orient="row")
    return frame.with_columns(pl.col("ordered_at").str.to_datetime("%Y-%m-%d %H:%M"))


def test_orders_of_one_local_day_are_one_transaction_and_returns_are_none() -> None:
    rows = purchase_rows(
        (1, "2024-01-01 23:30", 1, 10.0),  # the next day in Berlin
        (1, "2024-01-02 12:00", 1, 20.0),
        (1, "2024-01-09 12:00", 2, 30.0),
        (1, "2024-01-10 12:00", -1, -15.0),  # a return: no transaction, but money
        (1, "2024-02-01 12:00", 1, 99.0),  # after the end
        (2, "2024-01-05 12:00", -1, -5.0),  # nothing but a return: no buyer
        (None, "2024-01-05 12:00", 1, 5.0),
    )
    found = history(rows, date(2024, 1, 16), "week", "Europe/Berlin")
    (row,) = found.rows(named=True)
    assert (row["customer_id"], row["transactions"], row["x"], row["t_x"], row["T"]) == (1, 2, 1, 1.0, 2.0)
    assert (row["revenue"], row["mean_spend"]) == (45.0, 22.5)


def test_a_customer_with_nothing_left_after_returns_has_no_spend() -> None:
    rows = purchase_rows((1, "2024-01-01 12:00", 1, 10.0), (1, "2024-01-03 12:00", -1, -10.0))
    (row,) = history(rows, date(2024, 1, 16), "day", "UTC").rows(named=True)
    assert (row["transactions"], row["mean_spend"]) == (1, None)


def test_cancelled_orders_take_their_money_back() -> None:
    lines = pl.DataFrame(
        {
            "order_id": [1, 1, 2],
            "customer_id": [7, 7, 7],
            "ordered_at": [datetime(2024, 1, 1), datetime(2024, 1, 1), datetime(2024, 1, 5)],
            "quantity": [1, 2, -2],
            "amount": [5.0, 8.0, -8.0],
        }
    )
    (row,) = history(orders(lines), date(2024, 1, 8), "day", "UTC").rows(named=True)
    assert (row["transactions"], row["revenue"]) == (1, 5.0)


# --- data that allow nothing ----------------------------------------------------------------------------------------


def many(n: int, x: int, spend: float = 20.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer_id": range(n),
            "first": [date(2024, 1, 1)] * n,
            "transactions": [x + 1] * n,
            "x": [x] * n,
            "t_x": [20.0 * (x > 0)] * n,
            "T": [30.0] * n,
            "mean_spend": [spend] * n,
        }
    )


@pytest.mark.parametrize(
    ("histories", "said"),
    [
        (many(0, 0), "fewer than the 50"),
        (many(30, 2), "fewer than the 50"),
        (many(200, 0), "No customer bought on a second day"),
        (many(200, 3), "no BG/NBD model"),
    ],
)
def test_what_the_data_do_not_allow_is_left_out_with_one_sentence(histories: pl.DataFrame, said: str) -> None:
    models = fit(histories, 50)
    assert isinstance(models, LeftOut) and said in models.reason
    measures = lifetime.measures(models, histories, "week")
    assert all(measure.value is None and measure.reason for measure in measures)
    assert lifetime.answer(models, histories, 10, US) == models.reason


def test_equal_spend_leaves_spend_out_but_not_buying() -> None:
    models = fit(customers(500, np.random.default_rng(4)).histories.with_columns(pl.lit(20.0).alias("mean_spend")), 50)
    assert isinstance(models, Models) and isinstance(models.spend, LeftOut)
    frame = per_customer(many(60, 1), models, TERMS)
    assert "value_12m" not in frame.columns and frame["expected_orders_12m"].is_finite().all()
    recorded = {measure.name: measure for measure in lifetime.measures(models, frame, "week")}
    assert recorded["bgnbd_r"].value and recorded["clv_12m"].reason


def test_a_customer_with_ten_thousand_orders_breaks_nothing() -> None:
    drawn = customers(500, np.random.default_rng(6)).histories
    huge = drawn.head(1).with_columns(x=pl.lit(9_999, pl.Int64), transactions=pl.lit(10_000, pl.Int64), t_x=pl.col("T"))
    models = fit(pl.concat([drawn, huge.select(drawn.columns)]), 50)
    assert isinstance(models, Models)
    frame = per_customer(pl.concat([drawn, huge.select(drawn.columns)]), models, TERMS)
    assert (
        frame.select(pl.col("p_alive", "value_60m", "value_60m_variance", "loss_12m").is_finite().all()).row(0)
        == (True,) * 4
    )


def test_an_impossible_history_is_refused() -> None:
    with pytest.raises(ValueError, match="t_x <= T"):
        fit_bgnbd([1], [5.0], [3.0])


def test_a_boundary_names_the_parameter_and_what_to_do() -> None:
    with pytest.raises(NotIdentified, match=r"lifetime\.time_unit"):
        fit_bgnbd([3.0] * 200, [20.0] * 200, [30.0] * 200)


# --- the hold-out period --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checked() -> holdout.Holdout:
    found = holdout.check(cdnow(), date(1997, 1, 1), date(1998, 6, 30), CALIBRATION, "week", "UTC", 50, 10)
    assert isinstance(found, holdout.Holdout)
    return found


def test_the_check_on_cdnow_is_as_good_as_published(checked: holdout.Holdout) -> None:
    """Fader, Hardie & Lee (2005), section 4: cumulative repeat purchases within 4 % at week 78."""
    assert checked.days == 273
    whole = checked.weekly.select(pl.col("actual", "expected").sum()).row(0)
    assert abs(whole[1] / whole[0] - 1) < 0.05
    table = holdout.scores(checked)
    model, *others = table.rows(named=True)
    assert model["method"] == holdout.MODEL
    assert model["r2"] > max(row["r2"] for row in others if row["method"] != "LightGBM")
    assert all(
        row[f"{score}_low"] <= row[score] <= row[f"{score}_high"]
        for row in (model, *others)
        for score in holdout.SCORES
    )


def test_the_gain_over_a_baseline_is_that_of_the_same_customers(checked: holdout.Holdout) -> None:
    table = holdout.scores(checked)
    model, *others = table.rows(named=True)
    assert model["gain"] is model["gain_low"] is None
    for row in others:
        assert row["gain"] == pytest.approx(model["r2"] - row["r2"])
        assert row["gain_low"] < row["gain"] < row["gain_high"]
        apart = np.hypot(model["r2_high"] - model["r2_low"], row["r2_high"] - row["r2_low"])
        assert row["gain_high"] - row["gain_low"] < apart  # drawn apart, the difference would be wider
    assert others[0]["gain_low"] > 0  # the same as the last period, which it beats by far
    assert "more than that of same as the last period" in holdout.answer(checked, US)


def test_moments_of_counts_between_two_ages_are_those_of_drawn_customers() -> None:
    rng, n = np.random.default_rng(2), 20_000
    r, alpha, a, b = BUYING
    times = np.cumsum(rng.exponential(1.0, (n, 300)) / rng.gamma(r, 1 / alpha, n)[:, None], axis=1)
    times[np.arange(300)[None, :] >= rng.geometric(rng.beta(a, b, n))[:, None]] = np.inf
    ages = np.array([[0.0, 30.0], [0.0, 5.0], [10.0, 11.0], [1.0, 40.0]])
    for (start, end), *found in zip(ages, *bgnbd.count_moments(np.array(BUYING), *ages.T), strict=True):
        drawn = ((times > start) & (times <= end)).sum(axis=1)
        assert found[0] == pytest.approx(drawn.mean(), abs=5 * drawn.std() / np.sqrt(n))
        assert found[1] == pytest.approx(drawn.var(), rel=0.1)


def test_the_weeks_add_up_to_what_is_expected_in_all(checked: holdout.Holdout) -> None:
    weeks = checked.weekly
    assert weeks["expected_in_all"].to_list() == pytest.approx(weeks["expected"].cum_sum().to_list(), rel=1e-6)
    assert (weeks["low"] <= weeks["expected"]).all() and (weeks["expected"] <= weeks["high"]).all()


def test_weeks_of_few_people_are_hidden_and_no_sum_gives_them_away() -> None:
    minimum = 60
    found = holdout.check(cdnow(), date(1997, 1, 1), date(1998, 6, 30), CALIBRATION, "week", "UTC", 50, minimum)
    assert isinstance(found, holdout.Holdout)
    first = cdnow()["ordered_at"].dt.date().min()
    people = [set() for _ in range(found.weekly.height)]  # type: ignore[var-annotated]
    born: dict[int, date] = {}
    for customer, at in cdnow().sort("ordered_at").select("customer_id", "ordered_at").iter_rows():
        day, week = at.date(), (at.date() - first).days // 7  # type: ignore[operator]
        if day > born.setdefault(customer, day) and born[customer] <= CALIBRATION and week < len(people):
            people[week].add(customer)
    few = [0 < len(some) < minimum for some in people]
    actual, in_all = found.weekly["actual"].to_list(), found.weekly["actual_in_all"].to_list()
    assert any(few)
    assert all(value is None for value, hide in zip(actual, few, strict=True) if hide)
    last = max(week for week, hide in enumerate(few) if hide)
    assert in_all[:last] == [None] * last
    assert None not in in_all[last + 1 :]


@pytest.mark.parametrize(("buyers", "steps"), [(60, 5), (199, 10), (5000, 100), (15, 1)])
def test_no_step_of_a_curve_is_of_few_people(buyers: int, steps: int) -> None:
    frame = pl.DataFrame({"value_12m": np.arange(buyers, dtype=float)})
    curve = lifetime.concentration(frame, 10)
    assert curve.height == steps + 1
    assert buyers / steps >= 10
    assert leading(curve)["customers"] == pytest.approx(max(0.1, 1 / steps))


def test_the_check_counts_what_happened(checked: holdout.Holdout) -> None:
    days = cdnow().filter(pl.col("ordered_at") > datetime(1997, 9, 30)).unique(["customer_id", "ordered_at"]).height
    assert checked.customers["actual"].sum() == days
    assert holdout.by_frequency(checked, 10)["customers"].sum() == 2357
    assert holdout.by_frequency(checked, 800)["customers"].min() >= 800


def test_a_check_sees_nothing_of_the_future(checked: holdout.Holdout) -> None:
    later = pl.col("ordered_at") > datetime(1997, 9, 30)
    more = cdnow().unique("customer_id").with_columns(pl.lit(datetime(1998, 1, 5)).alias("ordered_at"))
    wild = pl.concat([cdnow(), more]).with_columns(
        pl.when(later).then(pl.col("revenue") * 1000).otherwise("revenue").alias("revenue")
    )
    again = holdout.check(wild, date(1997, 1, 1), date(1998, 6, 30), CALIBRATION, "week", "UTC", 50, 10)
    assert isinstance(again, holdout.Holdout)
    forecasts = holdout.methods(checked)
    assert again.customers.select(forecasts).equals(checked.customers.select(forecasts))


@pytest.mark.parametrize(
    ("last", "end", "said"),
    [
        (date(1998, 6, 30), date(1999, 1, 1), "does not lie within the data"),
        (date(1997, 10, 5), CALIBRATION, "fewer than two weeks"),
        (date(1998, 6, 30), date(1997, 1, 2), "too few to check"),
    ],
)
def test_a_check_that_cannot_be_says_why(last: date, end: date, said: str) -> None:
    few = cdnow().filter(pl.col("ordered_at") > datetime(1997, 1, 1)) if end.day == 2 else cdnow()
    found = holdout.check(few.filter(pl.col("customer_id") < 3000), date(1997, 1, 1), last, end, "week", "UTC", 50, 10)
    assert isinstance(found, LeftOut) and said in found.reason
    assert holdout.measure(found).reason == found.reason
