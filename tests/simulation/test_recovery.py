"""Each mechanism alone: what was planted is found again in the rows, and off means what Mechanisms says.

Bounds are those of a chance of about one in ten thousand (z = 4), so that no seed had to be picked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from markets import Market, market, source
from scipy.optimize import minimize
from scipy.special import betaln, gammaln
from scipy.stats import chi2

from patternbook.simulation.behaviour import ORDER_HOURS, ORDER_WEEKDAYS, PAYDAYS

Z = 4.0
CERTAIN = 0.9999
WEEK = 7 * 86_400


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson score interval (1927)."""
    share, z2 = successes / n, Z * Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * ((share * (1 - share) + z2 / (4 * n)) / n) ** 0.5 / (1 + z2 / n)
    return centre - half, centre + half


def assert_share(successes: int, n: int, planted: float) -> None:
    low, high = wilson(successes, n)
    assert low <= planted <= high, f"{successes} of {n} = {successes / n:.4f}, planted {planted:.4f}"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A market with every mechanism off."""
    return market(tmp_path_factory.mktemp("raw") / "plain", source(30_000, only=()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A market with every mechanism on."""
    return market(tmp_path_factory.mktemp("raw") / "whole", source(100_000))


def test_off_means_off(plain: Market) -> None:
    assert set(plain.rows["event_type"]) == {"view", "purchase"}
    assert plain.orders()["user_id"].is_unique().all()
    assert plain.rows.filter(pl.col("event_type") == "purchase")["user_session"].is_unique().all()
    assert plain.rows.select("platform", "device", "channel", "region").null_count().sum_horizontal().item() == 4 * len(
        plain.rows
    )
    assert not (plain.folder / "truth_contacts.parquet").exists()
    assert plain.table("complements").is_empty()
    assert (plain.rows["discount"] == 0).all()
    assert (plain.rows.group_by("product_id").agg(pl.col("price").n_unique())["price"] == 1).all()
    assert plain.rows.drop("platform", "device", "channel", "region").null_count().sum_horizontal().item() == 0
    assert plain.rows.is_unique().all()
    assert (plain.rows["price"] > 0).all()
    assert plain.rows.group_by("user_session").agg(pl.col("user_id").n_unique())["user_id"].max() == 1


def test_an_order_follows_a_view_of_its_product(plain: Market, whole: Market) -> None:
    for one in (plain, whole):
        bought = one.rows.filter(pl.col("event_type") == "purchase").unique(["user_session", "product_id"])
        viewed = one.rows.filter(pl.col("event_type") == "view").unique(["user_session", "product_id"])
        assert bought.join(viewed, on=["user_session", "product_id"], how="anti").is_empty()


# --- buying -------------------------------------------------------------------------------------------------------


def bgnbd(theta: np.ndarray, x: np.ndarray, tx: np.ndarray, t: np.ndarray) -> float:
    """Log-likelihood of BG/NBD, equation (6) of Fader, Hardie & Lee (2005)."""
    r, alpha, a, b = theta
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b)
    alive = common - (r + x) * np.log(alpha + t)
    again = np.maximum(x, 1)
    gone = common + np.log(a) - np.log(b + again - 1) - (r + x) * np.log(alpha + tx)
    return float(np.where(x > 0, np.logaddexp(alive, gone), alive).sum())


def gamma_gamma(theta: np.ndarray, x: np.ndarray, mean: np.ndarray) -> float:
    """Log-likelihood of Gamma-Gamma, equation (1a) of Fader & Hardie (2013)."""
    p, q, v = theta
    return float(
        np.sum(
            gammaln(p * x + q)
            - gammaln(p * x)
            - gammaln(q)
            + q * np.log(v)
            + (p * x - 1) * np.log(mean)
            + p * x * np.log(x)
            - (p * x + q) * np.log(x * mean + v)
        )
    )


def assert_likely(log_likelihood: Callable[..., float], planted: np.ndarray, *data: np.ndarray) -> None:
    """The planted parameters lie within the likelihood region of the estimate."""
    best = minimize(lambda u: -log_likelihood(np.exp(u), *data), np.log(planted), method="Nelder-Mead")
    ratio = 2 * (-best.fun - log_likelihood(planted, *data))
    assert ratio < chi2.ppf(CERTAIN, len(planted)), f"estimate {np.exp(best.x)}, planted {planted}"


@pytest.fixture(scope="module")
def buyers(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Many customers who do little but buy again, and spend."""
    return market(
        tmp_path_factory.mktemp("raw") / "buyers", source(100_000, only=("repeat_buying", "spend"), customers=16_000)
    )


def test_repeat_buying_is_bgnbd(buyers: Market) -> None:
    planted = buyers.truth["planted"]["buying"]
    seconds = (
        buyers.orders()
        .group_by("user_id")
        .agg(
            (pl.len() - 1).alias("x"),
            (pl.col("start").max() - pl.col("start").min()).dt.total_seconds().alias("tx"),
            (datetime(2025, 1, 1) - pl.col("start").min()).dt.total_seconds().alias("t"),
        )
    )
    x, tx, t = (seconds[name].to_numpy().astype(float) for name in ("x", "tx", "t"))
    assert len(x) > 3_000
    theta = np.array([planted[name] for name in ("r", "alpha_weeks", "a", "b")])
    assert_likely(bgnbd, theta, x, tx / WEEK, t / WEEK)


def test_customers_buy_at_their_planted_rate(buyers: Market) -> None:
    """The first order after the first one comes at rate λ: the planted hazard adds up to what is seen."""
    orders = buyers.orders().group_by("user_id").agg(pl.col("start").sort())
    known = orders.join(buyers.table("customers"), left_on="user_id", right_on="customer_id")
    first = known["start"].list.get(0)
    second = known["start"].list.get(1, null_on_oob=True)
    until = second.fill_null(datetime(2025, 1, 1))
    exposure = (until - first).dt.total_seconds().to_numpy() / WEEK
    expected = float((known["purchases_per_week"].to_numpy() * exposure).sum())
    seen = int(second.is_not_null().sum())
    assert abs(seen - expected) < Z * expected**0.5


def test_spend_is_gamma_gamma(buyers: Market) -> None:
    planted = buyers.truth["planted"]["spend"]
    orders = buyers.rows.filter(pl.col("event_type") == "purchase")
    mean = orders.group_by("user_id").agg(pl.len().alias("x"), pl.col("price").mean().alias("mean"))
    theta = np.array([planted[name] for name in ("p", "q", "v")])
    assert_likely(gamma_gamma, theta, mean["x"].to_numpy().astype(float), mean["mean"].to_numpy())


def test_nobody_orders_after_dropping_out(buyers: Market) -> None:
    last = buyers.orders().group_by("user_id").agg(pl.col("start").max())
    known = last.join(buyers.table("customers"), left_on="user_id", right_on="customer_id")
    gone = known.filter(pl.col("dropped_out_at").is_not_null())
    assert len(gone) > 500
    assert (gone["start"] <= gone["dropped_out_at"]).all()


# --- sessions -----------------------------------------------------------------------------------------------------


def with_buyers(one: Market) -> pl.DataFrame:
    """Sessions, and whether each is by somebody who ever buys."""
    buyers = one.table("customers").select("customer_id", "buyer")
    return one.sessions().join(buyers, left_on="user_id", right_on="customer_id")


def test_funnel_probabilities_are_found(tmp_path: Path) -> None:
    one = market(tmp_path / "raw", source(60_000, only=("funnel", "repeat_buying")))
    planted, sessions = one.truth["planted"]["funnel"], with_buyers(one)
    orders, visits = sessions.filter("order"), sessions.filter(~pl.col("order"))
    assert_share(orders["cart"].sum(), len(orders), planted["cart_given_order"])
    for buyer, share in ((True, planted["cart_given_buyer_visit"]), (False, planted["cart_given_other_visit"])):
        group = visits.filter(pl.col("buyer") == buyer)
        assert_share(group["cart"].sum(), len(group), share)
    abandoned = visits.filter("cart").join(
        one.rows.filter(pl.col("event_type") == "remove_from_cart").unique("user_session"),
        on="user_session",
        how="left",
    )
    assert_share(abandoned["event_type"].is_not_null().sum(), len(abandoned), planted["removal"])


def test_signals_are_found(tmp_path: Path) -> None:
    one = market(tmp_path / "raw", source(60_000, only=("signals", "repeat_buying")))
    sessions = one.sessions()
    for name, planted in one.truth["planted"]["signals"].items():
        with_signal = one.rows.filter(pl.col("event_type") == name)["user_session"].unique()
        for buying, share in ((True, planted["buying"]), (False, planted["browsing"])):
            group = sessions.filter(pl.col("order") == buying)["user_session"]
            assert_share(group.is_in(with_signal.implode()).sum(), len(group), share)


def test_complements_are_attached_as_planted(tmp_path: Path) -> None:
    one = market(tmp_path / "raw", source(100_000, only=("complements", "repeat_buying"), customers=16_000))
    lines = one.rows.filter(pl.col("event_type") == "purchase").select("user_session", "product_id").unique()
    pairs = one.table("complements")
    with_a = lines.join(pairs, left_on="product_id", right_on="product_a")
    held = with_a.join(
        lines, left_on=["user_session", "product_b"], right_on=["user_session", "product_id"], how="semi"
    )
    expected, variance = with_a["attach"].sum(), (with_a["attach"] * (1 - with_a["attach"])).sum()
    assert len(with_a) > 500
    assert abs(len(held) - expected) < Z * variance**0.5
    assert pairs["product_b"].is_unique().all()
    assert not set(pairs["product_a"]) & set(pairs["product_b"])


# --- time ---------------------------------------------------------------------------------------------------------


def assert_distribution(counts: np.ndarray, weights: np.ndarray) -> None:
    expected = weights / weights.sum() * counts.sum()
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < chi2.ppf(CERTAIN, len(counts) - 1)


@pytest.fixture(scope="module")
def rhythm(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return market(
        tmp_path_factory.mktemp("raw") / "rhythm",
        source(100_000, only=("hours", "payday", "repeat_buying"), customers=16_000),
    )


def test_orders_come_at_the_planted_hours(rhythm: Market) -> None:
    hours = rhythm.orders()["start"].dt.hour().to_numpy()
    assert_distribution(np.bincount(hours, minlength=24), np.array(ORDER_HOURS, float))


def test_weekday_and_payday_factors_are_found(rhythm: Market) -> None:
    """Odds of payday within a weekday, and of weekdays off payday, do not depend on how many customers there are."""
    days = rhythm.orders().select(
        pl.col("start").dt.weekday().alias("weekday"), pl.col("start").dt.day().is_in(PAYDAYS).alias("payday")
    )
    calendar = pl.select(day=pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31))).select(
        pl.col("day").dt.weekday().alias("weekday"), pl.col("day").dt.day().is_in(PAYDAYS).alias("payday")
    )
    factor = rhythm.truth["planted"]["rhythm"]["payday_factor"]
    weight = np.array(ORDER_WEEKDAYS)[calendar["weekday"].to_numpy() - 1]
    weight = weight * np.where(calendar["payday"].to_numpy(), factor, 1.0)
    share = weight[calendar["payday"].to_numpy()].sum() / weight.sum()
    assert_share(days["payday"].sum(), len(days), share)
    by_weekday = np.bincount(calendar["weekday"].to_numpy() - 1, weight, 7)
    assert_distribution(np.bincount(days["weekday"].to_numpy() - 1, minlength=7), by_weekday)


def test_drift_changes_the_last_weeks_and_only_them(tmp_path: Path) -> None:
    one = market(tmp_path / "raw", source(100_000, only=("drift", "funnel", "repeat_buying")))
    planted = one.truth["planted"]
    begins = pl.lit(planted["drift"]["from"]).str.to_datetime()
    visits = with_buyers(one).filter(~pl.col("order"))
    late, early = visits.filter(pl.col("start") >= begins), visits.filter(pl.col("start") < begins)
    share, others = planted["funnel"]["cart_given_other_visit"], ~pl.col("buyer")
    for group, factor in ((early.filter(others), 1), (late.filter(others), planted["drift"]["cart_given_visit"])):
        assert_share(group["cart"].sum(), len(group), share * factor)
    views = one.rows.filter(pl.col("event_type") == "view").group_by("user_session").len()

    def views_of(group: pl.DataFrame) -> pl.Series:
        return group.filter(~pl.col("cart")).join(views, on="user_session")["len"].cast(pl.Float64)

    before, after = views_of(early), views_of(late)
    ratio = after.mean() / before.mean()  # type: ignore[operator]
    error = (
        ratio * (after.var() / after.mean() ** 2 / len(after) + before.var() / before.mean() ** 2 / len(before)) ** 0.5
    )  # type: ignore[operator]
    assert abs(ratio - planted["drift"]["views"]) < Z * error


# --- campaigns ----------------------------------------------------------------------------------------------------


def test_campaigns_lift_orders_by_segment(tmp_path: Path) -> None:
    one = market(tmp_path / "raw", source(200_000, only=("campaigns", "repeat_buying"), customers=40_000))
    orders = one.orders().join(one.table("customers"), left_on="user_id", right_on="customer_id")
    customers = one.table("customers")
    for campaign in one.truth["planted"]["campaigns"]:
        arm = f"arm_{campaign['name']}"
        begins, ends = (pl.lit(campaign[key]).str.to_datetime() for key in ("from", "to"))
        window = orders.filter(pl.col("start").is_between(begins, ends + pl.duration(days=1), closed="left"))
        groups = dict(customers.group_by("segment", arm).len().select(pl.concat_str("segment", arm), "len").iter_rows())
        for segment, uplift in campaign["uplift"].items():
            seen = [
                len(window.filter((pl.col("segment") == segment) & (pl.col(arm) == name)))
                for name in ("control", "contacted")
            ]
            sizes = [groups[segment + name] for name in ("control", "contacted")]
            ratio = (seen[1] / sizes[1]) / (seen[0] / sizes[0])
            # orders of one customer cluster: twice the Poisson variance is on the safe side
            error = (2 / seen[0] + 2 / seen[1]) ** 0.5
            assert abs(np.log(ratio / (1 + uplift))) < Z * error, (campaign["name"], segment)
            assert_share(sizes[1], sum(sizes), campaign["contacted"])


# --- platforms and dirt -------------------------------------------------------------------------------------------


def test_customers_use_the_platforms_that_the_truth_names(whole: Market) -> None:
    used = whole.rows.drop_nulls("user_id").select("user_id", "platform").unique()
    own = (
        whole.table("customers")
        .unpivot(["platform", "platform_2", "platform_3"], index="customer_id", value_name="own")
        .drop_nulls("own")
    )
    assert used.join(own, left_on=["user_id", "platform"], right_on=["customer_id", "own"], how="anti").is_empty()
    assert used["platform"].n_unique() == 7
    several = own.group_by("customer_id").agg(pl.col("own").n_unique(), pl.len())
    assert (several["own"] == several["len"]).all()
    assert_share((several["len"] > 1).sum(), len(several), 0.35)


def test_contacts_belong_to_customers_and_are_fictitious(whole: Market) -> None:
    contacts, customers = whole.table("contacts"), whole.table("customers")
    accounts = customers.select(pl.sum_horizontal(pl.col("^platform.*$").is_not_null())).sum().item()
    assert len(contacts) == accounts
    assert contacts.select("platform", "account_id").is_unique().all()
    assert set(contacts["customer_id"]) == set(customers["customer_id"])
    emails = contacts["email"].drop_nulls()
    domains = emails.str.split("@").list.last()
    assert domains.is_in(["example.com", "example.net", "example.org"]).mean() > 0.95  # but for typing errors
    assert_share(contacts["phone"].null_count(), len(contacts), 0.25)
    same_name = contacts.group_by("customer_id").agg(pl.col("last_name").n_unique(), pl.len()).filter(pl.col("len") > 1)
    assert 0.85 < (same_name["last_name"] == 1).mean() < 0.99


def test_dirt_comes_in_the_planted_shares(whole: Market) -> None:
    counts, dirt = whole.truth["counts"], whole.truth["planted"]["dirt"]
    assert_share(counts["duplicates"], counts["kept"], dirt["duplicates"])
    views = counts["rows_by_type"]["view"]
    assert_share(counts["rows_at_price_zero"], views, dirt["zero_price_views"])
    about = counts["rows"] - counts["rows_without_product"]
    for name, planted in (("category_code", dirt["no_category_code"]), ("brand", dirt["no_brand"])):
        empty = counts[f"rows_without_{name}"] - counts["rows_without_product"]
        assert empty / about == pytest.approx(planted, abs=0.05)


def test_prices_follow_list_price_and_discount(whole: Market) -> None:
    known = whole.rows.filter(pl.col("price") > 0).join(whole.table("products"), on="product_id")
    ratio = known["price"] / (known["list_price"] * (1 - known["discount"]))
    assert ratio.is_between(0.5, 2).all()
    # unchanged for most products: then the price is the list price less the discount, to the cent
    exact = (known["price"] - known["list_price"] * (1 - known["discount"])).abs() < 0.0051
    assert exact.mean() > 0.6
    assert 0.02 < (known["discount"] > 0).mean() < 0.25
