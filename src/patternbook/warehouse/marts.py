"""Events to marts: each mart is one SQL file in sql/, built in order, checked against its contract."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import sqlglot
from sqlglot import exp

from patternbook.cutoffs import PLACES, SCATTER, cutoffs, drawn_below
from patternbook.disk import writing
from patternbook.errors import UserError
from patternbook.findings import write_aside
from patternbook.locks import alone_in_warehouse
from patternbook.params import Basket, Params
from patternbook.paths import RunPaths
from patternbook.progress import Progress
from patternbook.warehouse.compaction import read_compaction
from patternbook.warehouse.contracts import CUTOFF_ORDER, EVENTS, MARTS, PRODUCTS, Contract
from patternbook.warehouse.duckdb import DuckEngine, parquet
from patternbook.warehouse.engine import Engine, identifier, literal

SQL = Path(__file__).parent / "sql"
BUILD_ORDER = (
    "bots",
    "activity",
    "actions",
    "category_activity",
    "discoveries",
    "sessions",
    "order_lines",
    "purchases",
    "customers",
    "daily",
    "hourly",
    "rhythm",
    "monthly",
    "funnel",
    "cohorts",
    "product_stats",
    "session_funnel",
    "carts",
    "first_orders",
    "signals",
    "baskets",
    "items",
    "pairs",
    "coverage",
)
BASKET_RULES = ("unit", "largest", "minimum_baskets", "minimum_together")  # keys of the section basket, columns here
BY_SLOT = ("activity", "category_activity", "discoveries")  # marts of quarters of an hour
AT_ONCE = 8_000_000  # events of the customers that are looked at together, where all would not fit into memory
CUSTOMER_WEIGHT = 20  # what is kept of a customer takes the room of so many events
BY_CUSTOMERS = BY_SLOT  # built for some customers at a time, put together
ADDED_UP = ("rhythm", "session_funnel")  # built for some customers at a time, added up: they hold sums over customers
OBSERVED_COUNTS = "SELECT customer_id, count(*) AS events FROM observed GROUP BY customer_id"
DRAWN = "drawn_"  # begins the names of tables with the customers alone that models learn from
SLOT_SECONDS = 900  # every time zone's offset is a multiple of a quarter of an hour

# What must add up between the marts and the events that they are made of.
ACCOUNTING = {
    "quarters of an hour hold all events": "(SELECT sum(events) FROM activity) = (SELECT count(*) FROM events)",
    "views and actions are all events": "(SELECT sum(views) FROM activity) + (SELECT count(*) FROM actions) = "
    "(SELECT count(*) FROM events)",
    "sessions hold all events": "(SELECT sum(events) FROM sessions) = (SELECT count(*) FROM events)",
    "days hold all events": "(SELECT sum(events) FROM daily) = (SELECT count(*) FROM events)",
    "hours hold all events": "(SELECT sum(events) FROM hourly) = (SELECT count(*) FROM events)",
    "days hold all orders": "(SELECT coalesce(sum(orders), 0) FROM daily) = (SELECT count(*) FROM purchases)",
    "days hold all revenue": "(SELECT sum(revenue) FROM daily) = (SELECT coalesce(sum(amount), 0) FROM order_lines)",
    "sessions hold all revenue": "(SELECT sum(revenue) FROM sessions) = (SELECT sum(revenue) FROM daily)",
    "customers hold their orders": "(SELECT coalesce(sum(orders), 0) FROM customers) = "
    "(SELECT count(*) FROM purchases WHERE customer_id IS NOT NULL)",
    "days hold all arrivals": "(SELECT sum(new_customers) FROM daily) = (SELECT count(*) FROM customers)",
    "the rhythm holds all sessions": "(SELECT sum(sessions) FROM rhythm WHERE grouping_name = 'all') = "
    "(SELECT count(*) FROM sessions)",
    "the rhythm holds all orders": "(SELECT sum(orders) FROM rhythm) = (SELECT count(*) FROM purchases)",
    "the rhythm holds all revenue": "(SELECT sum(revenue) FROM rhythm) = (SELECT sum(revenue) FROM daily)",
    "months hold all sessions": "(SELECT sum(sessions) FROM monthly) = (SELECT count(*) FROM sessions)",
    "the session funnel holds all sessions": "(SELECT sum(sessions) FROM session_funnel WHERE grouping_name = 'all') = "
    "(SELECT count(*) FROM sessions)",
    "the session funnel holds all orders": "(SELECT sum(buying) FROM session_funnel WHERE grouping_name = 'all') = "
    "(SELECT count(*) FROM purchases)",
    **{
        f"the session funnel holds all {step}": f"(SELECT coalesce(sum({step}), 0) FROM session_funnel "
        f"WHERE grouping_name = 'all') = (SELECT coalesce(sum({step}), 0) FROM funnel)"
        for step in ("viewers", "viewers_to_cart", "carters_to_purchase")
    },
    "carts hold all sessions with one": "(SELECT count(*) FROM carts) = "
    "(SELECT coalesce(sum(carting), 0) FROM session_funnel WHERE grouping_name = 'all')",
    "first orders hold all buyers": "(SELECT count(*) FROM first_orders) = "
    "(SELECT count(*) FROM customers WHERE orders > 0)",
    "cohorts hold all visitors": "(SELECT coalesce(sum(customers), 0) FROM cohorts WHERE activity = 'visit' "
    "AND unit = 'week' AND grouping_name = 'all' AND age = 0) = (SELECT count(*) FROM customers)",
    "cohorts hold all buyers": "(SELECT coalesce(sum(customers), 0) FROM cohorts WHERE activity = 'purchase' "
    "AND unit = 'week' AND grouping_name = 'all' AND age = 0) = "
    "(SELECT count(DISTINCT customer_id) FROM purchases WHERE units > 0)",
    "the funnel holds all customers": "(SELECT coalesce(sum(visitors), 0) FROM funnel) = "
    "(SELECT count(*) FROM customers)",
    "baskets hold both items of a pair": "(SELECT coalesce(bool_and(pairs.baskets <= least(a.baskets, b.baskets)), "
    "true) FROM pairs JOIN items AS a ON a.level = pairs.level AND a.item = pairs.item_a "
    "JOIN items AS b ON b.level = pairs.level AND b.item = pairs.item_b)",
}


def build_marts(params: Params, progress: Progress = lambda step, share: None) -> None:
    """Build the marts that are not current from the run's compacted events; returns at once when all are.

    Raises UserError where period or filter is impossible or leaves no events, or where another process is at it.
    """
    paths = RunPaths.of(params.run)
    condition = filter_condition(params)
    keys = _keys(params, condition, read_compaction(paths).key)
    if _current(paths) == keys:
        return
    with alone_in_warehouse(paths), writing(paths.home):
        _build(params, paths, condition, keys, progress)


def _build(params: Params, paths: RunPaths, condition: str, keys: dict[str, str], progress: Progress) -> None:
    """Build aside what is not current; when everything adds up, swap it in."""
    current = {name: key for name, key in _current(paths).items() if keys[name] == key}
    wanted = [name for name in BUILD_ORDER if name not in current]
    scratch = paths.scratch / "marts"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        with DuckEngine(params.engine, scratch) as engine:
            _open_events(engine, paths, condition)
            try:
                some = engine.count("SELECT count(*) FROM (SELECT 1 FROM observed LIMIT 1)")
            except duckdb.Error as error:
                raise UserError(f"{params.file}: key 'filter': {str(error).splitlines()[0]}") from error
            if not some:
                raise UserError(f"{params.file}: period and filter leave no event; widen them")
            check_contract(engine, PRODUCTS)
            _write_calendar(engine, scratch, params.report.time_zone)
            _open_basket_rules(engine, params.basket)
            _open_bot_rules(engine, params)
            customers = _some_at_a_time(engine)
            tables = {"events": "kept_events"}  # what is said of customers, by name
            for done, name in enumerate(BUILD_ORDER):
                file = paths.mart(name)
                if name in wanted:
                    progress(f"mart {name}", done / len(BUILD_ORDER))
                    file = scratch / file.name
                    if name in (*BY_CUSTOMERS, *ADDED_UP):
                        _write_by_customers(engine, name, tables, customers, file)
                    else:
                        engine.copy(_sql(name), file)
                engine.view(name, f"SELECT * FROM {parquet(file)}")
                if "customer_id" in MARTS[name].column_names() and name != "bots":
                    tables[name] = parquet(file)
                check_contract(engine, MARTS[name])
                if name == "bots":
                    _open_events_without_bots(engine, params)
            check_accounting(engine)
            if late := [name for name in CUTOFF_ORDER if name not in current]:
                progress("marts of the cutoffs", 1.0)
                _write_at_cutoffs(engine, late, customers, scratch, params)
                wanted += late
        paths.marts.mkdir(parents=True, exist_ok=True)
        _stamp(paths, current)  # what is replaced from here on is current no more
        for name in wanted:
            (scratch / paths.mart(name).name).rename(paths.mart(name))
        _stamp(paths, keys)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    progress("marts", 1.0)


def _write_at_cutoffs(engine: Engine, names: list[str], customers: list[str], scratch: Path, params: Params) -> None:
    """The marts of the cutoffs, one file each: built by cutoff and some customers at a time, then put together.

    Where something is learned, they hold the customers it is learned from; at the last cutoff, to be scored, everybody.
    """
    ((first, last),) = engine.rows("SELECT min(day), max(day) FROM daily")
    found = cutoffs(first, last, params.propensity, params.file)
    parts: dict[str, list[Path]] = {name: [] for name in names}
    drawn = _open_drawn(engine, scratch, params.propensity.most_customers) if found else []
    for cutoff in sorted(found.all) if found else [None]:
        everybody = not drawn or (found is not None and cutoff == found.scoring)
        for some in (customers if everybody else drawn) or ["false"]:
            of = "" if everybody else DRAWN
            open_cutoff(engine, cutoff, found.longest if found else 0, params.report.time_zone, some, of)
            for name in names:
                part = scratch / f"{name}@{len(parts[name])}.parquet"
                engine.copy(_sql(name), part)
                parts[name].append(part)
    for name in names:
        file = scratch / f"{name}.parquet"
        engine.concatenate(parts[name], file)
        _remove(parts[name])
        engine.view(name, f"SELECT * FROM {parquet(file)}")
        check_contract(engine, MARTS[name])


def _open_drawn(engine: Engine, scratch: Path, most: int) -> list[str]:
    """Tables, named DRAWN and the mart's name, of what about `most` customers did, and conditions for some at a time.

    No condition where there are no more customers than that.
    """
    known = engine.count("SELECT count(*) FROM customers")
    if known <= most:
        return []
    place = f"abs(customer_id) % {PLACES} * {SCATTER} % {PLACES}"
    for name in (*BY_SLOT, "actions"):
        file = scratch / f"{DRAWN}{name}.parquet"
        engine.copy(f"SELECT * FROM {name} WHERE {place} < {drawn_below(most, known)} ORDER BY customer_id", file)
        engine.view(f"{DRAWN}{name}", f"SELECT * FROM {parquet(file)}")
    return _some_at_a_time(
        engine, f"SELECT customer_id, sum(events) AS events FROM {DRAWN}activity GROUP BY customer_id"
    )


def _some_at_a_time(engine: Engine, counts: str = OBSERVED_COUNTS) -> list[str]:
    """Conditions on customer_id, in its order: known customers with AT_ONCE events or fewer, or one customer alone.

    `counts` is a query of customer_id and events.
    """
    counted = f"SELECT customer_id, events + {CUSTOMER_WEIGHT} AS weight FROM ({counts}) AS counts"
    added = (
        "SELECT customer_id, sum(weight) OVER (ORDER BY customer_id) AS so_far "
        f"FROM ({counted}) AS counted WHERE customer_id IS NOT NULL"
    )
    lasts = engine.rows(
        f"SELECT max(customer_id) AS last FROM ({added}) AS added GROUP BY floor(so_far / {AT_ONCE}) ORDER BY last"
    )
    lows = [None, *(last for (last,) in lasts[:-1])]
    return [
        " AND ".join(
            [f"customer_id > {low}"] * (low is not None)
            + [f"customer_id <= {high}"] * (high is not None)
            + ["customer_id IS NOT NULL"]
        )
        for low, high in zip(lows, [*lows[1:], None], strict=True)
    ]


def _open_customers(engine: Engine, tables: dict[str, str], condition: str) -> None:
    """The views of what `tables` says of customers, with those alone that the condition holds for."""
    for name, table in tables.items():
        engine.view(name, f"SELECT * FROM {table} WHERE {condition}")


def _write_by_customers(engine: Engine, name: str, tables: dict[str, str], customers: list[str], file: Path) -> None:
    """A mart that is built for some customers at a time, and for the unknown ones, then put together or added up."""
    parts: list[Path] = []
    for condition in (*customers, "customer_id IS NULL"):
        _open_customers(engine, tables, condition)
        parts.append(file.with_name(f"{name}@{len(parts)}.parquet"))
        engine.copy(_sql(name), parts[-1])
    _open_customers(engine, tables, "true")
    if name in BY_CUSTOMERS:
        engine.concatenate(parts, file)
    else:
        _add_up(engine, MARTS[name], parts, file)
    _remove(parts)


def _add_up(engine: Engine, contract: Contract, parts: list[Path], file: Path) -> None:
    """Parts of a mart as one whose rows are theirs, added up by key."""
    key = ", ".join(contract.key)
    sums = ", ".join(
        f"CAST(sum({column.name}) AS {column.type}) AS {column.name}"
        for column in contract.columns
        if column.name not in contract.key
    )
    engine.copy(f"SELECT {key}, {sums} FROM {parquet(*parts)} GROUP BY {key} ORDER BY {key}", file)


def _remove(parts: list[Path]) -> None:
    """Parts that have been put together, so that the disk holds them once."""
    for part in parts:
        part.unlink()


def features_at(params: Params, cutoff: date) -> pl.DataFrame:
    """The mart `features` as of one more cutoff, from the events of the run.

    Raises UserError where the run has no events, or the cutoff lies outside of them.
    """
    paths = RunPaths.of(params.run)
    sources = ("daily", "actions", *BY_SLOT)
    if not all(paths.mart(name).exists() for name in sources):
        raise UserError(f"run {params.run!r} has no events yet; `patternbook run {params.file}` reads them")
    days = pl.read_parquet(paths.mart("daily"), columns=["day"])["day"]
    first, last = days.min(), days.max()
    if not first < cutoff <= last + timedelta(days=1):  # type: ignore[operator]
        raise UserError(
            f"cutoff {cutoff}: lies outside the data of run {params.run!r}; choose a day from "
            f"{first + timedelta(days=1)} to {last + timedelta(days=1)}"  # type: ignore[operator]
        )
    scratch = paths.scratch / "score"
    try:
        with DuckEngine(params.engine, scratch) as engine:
            for name in sources:
                engine.view(name, f"SELECT * FROM {parquet(paths.mart(name))}")
            _write_calendar(engine, scratch, params.report.time_zone, "SELECT DISTINCT slot FROM activity")
            open_cutoff(engine, cutoff, 0, params.report.time_zone)
            return engine.frame(_sql("features"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def open_cutoff(
    engine: Engine,
    cutoff: date | None,
    horizon: int,
    time_zone: str,
    customers: str = "customer_id IS NOT NULL",
    of: str = "",
) -> None:
    """The view `cutoff` (one row), and views of what lies before its local midnight or in the `horizon` days after it.

    They are called `past_` and the mart's name, and `future_actions`, and hold the customers that the condition
    `customers` names. Without a cutoff they are empty. The names of what they read begin with `of`.
    """
    zone = ZoneInfo(time_zone)
    day = cutoff or date(1970, 1, 1)
    at, until = (f"TIMESTAMP {literal(_midnight(when, zone))}" for when in (day, day + timedelta(days=horizon)))
    some = literal(cutoff is not None)
    whose = f"{customers} AND {some}"
    slot = f"CAST(floor(epoch({at}) / {SLOT_SECONDS}) AS BIGINT)"
    engine.view("cutoff", f"SELECT DATE {literal(day)} AS cutoff, {at} AS at, {slot} AS slot WHERE {some}")
    for name in BY_SLOT:
        engine.view(f"past_{name}", f"SELECT * FROM {of}{name} WHERE slot < {slot} AND {whose}")
    engine.view("past_actions", f"SELECT * FROM {of}actions WHERE event_time < {at} AND {whose}")
    engine.view(
        "future_actions", f"SELECT * FROM {of}actions WHERE event_time >= {at} AND event_time < {until} AND {whose}"
    )


def _stamp(paths: RunPaths, keys: dict[str, str]) -> None:
    write_aside(paths.marts / "marts.json", json.dumps(keys, indent=1) + "\n")


def _current(paths: RunPaths) -> dict[str, str]:
    """Key of each mart that is there and whole."""
    stamp = paths.marts / "marts.json"
    keys = json.loads(stamp.read_text("utf-8")) if stamp.exists() else {}
    return {name: key for name, key in keys.items() if name in MARTS and paths.mart(name).exists()}


def _keys(params: Params, condition: str, compaction_key: str) -> dict[str, str]:
    """By mart, what changes when its rows may: its SQL and contract, the events, the marts and calendar it reads."""
    code = [(Path(__file__).parent / name).read_text("utf-8") for name in ("marts.py", "duckdb.py")]
    common = _digest([compaction_key, condition, duckdb.__version__, *code])
    keys = {"calendar": _digest([params.report.time_zone])}
    rules = params.basket.model_dump(mode="json", include={*BASKET_RULES, "exclude_products"})
    bots = params.quality.bots
    keys["bot_rules"] = _digest([bots.model_dump_json()])
    if bots.action == "exclude":
        common = _digest([common, keys["bot_rules"]])
    keys["basket_rules"] = _digest([json.dumps(rules)])
    when = params.propensity.model_dump(
        mode="json", include={"cutoff", "horizon_days", "more_horizons", "training_cutoffs", "most_customers"}
    )
    keys["cutoff"] = _digest([json.dumps(when), (Path(__file__).parents[1] / "cutoffs.py").read_text("utf-8")])
    for name in (*BUILD_ORDER, *CUTOFF_ORDER):
        words = set(re.findall(r"\b(?:past_|future_)?(\w+)", _sql(name)))
        read = [keys[known] for known in sorted(keys) if known in words]
        keys[name] = _digest([common, _sql(name), repr(MARTS[name]), *read])
    return {name: keys[name] for name in (*BUILD_ORDER, *CUTOFF_ORDER)}


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _sql(name: str) -> str:
    return (SQL / f"{name}.sql").read_text("utf-8")


def event_files(paths: RunPaths) -> list[Path]:
    """The run's compacted event files."""
    return sorted(paths.events.glob("*.parquet"))


def _open_events(engine: Engine, paths: RunPaths, condition: str) -> None:
    """The views `observed` (one schema whatever the source has; `events` are these but for bots) and `products`."""
    table = parquet(*event_files(paths), union_by_name=True)
    given = {str(row[0]) for row in engine.rows(f"DESCRIBE SELECT * FROM {table}")}
    columns = ", ".join(
        f"CAST({column.name if column.name in given else 'NULL'} AS {column.type}) AS {column.name}"
        for column in EVENTS.columns
    )
    engine.view("all_events", f"SELECT {columns} FROM {table}")
    engine.view("observed", f"SELECT * FROM all_events WHERE {condition}")
    engine.view("products", f"SELECT * FROM {parquet(paths.products)}")


def _open_bot_rules(engine: Engine, params: Params) -> None:
    """The view `bot_rules`: one row of limits."""
    rules = params.quality.bots
    engine.view("bot_rules", f"SELECT {rules.events_a_day} AS events_a_day, {rules.events} AS events_in_all")


def _open_events_without_bots(engine: Engine, params: Params) -> None:
    """The view `events`: what was observed, without bots where they are excluded.

    Raises UserError where nothing is left.
    """
    kept = "customer_id IS NULL OR customer_id NOT IN (SELECT customer_id FROM bots)"
    excluded = params.quality.bots.action == "exclude"
    engine.view("kept_events", f"SELECT * FROM observed WHERE {kept if excluded else 'true'}")
    engine.view("events", "SELECT * FROM kept_events")
    if excluded and not engine.count("SELECT count(*) FROM (SELECT 1 FROM events LIMIT 1)"):
        raise UserError(
            f"{params.file}: key 'quality.bots': without those who break its limits no event is left; raise them"
        )


OBSERVED_SLOTS = f"SELECT DISTINCT CAST(floor(epoch(event_time) / {SLOT_SECONDS}) AS BIGINT) AS slot FROM observed"


def _write_calendar(engine: Engine, scratch: Path, time_zone: str, slots: str = OBSERVED_SLOTS) -> None:
    """Local day, hour and weekday of each quarter of an hour that has an event: no engine needs time zones."""
    local = pl.from_epoch(pl.col("slot") * SLOT_SECONDS, time_unit="s").dt.replace_time_zone("UTC")
    local = local.dt.convert_time_zone(time_zone)
    calendar = (
        engine.frame(slots)
        .sort("slot")
        .with_columns(
            local.dt.date().alias("day"),
            local.dt.hour().cast(pl.Int32).alias("hour"),
            local.dt.weekday().cast(pl.Int32).alias("weekday"),
        )
    )
    file = scratch / "calendar.parquet"
    calendar.write_parquet(file)
    engine.view("calendar", f"SELECT * FROM {parquet(file)}")


def _open_basket_rules(engine: Engine, basket: Basket) -> None:
    """The views `basket_rules` (one row: what a basket is, and what counts) and `basket_excluded` (source ids)."""
    rules = ", ".join(f"{literal(getattr(basket, name))} AS {name}" for name in BASKET_RULES)
    also = "cart" if basket.unit == "session" else "nothing"  # what a basket holds besides what is bought
    engine.view("basket_rules", f"SELECT {rules}, {literal(also)} AS also_holds")
    excluded = [f"SELECT {literal(source_id)} AS source_id" for source_id in basket.exclude_products]
    nothing = "SELECT source_id FROM products WHERE false"
    engine.view("basket_excluded", " UNION ALL ".join([nothing, *excluded]))


# -- period and filter --------------------------------------------------------------------------------------------


def filter_condition(params: Params) -> str:
    """The SQL condition that period and filter put on events.

    Raises UserError where `filter` is not one condition on the columns of events.
    """
    conditions = []
    zone = ZoneInfo(params.report.time_zone)
    if params.period.from_:
        conditions.append(f"event_time >= TIMESTAMP {literal(_midnight(params.period.from_, zone))}")
    if params.period.to:
        conditions.append(f"event_time < TIMESTAMP {literal(_midnight(params.period.to + timedelta(days=1), zone))}")
    if params.filter:
        conditions.append(f"({checked_filter(params.filter, params.file)})")
    return " AND ".join(conditions) or "true"


def _midnight(day: date, zone: ZoneInfo) -> str:
    start = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(ZoneInfo("UTC"))
    return start.strftime("%Y-%m-%d %H:%M:%S")


_ALLOWED = (
    exp.Condition, exp.Identifier, exp.Tuple, exp.DataType, exp.DataTypeParam, exp.Interval, exp.Var, exp.Paren,
)  # fmt: skip
_FORBIDDEN = (exp.Query, exp.AggFunc, exp.Window, exp.UDTF, exp.ReadCSV, exp.Anonymous, exp.Command, exp.Placeholder)


def checked_filter(text: str, file: str) -> str:
    """`text` as one plain condition on event columns: no queries, no functions that are not standard."""
    try:
        (tree,) = sqlglot.parse(f"SELECT 1 WHERE {text}", read="duckdb")
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        raise UserError(f"{file}: key 'filter': not an SQL condition ({str(error).splitlines()[0]})") from None
    where = tree.find(exp.Where) if isinstance(tree, exp.Select) else None
    clauses = {name for name, value in tree.args.items() if value} if tree else set()
    if where is None or clauses - {"expressions", "where", "kind"}:
        raise UserError(f"{file}: key 'filter': write one condition, such as region = 'DE' AND price > 0")
    for node in where.this.walk():
        if isinstance(node, _FORBIDDEN) or not isinstance(node, _ALLOWED):
            raise UserError(f"{file}: key 'filter': {node.sql(dialect='duckdb')[:60]!r} is not allowed in a filter")
    known = set(EVENTS.column_names())
    for column in where.this.find_all(exp.Column):
        if column.name not in known or column.table:
            raise UserError(
                f"{file}: key 'filter': events have no column {column.sql()!r}; they have {', '.join(sorted(known))}"
            )
    return str(where.this.sql(dialect="duckdb"))


# -- contracts ----------------------------------------------------------------------------------------------------


class BrokenContract(AssertionError):
    """A table does not keep what its contract promises: a bug of ours, not of the user's data."""


def check_contract(engine: Engine, contract: Contract) -> None:
    """Columns, types, not-null, key and identities of a table that is open as a view of its name."""
    described = engine.rows(f"DESCRIBE {contract.name}")
    found = [(str(row[0]), str(row[1])) for row in described]
    promised = [(column.name, column.type) for column in contract.columns]
    if found != promised:
        raise BrokenContract(f"{contract.name}: has {found}, promises {promised}")
    conditions = {
        f"{column.name} is never null": f"count(*) = count({column.name})"
        for column in contract.columns
        if not column.nullable
    } | {name: f"coalesce({identity}, true)" for name, identity in contract.identities.items()}
    listed = ", ".join(conditions.values())
    (held,) = engine.rows(f"SELECT {listed} FROM {contract.name}")
    broken = [name for name, holds in zip(conditions, held, strict=True) if not holds]
    key = ", ".join(identifier(name) for name in contract.key)
    if key and (
        repeated := engine.count(
            f"SELECT count(*) FROM (SELECT {key} FROM {contract.name} GROUP BY {key} HAVING count(*) > 1)"
        )
    ):
        broken.append(f"key ({key}) is unique ({repeated} are not)")
    if broken:
        raise BrokenContract(f"{contract.name}: {'; '.join(broken)} does not hold")


def check_accounting(engine: Engine) -> None:
    """What must add up between the marts."""
    (held,) = engine.rows("SELECT " + ", ".join(ACCOUNTING.values()))
    broken = [name for name, holds in zip(ACCOUNTING, held, strict=True) if not holds]
    if broken:
        raise BrokenContract(f"marts: {'; '.join(broken)} does not hold")
