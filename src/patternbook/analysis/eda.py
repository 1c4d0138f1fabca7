"""The shop at a glance: key figures and their trend, activity, event mix, coverage, prices, best sellers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import polars as pl

from patternbook.analysis import intervals
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.period import Period, Span
from patternbook.analysis.suppression import behind, few, hidden
from patternbook.formats import Formats

NO_PURCHASE = "The data hold no purchase."
NO_CUSTOMER = "No event names its customer."
SHORTEST_RANKING = 3  # a list of fewer products is no ranking
WEEK = 7  # days; a period of whole weeks holds each weekday equally often
HOURLY_UP_TO_DAYS = 3  # shorter data are shown by hour
NULL_BY_DESIGN = ("amount", "event_name")  # only purchases have an amount, only some sources their own event names


MARTS: dict[str, tuple[str, ...]] = {  # the marts of `Marts` and the columns that are read of them
    "sessions": ("customer_id", "started_at", "ended_at"),
    "customers": ("orders",),
    "purchases": ("order_id", "customer_id", "ordered_at"),
    "order_lines": ("order_id", "customer_id", "ordered_at", "amount"),
    "daily": ("day", "events", "views", "carts", "removals", "purchases", "customers", "buyers", "orders", "revenue"),
    "hourly": ("day", "hour", "customers", "buyers", "orders", "revenue"),
    "product_stats": (
        "product_id",
        "views",
        "viewers",
        "buyers",
        "orders",
        "units",
        "revenue",
        "min_price",
        "max_price",
    ),
}


class Marts(NamedTuple):
    """The marts that describe a shop, with the columns of `MARTS`."""

    sessions: pl.DataFrame
    customers: pl.DataFrame
    purchases: pl.DataFrame
    order_lines: pl.DataFrame
    daily: pl.DataFrame
    hourly: pl.DataFrame
    product_stats: pl.DataFrame


class Totals(NamedTuple):
    """What the shop did in all. `revenue` is net of returns; `buyers` are customers with an order."""

    events: int
    customers: int
    buyers: int
    sessions: int
    products: int
    orders: int
    revenue: float
    purchases_only: bool
    aov: Estimate | None


class Trend(NamedTuple):
    """Relative changes from the earlier period to the later one, equally long and next to it."""

    earlier: Period
    later: Period
    revenue: Estimate | None
    orders: Estimate | None
    customers: Estimate | None
    aov: Estimate | None


class Activity(NamedTuple):
    """Customers, orders and revenue by `day` or `hour`, with trailing averages over `window` of them by day.

    `table` has `at`, `whole` (the data cover it whole), `customers`, `orders`, `revenue`, and
    `customers_average`, `revenue_average`. Where fewer than `minimum_group` customers were there, the first three are
    null, and where fewer bought, orders and revenue are; so are the averages that these are in. `hidden` counts rows
    without one of them.
    """

    unit: str
    table: pl.DataFrame
    window: int
    hidden: int


class Coverage(NamedTuple):
    """How many of `events` have a value, by column; `absent` names the columns that the source does not have."""

    table: pl.DataFrame
    absent: list[str]
    events: int


class Prices(NamedTuple):
    """Products and revenue by price band. `table` has low, high, products, revenue, and both as shares.

    A product's price is the geometric middle of its lowest and highest; `unpriced` products have none.
    """

    table: pl.DataFrame
    median: float
    products: int
    unpriced: int
    sells: bool


class TopProducts(NamedTuple):
    """Products by revenue or by views: `by`.

    `hidden` products have too few buyers (viewers) to be listed; they make `hidden_share` of all revenue (views).
    """

    table: pl.DataFrame
    by: str
    hidden: int
    hidden_share: float


def totals(marts: Marts) -> Totals:
    """Key figures of the shop."""
    events = int(marts.daily["events"].sum())
    return Totals(
        events=events,
        customers=marts.customers.height,
        buyers=marts.customers.filter(pl.col("orders") > 0).height,
        sessions=marts.sessions.height,
        products=marts.product_stats.height,
        orders=marts.purchases.height,
        revenue=float(marts.daily["revenue"].sum()),
        purchases_only=events == int(marts.daily["purchases"].sum()),
        aov=revenue_per_order(marts),
    )


def revenue_per_order(marts: Marts) -> Estimate | None:
    """Average order value: revenue ÷ orders, by customer (see `intervals.ratio_of_totals`)."""
    clusters = _ledger(marts).group_by("customer_id", "order_id").agg(pl.col("revenue", "orders").sum())
    return intervals.ratio_of_totals(_sorted(clusters).select("revenue", "orders").cast(pl.Float64).to_numpy(), (1, -1))


def comparable_periods(data: Span, longest: int) -> tuple[Period, Period] | LeftOut:
    """The last whole weeks of the data and as many before them, `longest` days at most.

    Only whole days count, and whole weeks, since one weekday is no measure for another.
    """
    whole = data.whole_days
    days = Period(*whole).days if whole else 0
    length = min(longest, days // 2) // WEEK * WEEK
    if whole is None or length == 0:
        return LeftOut(f"A trend needs {2 * WEEK} whole days or more; the data hold {days or 'none'}.")
    last = whole[1]
    middle = last - timedelta(days=length)
    return Period(middle - timedelta(days=length - 1), middle), Period(middle + timedelta(days=1), last)


def trend(marts: Marts, data: Span, zone: str, longest: int) -> Trend | LeftOut:
    """What changed between the two last comparable periods, each change with an interval clustered by customer."""
    periods = comparable_periods(data, longest)
    if isinstance(periods, LeftOut):
        return periods
    money = _by_period(_ledger(marts), periods, zone, ("revenue", "orders"))
    visits = marts.sessions.filter(pl.col("customer_id").is_not_null()).select(
        "customer_id",
        pl.lit(None, pl.Int64).alias("order_id"),
        pl.col("started_at").alias("at"),
        pl.lit(1, pl.Int64).alias("active"),
    )
    active = _by_period(visits, periods, zone, ("active",))
    active = active.with_columns(pl.col("active_later", "active_earlier").clip(0, 1))
    return Trend(
        *periods,
        revenue=_change(money, ("revenue_later", "revenue_earlier"), (1, -1)),
        orders=_change(money, ("orders_later", "orders_earlier"), (1, -1)),
        customers=_change(active, ("active_later", "active_earlier"), (1, -1)),
        aov=_change(money, ("revenue_later", "orders_later", "revenue_earlier", "orders_earlier"), (1, -1, -1, 1)),
    )


def measures(data: Span, shop: Totals, change: Trend | LeftOut, minimum_group: int) -> list[Measure]:
    """What 02 records; a measure that the source cannot give has its reason."""
    no_sale = None if shop.orders else NO_PURCHASE
    no_sessions = "The source records orders only, so there are no sessions." if shop.purchases_only else None
    no_conversion = no_sale or _no_conversion(shop, minimum_group)
    conversion = None if no_conversion else intervals.share(shop.buyers, shop.customers)
    counts = (
        ("events", "Events", shop.events, None),
        ("customers", "Customers", shop.customers or None, None if shop.customers else NO_CUSTOMER),
        ("sessions", "Sessions", None if no_sessions else shop.sessions, no_sessions),
        ("products", "Products", shop.products, None),
        ("orders", "Orders", shop.orders or None, no_sale),
    )
    return [
        *(Measure(name, label, "count", value, reason=reason) for name, label, value, reason in counts),
        Measure("revenue", "Revenue", "currency", None if no_sale else shop.revenue, reason=no_sale),
        measured("aov", "Average order value", "currency", shop.aov, no_sale or "Returns outweigh sales."),
        measured("conversion", "Buyers among customers", "share", conversion, no_conversion),
        Measure("first_event", "First event", "time", data.first),
        Measure("last_event", "Last event", "time", data.last),
        *_change_measures(shop, change),
    ]


def _no_conversion(shop: Totals, minimum_group: int) -> str | None:
    if shop.purchases_only:
        return "The source records orders only, so there is no conversion."
    if not shop.customers:
        return NO_CUSTOMER
    if 0 < shop.buyers < minimum_group:
        return f"Fewer than {minimum_group} buyers, which is not published."
    return None


def _change_measures(shop: Totals, change: Trend | LeftOut) -> list[Measure]:
    labels = {"revenue": "revenue", "orders": "orders", "customers": "active customers", "aov": "average order value"}
    if isinstance(change, LeftOut):
        return [
            Measure(f"{name}_change", f"Change of {label}", "share", None, reason=change.reason)
            for name, label in labels.items()
        ]
    missing = "One of the two periods compared holds none." if shop.orders else NO_PURCHASE
    return [
        measured(f"{name}_change", f"Change of {label}", "share", getattr(change, name), missing)
        for name, label in labels.items()
    ]


def activity(marts: Marts, data: Span, window: int, minimum_group: int) -> Activity | LeftOut:
    """Customers, orders and revenue over time: by day, or by hour where the data are `HOURLY_UP_TO_DAYS` or shorter.

    Days and hours without an event between the first and the last count as zero.
    """
    by_hour = data.days <= HOURLY_UP_TO_DAYS
    measured_columns = ("customers", "orders", "revenue")
    needed = (*measured_columns, "buyers")
    if by_hour:
        at = (pl.col("day").cast(pl.Datetime("us")) + pl.duration(hours=pl.col("hour"))).alias("at")
        observed = marts.hourly.select(at, *needed)
        grid = pl.datetime_range(_hour(data.first), _hour(data.last), "1h", eager=True, time_unit="us")
        whole = pl.lit(True)
    else:
        observed = marts.daily.select(pl.col("day").alias("at"), *needed)
        grid = pl.date_range(data.first.date(), data.last.date(), "1d", eager=True)
        first, last = data.whole_days or (data.last.date(), data.first.date())
        whole = pl.col("at").is_between(first, last)
    table = (
        pl.DataFrame({"at": grid})
        .join(observed, on="at", how="left")
        .with_columns(pl.col("customers", "orders", "buyers").cast(pl.Int64), pl.col("revenue").cast(pl.Float64))
        .with_columns(pl.col(needed).fill_null(0))
        .sort("at")
        .with_columns(whole.alias("whole"))
    )
    few_customers = few(table["customers"], minimum_group)
    # Orders and revenue add up to totals that are published; how many came on a day does not.
    people = behind(table["orders"], table["buyers"])
    few_buyers = hidden(people, minimum_group, also=few_customers & (table["orders"] > 0).to_numpy())
    hides = {"customers": few_customers, "orders": few_customers | few_buyers, "revenue": few_customers | few_buyers}
    shown = table.with_columns(
        pl.when(pl.Series(~hides[name])).then(pl.col(name)).alias(name) for name in measured_columns
    ).with_columns(
        # An average over a hidden day would give it away: seven times the average, less the other six.
        pl.when("whole").then(pl.col(name)).rolling_mean(window, min_samples=window).alias(f"{name}_average")
        for name in ("customers", "revenue")
    )
    untold = shown.filter("whole", pl.any_horizontal(pl.col(measured_columns).is_null())).height
    if not any(float(shown[name].fill_null(0).sum()) for name in ("customers", "revenue")):
        when = "In no hour" if by_hour else "On no day"
        return LeftOut(f"{when} were {minimum_group} customers active, so activity over time is not shown.")
    return Activity("hour" if by_hour else "day", shown.drop("buyers"), window, untold)


def event_mix(daily: pl.DataFrame) -> pl.DataFrame | LeftOut:
    """Events by type: `event_type`, `events`, `share`, largest first; types that do not occur are left out."""
    types = {"view": "views", "cart": "carts", "remove_from_cart": "removals", "purchase": "purchases"}
    counts = {name: int(daily[column].sum()) for name, column in types.items()}
    total = int(daily["events"].sum())
    counts["other"] = total - sum(counts.values())
    frame = pl.DataFrame({"event_type": list(counts), "events": list(counts.values())}).filter(pl.col("events") > 0)
    if frame.height == 1:
        return LeftOut(f"Every event is a {frame['event_type'][0]} event, so there is no mix to show.")
    return frame.with_columns((pl.col("events") / total).alias("share")).sort("events", descending=True)


def coverage(mart: pl.DataFrame) -> Coverage:
    """How complete each column is, from the mart `coverage`; columns that are null by design are left out."""
    columns = (
        mart.filter(~pl.col("column_name").is_in(NULL_BY_DESIGN))
        .select(pl.col("column_name").alias("column"), "events", "filled")
        .with_columns((pl.col("filled") / pl.col("events")).alias("share"))
        .sort("share", "column", descending=[False, False])
    )
    present = columns.filter(pl.col("filled") > 0)
    absent = sorted(columns.filter(pl.col("filled") == 0)["column"].to_list())
    return Coverage(present, absent, int(mart["events"].to_numpy().max(initial=0)))


def prices(product_stats: pl.DataFrame) -> Prices | LeftOut:
    """Products and revenue by price band, from the mart `product_stats`. Bands run 1–2–5 in every decade."""
    price = (pl.col("min_price").cast(pl.Float64) * pl.col("max_price").cast(pl.Float64)).sqrt()
    priced = product_stats.select(price.alias("price"), pl.col("revenue").cast(pl.Float64)).filter(pl.col("price") > 0)
    if priced.is_empty():
        return LeftOut("The source has no prices.")
    edges = _band_edges(priced["price"])
    bands = pl.DataFrame(
        {"band": range(len(edges) + 1), "low": [None, *edges], "high": [*edges, None]},
        schema={"band": pl.Int64, "low": pl.Float64, "high": pl.Float64},
    )
    band = np.searchsorted(np.array(edges), priced["price"].to_numpy(), side="right")
    counted = (
        priced.with_columns(pl.Series("band", band, pl.Int64))
        .group_by("band")
        .agg(pl.len().alias("products"), pl.col("revenue").sum().cast(pl.Float64))
    )
    table = (
        bands.join(counted, on="band", how="left")
        .sort("band")
        .drop("band")
        .with_columns(pl.col("products", "revenue").fill_null(0))
        .with_columns(
            (pl.col("products") / pl.col("products").sum()).alias("products_share"),
            (pl.col("revenue") / pl.col("revenue").sum()).fill_nan(None).alias("revenue_share"),
        )
    )
    sells = float(product_stats["revenue"].sum()) > 0
    median = float(np.median(priced["price"].to_numpy()))
    return Prices(table, median, priced.height, product_stats.height - priced.height, sells)


def top_products(
    product_stats: pl.DataFrame, products: pl.DataFrame, limit: int, minimum_group: int
) -> TopProducts | LeftOut:
    """The `limit` products that make most revenue; those viewed most, where too few are sold to rank.

    `products` is what the source says of each product. Those with fewer than `minimum_group` buyers (viewers) are
    not listed, since their figures would speak of few people.
    """
    ranking = _ranking(product_stats, minimum_group)
    if ranking is None:
        return LeftOut(f"Fewer than {SHORTEST_RANKING} products have as many as {minimum_group} buyers or viewers.")
    by, people = ranking
    ranked = product_stats.with_columns(pl.col("revenue").cast(pl.Float64)).filter(pl.col(by) > 0)
    whole = float(ranked[by].sum())
    listed = ranked.filter(pl.col(people) >= minimum_group)
    described = products.select(
        "product_id",
        pl.coalesce("name", "source_id").alias("product"),
        "brand",
        pl.col("category_code").alias("category"),
    )
    columns = (people, "views", "share") if by == "views" else (people, "units", "revenue", "share")
    table = (
        listed.sort(by, "product_id", descending=[True, False])
        .head(limit)
        .join(described, on="product_id", how="left", maintain_order="left")
        .with_columns((pl.col(by) / whole).alias("share"))
        .select("product", "brand", "category", *columns)
    )
    return TopProducts(table, by, ranked.height - listed.height, 1 - float(listed[by].sum()) / whole)


def _ranking(product_stats: pl.DataFrame, minimum_group: int) -> tuple[str, str] | None:
    for by, people in (("revenue", "buyers"), ("views", "viewers")):
        if product_stats.filter((pl.col(people) >= minimum_group) & (pl.col(by) > 0)).height >= SHORTEST_RANKING:
            return by, people
    return None


def answer(data: Span, shop: Totals, change: Trend | LeftOut, formats: Formats) -> str:
    """The notebook's answer in two or three sentences, from the results."""
    who = f"{formats.count(shop.customers)} customers" if shop.customers else "customers that the log does not name"
    sentence = f"{_when(data, formats)}, {who} "
    if not shop.orders or shop.aov is None:
        return sentence + f"left {formats.count(shop.events)} events and no purchase, so nothing is said of revenue."
    sentence += (
        f"placed {formats.count(shop.orders)} orders worth {formats.money(shop.revenue)}, on average "
        f"{formats.money(shop.aov.value, shop.aov.interval)} each."
    )
    return f"{sentence} {trend_sentence(change, formats)}"


def _when(data: Span, formats: Formats) -> str:
    if data.days > 1:
        return f"From {formats.date(data.first)} to {formats.date(data.last)}"
    return f"On {formats.date(data.first)}, from {formats.clock(data.first)} to {formats.clock(data.last)}"


def compared(change: Trend | LeftOut, formats: Formats) -> str:
    """Which periods the changes compare, or why there are none."""
    if isinstance(change, LeftOut):
        return change.reason
    return f"Change: {_dates(change.later, formats)} against the {change.earlier.days} days before."


def _dates(period: Period, formats: Formats) -> str:
    return f"{formats.date(period.first)} to {formats.date(period.last)}"


def trend_sentence(change: Trend | LeftOut, formats: Formats) -> str:
    """What revenue and orders did between the two periods; only what lies outside its interval rose or fell."""
    if isinstance(change, LeftOut):
        return change.reason
    days = change.later.days
    moves = [
        f"{name} {_moved(estimate, formats)}"
        for name, estimate in (("revenue", change.revenue), ("the average order value", change.aov))
        if estimate
    ]
    if not moves:
        return f"There is nothing to compare the last {days} whole days with."
    return f"In the last {days} whole days, against the {days} days before, {' and '.join(moves)}."


def _moved(change: Estimate, formats: Formats) -> str:
    if change.interval is None:
        return f"moved by {formats.change(change.value)} (too few customers for an interval)"
    low, high = change.interval
    if low > 0:
        return f"rose by {formats.share(change.value, (low, high))}"
    if high < 0:
        return f"fell by {formats.share(-change.value, (-high, -low))}"
    return f"showed no clear change, at {formats.change(change.value, change.interval)}"


def _local(column: str, zone: str) -> pl.Expr:
    """A UTC timestamp in the time zone `zone`."""
    return pl.col(column).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0, tzinfo=None)


def _ledger(marts: Marts) -> pl.DataFrame:
    """Orders and amounts as entries `customer_id, order_id, at, orders, revenue`.

    `order_id` is null where the customer is known: who is not known stands for one order each.
    """
    who = ("customer_id", pl.when(pl.col("customer_id").is_null()).then("order_id").alias("order_id"))
    at = pl.col("ordered_at").alias("at")
    nothing = pl.lit(Decimal(0), pl.Decimal(38, 4))
    orders = marts.purchases.select(*who, at, pl.lit(1, pl.Int64).alias("orders"), nothing.alias("revenue"))
    amount = pl.col("amount").cast(pl.Decimal(38, 4)).fill_null(nothing).alias("revenue")
    return pl.concat([orders, marts.order_lines.select(*who, at, pl.lit(0, pl.Int64).alias("orders"), amount)])


def _by_period(
    entries: pl.DataFrame, periods: tuple[Period, Period], zone: str, columns: Iterable[str]
) -> pl.DataFrame:
    """Sums of `columns` by customer, as `<column>_earlier` and `<column>_later`."""
    day = _local("at", zone).dt.date()
    spans = {"earlier": day.is_between(*periods[0]), "later": day.is_between(*periods[1])}
    return _sorted(
        entries.filter(day.is_between(periods[0].first, periods[1].last))
        .group_by("customer_id", "order_id")
        .agg(
            pl.col(column).filter(inside).sum().alias(f"{column}_{name}")
            for column in columns
            for name, inside in spans.items()
        )
    )


def _sorted(clusters: pl.DataFrame) -> pl.DataFrame:
    """Clusters in one order, so that the bootstrap draws the same in every run."""
    return clusters.sort("customer_id", "order_id")


def _change(clusters: pl.DataFrame, columns: tuple[str, ...], powers: tuple[int, ...]) -> Estimate | None:
    """Relative change from a ratio of totals; None where a total is not positive."""
    ratio = intervals.ratio_of_totals(clusters.select(columns).cast(pl.Float64).to_numpy(), powers)
    if ratio is None:
        return None
    low, high = ratio.interval or (None, None)
    return Estimate(ratio.value - 1, low if low is None else low - 1, high if high is None else high - 1, ratio.n)


def _band_edges(price: pl.Series) -> list[float]:
    """Edges 1, 2, 5, 10, … between the 0.5th and the 99.5th percentile; the bands beyond are open."""
    low, high = np.quantile(price.to_numpy(), [0.005, 0.995])
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = [float(f"{step}e{decade}") for decade in decades for step in (1, 2, 5)]
    return [edge for edge in steps if low <= edge <= high] or [min(steps, key=lambda edge: abs(edge - high))]
