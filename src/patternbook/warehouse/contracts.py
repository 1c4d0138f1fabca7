"""What every event log and mart promises: columns, types, keys, and identities that are checked when it is built."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """One column. `type` is an engine type in DuckDB's spelling.

    `unit` is one of `formats.Unit`; that of money and of times follows from their type, and a count is one of what
    its meaning names.
    """

    name: str
    type: str
    meaning: str
    nullable: bool = False
    unit: str | None = None


@dataclass(frozen=True)
class Contract:
    """What one table promises. `identities` are SQL conditions over the whole table that must hold."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    identities: dict[str, str] = field(default_factory=dict)

    def column_names(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for column in self.columns]


MONEY = "DECIMAL(18,4)"
TOTAL = "DECIMAL(38,4)"

EVENTS = Contract(
    name="events",
    meaning="one row an event, in one schema for every source",
    key=(),
    columns=(
        Column("customer_id", "BIGINT", "who; null where the source does not know", nullable=True),
        Column("session_id", "BIGINT", "key of the pair (customer, source session); for transactions the order"),
        Column("event_time", "TIMESTAMP", "when, UTC, whole seconds"),
        Column("event_type", "VARCHAR", "view, cart, remove_from_cart, purchase or other"),
        Column(
            "event_name",
            "VARCHAR",
            "the source's own name where it says more; cancellation on the lines of "
            "an order that takes an earlier one back",
            nullable=True,
        ),
        Column("product_id", "BIGINT", "what", nullable=True),
        Column("price", MONEY, "unit price in the run's currency", nullable=True),
        Column("quantity", "INTEGER", "units; 1 where the source has none, negative = returned"),
        Column("amount", MONEY, "line total of a purchase; null on every other event", nullable=True),
        Column("platform", "VARCHAR", "platform, where the source has it", nullable=True),
        Column("device", "VARCHAR", "device, where the source has it", nullable=True),
        Column("channel", "VARCHAR", "marketing channel, where the source has it", nullable=True),
        Column("region", "VARCHAR", "region, where the source has it", nullable=True),
        Column(
            "discount",
            "DOUBLE",
            "discount as a share of the list price, where the source has it",
            nullable=True,
            unit="share",
        ),
    ),
)

PRODUCTS = Contract(
    name="products",
    meaning="one row a product: what the source says of it most often",
    key=("product_id",),
    columns=(
        Column("product_id", "BIGINT", "the product"),
        Column("source_id", "VARCHAR", "the source's own id"),
        Column("category_id", "VARCHAR", "the source's category id", nullable=True),
        Column("category_code", "VARCHAR", "category path such as electronics.audio.headphone", nullable=True),
        Column("brand", "VARCHAR", "brand", nullable=True),
        Column("name", "VARCHAR", "name or description", nullable=True),
    ),
)

CUSTOMERS = Contract(
    name="customers",
    meaning="one row a known customer: what the source says of them",
    key=("customer_id",),
    columns=(
        Column("customer_id", "BIGINT", "the customer"),
        Column("source_id", "VARCHAR", "the source's own id", nullable=True),
    ),
)

SESSIONS_SOURCE = Contract(
    name="sessions_source",
    meaning="one row a session that the source names, where compaction.keep_session_ids asks for it",
    key=("session_id",),
    columns=(
        Column("session_id", "BIGINT", "the session, or the order of a source of transactions"),
        Column("source_id", "VARCHAR", "the source's own id; where customers share a session, each has a row"),
    ),
)

REJECTS = Contract(
    name="rejects",
    meaning="one row a source row that became no event",
    key=(),
    columns=(
        Column("file", "VARCHAR", "name of the source file"),
        Column("line", "BIGINT", "line of the file, as an editor counts; in a table file the row, from 1"),
        Column("reason", "VARCHAR", "why it was rejected"),
        Column("raw", "VARCHAR", "its text, customers masked; empty where a rule of the section quality rejected it"),
    ),
)

_COUNTS = (
    Column("events", "BIGINT", "events"),
    Column("views", "BIGINT", "view events"),
    Column("carts", "BIGINT", "cart events"),
    Column("removals", "BIGINT", "remove_from_cart events"),
    Column("purchases", "BIGINT", "purchase events (order lines)"),
)
_SLOT = Column("slot", "BIGINT", "quarters of an hour since 1970, UTC")
_TYPES_ADD_UP = {"types add up": "sum(events) >= sum(views) + sum(carts) + sum(removals) + sum(purchases)"}

CUTOFF_ORDER = ("features", "labels", "interests")
"""Marts with rows for each cutoff: what is known before it, what happens after it, what interested before it."""


def _recent(name: str, meaning: str, days: tuple[int, ...], kind: str = "BIGINT") -> tuple[Column, ...]:
    """A count or amount in all and within the last days before the cutoff."""
    windows = (Column(f"{name}_{n}d", kind, f"{meaning} in the last {n} day{'s' * (n > 1)}") for n in days)
    return (Column(name, kind, f"{meaning} before the cutoff"), *windows)


def _since(name: str, event: str, *, nullable: bool = True) -> Column:
    return Column(name, "DOUBLE", f"days from the last {event} to the cutoff", nullable=nullable, unit="days")


_DAYS = (1, 3, 7, 14, 30)
_FEATURES = Contract(
    name="features",
    meaning="one row a customer known at a cutoff (the first local day that is not looked at), from events before it",
    key=("cutoff", "customer_id"),
    columns=(
        Column("cutoff", "DATE", "the cutoff"),
        Column("customer_id", "BIGINT", "the customer"),
        Column("days_known", "DOUBLE", "days from the first event to the cutoff", unit="days"),
        _since("days_since_event", "event", nullable=False),
        _since("days_since_view", "view"),
        _since("days_since_cart", "cart event"),
        _since("days_since_removal", "removal from the cart"),
        _since("days_since_signal", "event of another type, such as a sign-in"),
        _since("days_since_purchase", "order"),
        Column(
            "days_since_first_purchase", "DOUBLE", "days from the first order to the cutoff", nullable=True, unit="days"
        ),
        Column("events", "BIGINT", "events before the cutoff"),
        Column("events_7d", "BIGINT", "events in the last 7 days"),
        Column("events_4w_before", "BIGINT", "events in the four weeks before those"),
        *_recent("views", "view events", _DAYS),
        *_recent("carts", "cart events", _DAYS),
        Column("carts_since_purchase", "BIGINT", "cart events after the last order"),
        *_recent("removals", "removals from the cart", (30,)),
        *_recent("signals", "events of other types", (7, 30)),
        *_recent("orders", "orders, cancellations not counted", _DAYS),
        Column("order_days", "BIGINT", "local days with an order", unit="days"),
        Column("first_order_day", "DATE", "first of them", nullable=True),
        Column("last_order_day", "DATE", "last of them", nullable=True),
        *_recent("revenue", "sum of amounts, net of returns,", _DAYS, TOTAL),
        Column("units", "BIGINT", "units bought, net of returns"),
        Column("discounted_purchases", "BIGINT", "order lines at a discount"),
        *_recent("sessions", "sessions", _DAYS),
        Column("sessions_with_cart", "BIGINT", "sessions with a cart event"),
        Column("active_days", "BIGINT", "local days with an event", unit="days"),
        Column("active_days_7d", "BIGINT", "local days with an event, in the last 7 days", unit="days"),
        Column("active_days_30d", "BIGINT", "local days with an event, in the last 30 days", unit="days"),
        Column("priced_views", "BIGINT", "views of a product with a price"),
        Column("viewed_price", TOTAL, "sum of the prices viewed"),
        Column("highest_viewed_price", MONEY, "highest price viewed", nullable=True),
        Column("discounted_views", "BIGINT", "views of a product at a discount"),
        Column("products", "BIGINT", "distinct products in any event"),
        Column("categories", "BIGINT", "their distinct top categories"),
        Column("brands", "BIGINT", "their distinct brands"),
        Column("night_events", "BIGINT", "events from midnight to 6, local time"),
        Column("morning_events", "BIGINT", "events from 6 to noon"),
        Column("evening_events", "BIGINT", "events from 18 to midnight"),
        Column("weekend_events", "BIGINT", "events on Saturday and Sunday"),
        Column("platforms", "BIGINT", "distinct platforms"),
        Column("platform", "VARCHAR", "platform of the last session", nullable=True),
        Column("device", "VARCHAR", "device of the last session", nullable=True),
        Column("channel", "VARCHAR", "channel of the last session", nullable=True),
        Column("region", "VARCHAR", "region of the last session", nullable=True),
    ),
    identities={
        "the cutoff comes after all": "bool_and(days_since_event > 0 and days_known >= days_since_event)",
        "windows are nested": "bool_and(views_1d <= views_3d and views_3d <= views_7d and views_7d <= views_14d "
        "and views_14d <= views_30d and views_30d <= views)",
    },
)
_LABELS = Contract(
    name="labels",
    meaning="one row a customer known at a cutoff who buys within the longest horizon after it; nobody buys after the "
    "cutoff at the end of the data",
    key=("cutoff", "customer_id"),
    columns=(
        Column("cutoff", "DATE", "the cutoff"),
        Column("customer_id", "BIGINT", "the customer"),
        Column("next_purchase_at", "TIMESTAMP", "first order at or after the cutoff, UTC"),
        Column("days_to_purchase", "DOUBLE", "days from the cutoff to it", unit="days"),
        Column("orders", "BIGINT", "orders within the longest horizon"),
        Column("revenue", TOTAL, "their sum of amounts"),
        Column(
            "next_category",
            "VARCHAR",
            "top category of the first order; the first by alphabet of several",
            nullable=True,
        ),
    ),
    identities={"purchases come after the cutoff": "bool_and(days_to_purchase >= 0)"},
)
_INTERESTS = Contract(
    name="interests",
    meaning="one row a customer known at a cutoff and a top category they looked at or bought before it",
    key=("cutoff", "customer_id", "category"),
    columns=(
        Column("cutoff", "DATE", "the cutoff"),
        Column("customer_id", "BIGINT", "the customer"),
        Column("category", "VARCHAR", "top category"),
        Column("views", "BIGINT", "view events"),
        Column("views_30d", "BIGINT", "view events in the last 30 days"),
        Column("carts", "BIGINT", "cart events"),
        Column("purchases", "BIGINT", "purchase events"),
        Column("last_seen_at", "TIMESTAMP", "last event, UTC"),
        Column("last_bought_at", "TIMESTAMP", "last purchase, UTC", nullable=True),
    ),
)

MARTS: dict[str, Contract] = {
    contract.name: contract
    for contract in (
        Contract(
            name="bots",
            meaning="one row a customer who does more than a person can, by the limits of quality.bots; where bots are "
            "excluded, no other mart knows them",
            key=("customer_id",),
            columns=(
                Column("customer_id", "BIGINT", "the customer"),
                Column("events", "BIGINT", "events"),
                Column("busiest_day", "BIGINT", "events on the day with most of them"),
                Column("active_days", "BIGINT", "days with an event, in the shop's local time", unit="days"),
            ),
        ),
        Contract(
            name="activity",
            meaning="one row a session and quarter of an hour with an event of it: what most other marts are added up "
            "from",
            key=("session_id", "slot"),
            columns=(
                Column("session_id", "BIGINT", "the session"),
                _SLOT,
                Column("customer_id", "BIGINT", "who", nullable=True),
                Column("first_at", "TIMESTAMP", "first event, UTC"),
                Column("last_at", "TIMESTAMP", "last event, UTC"),
                *_COUNTS,
                Column("revenue", TOTAL, "sum of amounts, net of returns"),
                Column("first_view_at", "TIMESTAMP", "first view, UTC", nullable=True),
                Column("last_view_at", "TIMESTAMP", "last view, UTC", nullable=True),
                Column("priced_views", "BIGINT", "views of a product with a price"),
                Column("viewed_price", TOTAL, "sum of the prices viewed"),
                Column("highest_viewed_price", MONEY, "highest price viewed", nullable=True),
                Column("discounted_views", "BIGINT", "views of a product at a discount"),
                Column("platform", "VARCHAR", "platform; the first by alphabet where there are several", nullable=True),
                Column("device", "VARCHAR", "device; the first by alphabet where there are several", nullable=True),
                Column("channel", "VARCHAR", "channel; the first by alphabet where there are several", nullable=True),
                Column("region", "VARCHAR", "region; the first by alphabet where there are several", nullable=True),
            ),
            identities={**_TYPES_ADD_UP, "time runs forward": "bool_and(first_at <= last_at)"},
        ),
        Contract(
            name="actions",
            meaning="one row an event other than a view, as it is in events",
            key=(),
            columns=tuple(
                next(column for column in EVENTS.columns if column.name == name)
                for name in (
                    "session_id",
                    "event_time",
                    "event_type",
                    "event_name",
                    "customer_id",
                    "product_id",
                    "price",
                    "quantity",
                    "amount",
                    "discount",
                )
            ),
            identities={"no view is an action": "bool_and(event_type <> 'view')"},
        ),
        Contract(
            name="category_activity",
            meaning="one row a session, quarter of an hour and top category of the products that it deals with",
            key=("session_id", "slot", "category"),
            columns=(
                Column("session_id", "BIGINT", "the session"),
                _SLOT,
                Column("category", "VARCHAR", "top category"),
                Column("customer_id", "BIGINT", "who", nullable=True),
                Column("last_at", "TIMESTAMP", "last event, UTC"),
                Column("views", "BIGINT", "view events"),
                Column("carts", "BIGINT", "cart events"),
                Column("purchases", "BIGINT", "purchase events"),
                Column("first_view_at", "TIMESTAMP", "first view, UTC", nullable=True),
                Column("last_purchase_at", "TIMESTAMP", "last purchase event, UTC", nullable=True),
            ),
        ),
        Contract(
            name="discoveries",
            meaning="one row a known customer and quarter of an hour in which they first meet a product, a top "
            "category or a brand",
            key=("customer_id", "slot"),
            columns=(
                Column("customer_id", "BIGINT", "the customer"),
                _SLOT,
                Column("products", "BIGINT", "products that the customer had no event on before"),
                Column("categories", "BIGINT", "top categories that they had no event on before"),
                Column("brands", "BIGINT", "brands that they had no event on before"),
            ),
        ),
        Contract(
            name="sessions",
            meaning="one row a session",
            key=("session_id",),
            columns=(
                Column("session_id", "BIGINT", "the session"),
                Column("customer_id", "BIGINT", "who", nullable=True),
                Column("started_at", "TIMESTAMP", "first event, UTC"),
                Column("ended_at", "TIMESTAMP", "last event, UTC"),
                *_COUNTS,
                Column("revenue", TOTAL, "sum of amounts, net of returns"),
                Column("platform", "VARCHAR", "platform; the first by alphabet where there are several", nullable=True),
                Column("device", "VARCHAR", "device; the first by alphabet where there are several", nullable=True),
                Column("channel", "VARCHAR", "channel; the first by alphabet where there are several", nullable=True),
                Column("region", "VARCHAR", "region; the first by alphabet where there are several", nullable=True),
            ),
            identities={**_TYPES_ADD_UP, "time runs forward": "bool_and(started_at <= ended_at)"},
        ),
        Contract(
            name="customers",
            meaning="one row a known customer",
            key=("customer_id",),
            columns=(
                Column("customer_id", "BIGINT", "the customer"),
                Column("first_event_at", "TIMESTAMP", "first event, UTC"),
                Column("last_event_at", "TIMESTAMP", "last event, UTC"),
                Column("sessions", "BIGINT", "sessions"),
                Column("active_days", "BIGINT", "days with an event, in the shop's local time", unit="days"),
                *_COUNTS,
                Column("first_view_at", "TIMESTAMP", "first view, UTC", nullable=True),
                Column("first_cart_at", "TIMESTAMP", "first cart event, UTC", nullable=True),
                Column("last_cart_at", "TIMESTAMP", "last cart event, UTC", nullable=True),
                Column("first_purchase_at", "TIMESTAMP", "first line of an order, UTC", nullable=True),
                Column("last_purchase_at", "TIMESTAMP", "last line of an order, UTC", nullable=True),
                Column("orders", "BIGINT", "orders; cancelled ones are none"),
                Column("units", "BIGINT", "units bought, net of returns"),
                Column("revenue", TOTAL, "sum of amounts, net of returns"),
                Column("platform", "VARCHAR", "platform of the first session that names one", nullable=True),
                Column("device", "VARCHAR", "device of the first session that names one", nullable=True),
                Column("channel", "VARCHAR", "channel of the first session that names one", nullable=True),
                Column("region", "VARCHAR", "region of the first session that names one", nullable=True),
            ),
            identities={**_TYPES_ADD_UP, "orders need purchases": "bool_and(orders <= purchases)"},
        ),
        Contract(
            name="order_lines",
            meaning="one row a purchase event; lines of cancelled orders are marked",
            key=("order_id", "line"),
            columns=(
                Column("order_id", "BIGINT", "the order: the session of the purchase"),
                Column("line", "BIGINT", "number of the line within the order, from 1"),
                Column("customer_id", "BIGINT", "who", nullable=True),
                Column("ordered_at", "TIMESTAMP", "when, UTC"),
                Column("product_id", "BIGINT", "what", nullable=True),
                Column("price", MONEY, "unit price", nullable=True),
                Column("quantity", "INTEGER", "units; negative = returned"),
                Column("amount", MONEY, "line total", nullable=True),
                Column("discount", "DOUBLE", "discount as a share of the list price", nullable=True, unit="share"),
                Column("cancelled", "BOOLEAN", "the line belongs to a cancelled order"),
            ),
        ),
        Contract(
            name="purchases",
            meaning="one row an order that was not cancelled",
            key=("order_id",),
            columns=(
                Column("order_id", "BIGINT", "the order"),
                Column("customer_id", "BIGINT", "who", nullable=True),
                Column("ordered_at", "TIMESTAMP", "first line, UTC"),
                Column("lines", "BIGINT", "lines"),
                Column("products", "BIGINT", "distinct products"),
                Column("units", "BIGINT", "units, net of returns within the order"),
                Column("revenue", TOTAL, "sum of amounts"),
            ),
        ),
        Contract(
            name="daily",
            meaning="one row a day with events, in the shop's local time",
            key=("day",),
            columns=(
                Column("day", "DATE", "the day"),
                *_COUNTS,
                Column("customers", "BIGINT", "distinct known customers"),
                Column("buyers", "BIGINT", "distinct known customers with a purchase event"),
                Column("new_customers", "BIGINT", "customers whose first event is on this day"),
                Column("sessions", "BIGINT", "sessions that start on this day"),
                Column("orders", "BIGINT", "orders that start on this day"),
                Column("revenue", TOTAL, "sum of amounts, net of returns"),
            ),
            identities=_TYPES_ADD_UP,
        ),
        Contract(
            name="hourly",
            meaning="one row an hour with events, in the shop's local time; an hour that a clock change repeats is one",
            key=("day", "hour"),
            columns=(
                Column("day", "DATE", "the day"),
                Column("hour", "INTEGER", "0 to 23"),
                Column("weekday", "INTEGER", "1 = Monday to 7 = Sunday"),
                *_COUNTS,
                Column("customers", "BIGINT", "distinct known customers"),
                Column("buyers", "BIGINT", "distinct known customers with a purchase event"),
                Column("sessions", "BIGINT", "sessions that start in this hour"),
                Column("orders", "BIGINT", "orders that start in this hour"),
                Column("revenue", TOTAL, "sum of amounts, net of returns"),
            ),
            identities=_TYPES_ADD_UP,
        ),
        Contract(
            name="rhythm",
            meaning="sessions, orders and revenue by hour of the week in the shop's local time, by groups of customers "
            "and by cluster; no row where nothing happened. Totals by cluster give intervals that know that what one "
            "customer does is not independent, however many customers there are",
            key=("grouping_name", "group_name", "cluster", "weekday", "hour"),
            columns=(
                Column("grouping_name", "VARCHAR", "all, newness, platform or frequency"),
                Column(
                    "group_name",
                    "VARCHAR",
                    "first visit or returning (of the session), the session's platform, or the customer's number of "
                    "visits in all; sessions without one are only in all",
                ),
                Column("cluster", "BIGINT", "customers put together by the remainder of their id by 499"),
                Column("weekday", "INTEGER", "1 = Monday to 7 = Sunday"),
                Column("hour", "INTEGER", "0 to 23"),
                Column("customers", "BIGINT", "distinct known customers with a session that starts then"),
                Column("sessions", "BIGINT", "sessions that start then"),
                Column("buying_sessions", "BIGINT", "those of them with an order"),
                Column("session_buyers", "BIGINT", "distinct known customers of these"),
                Column("buyers", "BIGINT", "distinct known customers with an order that starts then; only in all"),
                Column("orders", "BIGINT", "orders that start then; only in all"),
                Column("revenue", TOTAL, "sum of amounts then, net of returns; only in all"),
            ),
            identities={"buying sessions are a part": "bool_and(buying_sessions <= sessions)"},
        ),
        Contract(
            name="monthly",
            meaning="what customers did in a calendar month in the shop's local time, by cluster of customers",
            key=("month", "cluster"),
            columns=(
                Column("month", "DATE", "first day of the month"),
                Column("cluster", "BIGINT", "customers put together by the remainder of their id by 499"),
                Column("customers", "BIGINT", "distinct known customers with a session that starts then"),
                Column("sessions", "BIGINT", "sessions that start then"),
                Column("buying_sessions", "BIGINT", "those of them with an order"),
                Column("buyers", "BIGINT", "distinct known customers of these"),
                Column("explorers", "BIGINT", "distinct known customers with an event on a product of a category"),
                Column("categories", "BIGINT", "sum over these of the distinct categories of such products"),
            ),
            identities={"explorers see a category": "bool_and(categories >= explorers)"},
        ),
        Contract(
            name="funnel",
            meaning="customers by step, one row a combination of platform, device, channel and region (of the "
            "customer's first session that names one)",
            key=("platform", "device", "channel", "region"),
            columns=(
                Column("platform", "VARCHAR", "platform", nullable=True),
                Column("device", "VARCHAR", "device", nullable=True),
                Column("channel", "VARCHAR", "channel", nullable=True),
                Column("region", "VARCHAR", "region", nullable=True),
                Column("visitors", "BIGINT", "customers"),
                Column("viewers", "BIGINT", "customers with a view"),
                Column("viewers_to_cart", "BIGINT", "viewers with a cart event at or after their first view"),
                Column("carters", "BIGINT", "customers with a cart event"),
                Column("carters_to_purchase", "BIGINT", "carters who buy at or after their first cart event"),
                Column("buyers", "BIGINT", "customers with an order"),
                Column("buyers_without_cart", "BIGINT", "buyers who never had a cart event"),
            ),
            identities={
                "steps shrink": "bool_and(viewers <= visitors and viewers_to_cart <= viewers "
                "and carters_to_purchase <= carters and buyers <= visitors)",
                "buyers with and without cart": "sum(buyers - buyers_without_cart) >= sum(carters_to_purchase)",
            },
        ),
        Contract(
            name="session_funnel",
            meaning="sessions and customers by step of the funnel, by groups and by cluster of customers. A session is "
            "in a category or price quarter by the products that it deals with, in several where they are; its steps "
            "there, and its customer's, are those with such products",
            key=("grouping_name", "group_name", "cluster"),
            columns=(
                Column("grouping_name", "VARCHAR", "all, platform, newness, weekday, category or price"),
                Column(
                    "group_name",
                    "VARCHAR",
                    "the session's platform, first visit or returning, weekday of its start (1 = Monday), top category "
                    "or price quarter of products; sessions without one are only in all",
                ),
                Column("cluster", "BIGINT", "customers put together by the remainder of their id by 499"),
                Column("customers", "BIGINT", "distinct known customers"),
                Column("viewers", "BIGINT", "of them, those with a view in the group's sessions"),
                Column("viewers_to_cart", "BIGINT", "viewers with a cart event there at or after their first view"),
                Column("carters", "BIGINT", "distinct known customers with a cart event"),
                Column("carters_to_purchase", "BIGINT", "carters with a purchase there at or after their first cart"),
                Column("buyers", "BIGINT", "distinct known customers with a purchase"),
                Column("sessions", "BIGINT", "sessions"),
                Column("viewing", "BIGINT", "sessions with a view"),
                Column("viewing_to_cart", "BIGINT", "sessions with a cart event at or after their first view"),
                Column("carting", "BIGINT", "sessions with a cart event"),
                Column("carting_to_purchase", "BIGINT", "sessions with a purchase at or after their first cart event"),
                Column("buying", "BIGINT", "sessions with a purchase; cancellations are none"),
                Column("buying_without_view", "BIGINT", "sessions with a purchase and no view"),
                Column("carting_without_view", "BIGINT", "sessions with a cart event and no view before the last"),
            ),
            identities={
                "steps shrink": "bool_and(viewing <= sessions and viewing_to_cart <= viewing "
                "and carting_to_purchase <= carting and carting_to_purchase <= buying and buying <= sessions)",
                "customers' steps shrink": "bool_and(viewers <= customers and viewers_to_cart <= viewers "
                "and viewers_to_cart <= carters and carters <= customers and carters_to_purchase <= carters "
                "and carters_to_purchase <= buyers and buyers <= customers)",
                "carts with and without view": "bool_and(viewing_to_cart + carting_without_view = carting)",
            },
        ),
        Contract(
            name="carts",
            meaning="one row a session with a cart event: what was in the cart, and what became of it",
            key=("session_id",),
            columns=(
                Column("session_id", "BIGINT", "the session"),
                Column("customer_id", "BIGINT", "who", nullable=True),
                Column("carted_at", "TIMESTAMP", "first cart event, UTC"),
                Column("ordered", "BOOLEAN", "the session has a purchase, of whatever product, at or after it"),
                Column("next_order_at", "TIMESTAMP", "the customer's next order in another session", nullable=True),
                Column("products", "BIGINT", "distinct products put into the cart"),
                Column("products_bought", "BIGINT", "those of them bought in the session"),
                Column("products_removed", "BIGINT", "those removed after they were last put in, and not bought"),
                Column("products_left", "BIGINT", "those neither bought nor removed"),
                Column("products_bought_later", "BIGINT", "those left that the customer buys in a later session"),
                Column("value_left", TOTAL, "price of the products left, one unit each"),
                Column("value_bought_later", TOTAL, "price of those of them that are bought later, one unit each"),
            ),
            identities={
                "each product has one fate": "bool_and(products = products_bought + products_removed + products_left)",
                "later is a part": "bool_and(products_bought_later <= products_left)",
            },
        ),
        Contract(
            name="first_orders",
            meaning="one row a customer who bought: the way to the first order",
            key=("customer_id",),
            columns=(
                Column("customer_id", "BIGINT", "the customer"),
                Column("order_id", "BIGINT", "the first order"),
                Column("first_event_at", "TIMESTAMP", "the customer's first event, UTC"),
                Column("started_at", "TIMESTAMP", "start of the session with the order, UTC"),
                Column("ordered_at", "TIMESTAMP", "first line of the order, UTC"),
                Column("sessions", "BIGINT", "sessions until then, that of the order included"),
                Column("views", "BIGINT", "views until then"),
                Column("views_in_session", "BIGINT", "those of them in the session of the order"),
                Column("carts_in_session", "BIGINT", "cart events until then in the session of the order"),
                Column("carts_before", "BIGINT", "cart events until then in other sessions"),
            ),
            identities={"time runs forward": "bool_and(first_event_at <= ordered_at and started_at <= ordered_at)"},
        ),
        Contract(
            name="signals",
            meaning="sessions with an action before their first purchase, by what it is and by cluster of customers",
            key=("action", "cluster"),
            columns=(
                Column("action", "VARCHAR", "cart, remove_from_cart, or the source's name of another event"),
                Column("cluster", "BIGINT", "customers put together by the remainder of their id by 499"),
                Column("customers", "BIGINT", "distinct known customers of these sessions"),
                Column("buyers", "BIGINT", "distinct known customers of those with an order"),
                Column("sessions", "BIGINT", "sessions with the action; in those with an order, before it"),
                Column("buying", "BIGINT", "those of them with an order"),
                Column("at_purchase", "BIGINT", "those of them without a view between action and purchase"),
            ),
            identities={"orders are a part": "bool_and(buying <= sessions and at_purchase <= buying)"},
        ),
        Contract(
            name="cohorts",
            meaning="customers by the day on which they were first there and by how long after it they were there "
            "again; no row where nobody was. Ages are counted from each customer's own first day, and those that the "
            "data do not cover to their end are in it, for the analysis to cut",
            key=("activity", "unit", "grouping_name", "group_name", "first_day", "age"),
            columns=(
                Column("activity", "VARCHAR", "visit (a session starts) or purchase (an order of one unit or more)"),
                Column("unit", "VARCHAR", "unit of the age: week of 7 days or month of 30 days"),
                Column("grouping_name", "VARCHAR", "all, platform or category; each holds the same customers"),
                Column(
                    "group_name",
                    "VARCHAR",
                    "platform of the first session that names one, or top category of the product seen (bought) "
                    "first, the first by alphabet where there are several; customers without one are only in all",
                ),
                Column("first_day", "DATE", "day of the first visit (order), in the shop's local time"),
                Column("age", "BIGINT", "whole units since the first day", unit="count"),
                Column("customers", "BIGINT", "distinct customers with the activity at this age"),
            ),
            identities={"nobody comes before the first day": "bool_and(age >= 0)"},
        ),
        Contract(
            name="product_stats",
            meaning="one row a product that occurs in an event",
            key=("product_id",),
            columns=(
                Column("product_id", "BIGINT", "the product"),
                *_COUNTS,
                Column("viewers", "BIGINT", "distinct known customers who viewed it"),
                Column("buyers", "BIGINT", "distinct known customers who ordered it"),
                Column("orders", "BIGINT", "orders with it"),
                Column("units", "BIGINT", "units bought, net of returns"),
                Column("revenue", TOTAL, "sum of amounts, net of returns"),
                Column("first_seen_at", "TIMESTAMP", "first event, UTC"),
                Column("last_seen_at", "TIMESTAMP", "last event, UTC"),
                Column("min_price", MONEY, "lowest positive price", nullable=True),
                Column("max_price", MONEY, "highest price", nullable=True),
                Column(
                    "price_quarter",
                    "INTEGER",
                    "1 = the cheapest quarter of products to 4 = the dearest, by the middle of their prices",
                    nullable=True,
                ),
            ),
            identities=_TYPES_ADD_UP,
        ),
        Contract(
            name="baskets",
            meaning="one row a product in a basket, as basket.unit says what a basket is; lines of cancelled orders, "
            "returns and basket.exclude_products are not in it",
            key=("basket_id", "product_id"),
            columns=(
                Column("basket_id", "BIGINT", "the basket: the order or session, or the number of the customer's day"),
                Column("customer_id", "BIGINT", "who", nullable=True),
                Column("started_at", "TIMESTAMP", "first line of the basket, UTC"),
                Column("product_id", "BIGINT", "what"),
                Column("units", "BIGINT", "units bought; put into the cart where none is bought"),
                Column("revenue", TOTAL, "sum of amounts"),
                Column("products", "BIGINT", "distinct products in the basket"),
            ),
            identities={"a basket holds something": "bool_and(units >= 1 and products >= 1)"},
        ),
        Contract(
            name="items",
            meaning="one row a product, category or brand, in baskets of at most basket.largest products",
            key=("level", "item"),
            columns=(
                Column("level", "VARCHAR", "product, category or brand"),
                Column("item", "VARCHAR", "product_id, category_code or brand"),
                Column("baskets", "BIGINT", "baskets with it"),
                Column("customers", "BIGINT", "distinct customers; without a known one, each basket counts as one"),
                Column("units", "BIGINT", "units in these baskets"),
                Column("revenue", TOTAL, "sum of amounts in these baskets"),
            ),
            identities={"nobody without a basket": "bool_and(customers <= baskets)"},
        ),
        Contract(
            name="pairs",
            meaning="one row a pair of items of one level that basket.minimum_together baskets or more hold both of; "
            "each item is in basket.minimum_baskets or more",
            key=("level", "item_a", "item_b"),
            columns=(
                Column("level", "VARCHAR", "product, category or brand"),
                Column("item_a", "VARCHAR", "the item that comes first by its text"),
                Column("item_b", "VARCHAR", "the other item"),
                Column("baskets", "BIGINT", "baskets with both"),
                Column("customers", "BIGINT", "distinct customers; without a known one, each basket counts as one"),
                Column("units_a", "BIGINT", "units of item_a in baskets with both"),
                Column("units_b", "BIGINT", "units of item_b in baskets with both"),
            ),
            identities={
                "each pair once": "bool_and(item_a < item_b)",
                "nobody without a basket": "bool_and(customers <= baskets)",
            },
        ),
        Contract(
            name="coverage",
            meaning="one row a column of events and products: how many events have a value",
            key=("column_name",),
            columns=(
                Column("column_name", "VARCHAR", "the column"),
                Column("events", "BIGINT", "events"),
                Column("filled", "BIGINT", "events with a value (for product columns: whose product has one)"),
            ),
            identities={"filled is a part": "bool_and(filled <= events)"},
        ),
        _FEATURES,
        _LABELS,
        _INTERESTS,
    )
}
