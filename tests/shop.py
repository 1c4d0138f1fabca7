"""Marts of a small event log, made apart from the warehouse: frames that obey the contracts, for tests of analyses."""

import duckdb
import polars as pl

COUNTS = """count(*) as events, count(*) filter (event_type = 'view') as views,
    count(*) filter (event_type = 'cart') as carts, count(*) filter (event_type = 'remove_from_cart') as removals,
    count(*) filter (event_type = 'purchase') as purchases"""
FIRST = ", ".join(
    f"arg_min({column}, event_time) filter ({column} is not null) as {column}"
    for column in ("platform", "device", "channel", "region")
)
SOLD = "event_type = 'purchase' and coalesce(event_name, '') <> 'cancellation'"
REVENUE = "coalesce(sum(amount), 0)::decimal(38,4) as revenue"

QUERIES = {
    "sessions": f"""select session_id, any_value(customer_id) as customer_id, min(event_time) as started_at,
        max(event_time) as ended_at, {COUNTS}, count(distinct product_id) as products, {REVENUE}, {FIRST}
        from events group by session_id""",
    "customers": f"""select customer_id, min(event_time) as first_event_at, max(event_time) as last_event_at,
        count(distinct session_id) as sessions, count(distinct event_time::date) as active_days, {COUNTS},
        min(event_time) filter (event_type = 'view') as first_view_at,
        min(event_time) filter (event_type = 'cart') as first_cart_at,
        max(event_time) filter (event_type = 'cart') as last_cart_at,
        min(event_time) filter ({SOLD}) as first_purchase_at, max(event_time) filter ({SOLD}) as last_purchase_at,
        count(distinct session_id) filter ({SOLD}) as orders, {REVENUE}, {FIRST}
        from events where customer_id is not null group by customer_id""",
    "order_lines": f"""select session_id as order_id, row_number() over (partition by session_id order by event_time,
        product_id) as line, customer_id, event_time as ordered_at, product_id, price, quantity, amount,
        not ({SOLD}) as cancelled from events where event_type = 'purchase'""",
    "purchases": f"""select session_id as order_id, any_value(customer_id) as customer_id,
        min(event_time) as ordered_at, count(*) as lines, count(distinct product_id) as products,
        sum(quantity) as units, {REVENUE} from events where {SOLD} group by session_id""",
    "daily": f"""select day, {COUNTS}, count(distinct customer_id) as customers,
        count(distinct customer_id) filter (event_type = 'purchase') as buyers,
        count(distinct session_id) filter ({SOLD} and first_sale) as orders, {REVENUE} from timed group by day""",
    "hourly": f"""select day, hour, {COUNTS}, count(distinct customer_id) as customers,
        count(distinct customer_id) filter (event_type = 'purchase') as buyers,
        count(distinct session_id) filter ({SOLD} and first_sale) as orders, {REVENUE} from timed group by day, hour""",
    "product_stats": f"""select product_id, {COUNTS},
        count(distinct customer_id) filter (event_type = 'view') as viewers,
        count(distinct customer_id) filter ({SOLD}) as buyers, count(distinct session_id) filter ({SOLD}) as orders,
        coalesce(sum(quantity) filter (event_type = 'purchase'), 0)::bigint as units, {REVENUE},
        min(price) filter (price > 0) as min_price, max(price) as max_price
        from events where product_id is not null group by product_id""",
    "funnel": """select platform, device, channel, region, count(*) as visitors, count(first_view_at) as viewers,
        count(*) filter (last_cart_at >= first_view_at) as viewers_to_cart, count(first_cart_at) as carters,
        count(*) filter (last_purchase_at >= first_cart_at) as carters_to_purchase,
        count(*) filter (orders > 0) as buyers,
        count(*) filter (orders > 0 and first_cart_at is null) as buyers_without_cart
        from customers group by all""",
}
SCHEMA = {
    "customer_id": pl.Int64,
    "session_id": pl.Int64,
    "event_time": pl.Datetime("us"),
    "event_type": pl.String,
    "event_name": pl.String,
    "product_id": pl.Int64,
    "price": pl.Decimal(18, 4),
    "quantity": pl.Int32,
    "amount": pl.Decimal(18, 4),
    "platform": pl.String,
    "device": pl.String,
    "channel": pl.String,
    "region": pl.String,
}


def marts(events: pl.DataFrame, only: tuple[str, ...] = tuple(QUERIES)) -> dict[str, pl.DataFrame]:
    """Marts of `events`; columns of SCHEMA that it lacks are null (quantity 1). Local time is UTC."""
    missing = [
        pl.lit(1 if name == "quantity" else None, kind).alias(name)
        for name, kind in SCHEMA.items()
        if name not in events.columns
    ]
    events = events.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.register("events", events.to_arrow())
        connection.execute(
            f"""create view timed as select *, event_time::date as day, hour(event_time)::integer as hour,
            event_time = min(event_time) filter ({SOLD}) over (partition by session_id) as first_sale from events"""
        )
        built = {}
        for name in only:
            built[name] = connection.sql(QUERIES[name]).pl()
            connection.register(name, built[name].to_arrow())
    filled = {name: events[name].count() for name in SCHEMA}
    built["coverage"] = pl.DataFrame(
        {"column_name": list(filled), "events": [events.height] * len(filled), "filled": list(filled.values())}
    )
    return built
