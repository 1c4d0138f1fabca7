"""Odd rows that can be read: which rules they break, what they are worth, and which of them are rejected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel

from patternbook.params import Action, Quality
from patternbook.warehouse.engine import Engine
from patternbook.warehouse.staging import MONEY, PURCHASE, REJECTS_SCHEMA, Staged

MOST_UNKNOWN_EVENTS = 50


class Rule(NamedTuple):
    """A condition on staged rows that makes a row odd, what it means, and what happens then."""

    condition: str
    action: Action
    meaning: str


class Check(BaseModel):
    """One kind of odd row: how many, what they are worth, what happened to them."""

    check: str
    meaning: str
    action: str
    rows: int
    revenue: float


def line_total(columns: Set[str]) -> str:
    """SQL of the line total: the source's own where it has one, else price x quantity."""
    parts = ["amount"] if "amount" in columns else []
    if "price" in columns:
        parts.append(f"(price * {_quantity(columns)})::{MONEY}")
    return f"coalesce({', '.join(parts)})" if parts else f"NULL::{MONEY}"


def rules(quality: Quality, columns: Set[str]) -> dict[str, Rule]:
    """The rules that apply to rows staged with these columns, by the key under `quality`."""
    earliest = int(datetime.combine(quality.earliest_time, datetime.min.time(), UTC).timestamp())
    now = int(datetime.now(UTC).timestamp())
    found = {
        "implausible_time": Rule(
            f"seconds < {earliest} OR seconds > {now}",
            quality.implausible_time,
            f"time before {quality.earliest_time} or in the future",
        )
    }
    if "unknown_event" in columns:
        found["unknown_event"] = Rule("unknown_event", quality.unknown_event, "event name not in source.event_names")
    if "price" in columns:
        found["bad_price"] = Rule("price <= 0", quality.bad_price, "price zero or negative")
    if columns & {"amount", "price"}:
        found["bad_amount"] = Rule(
            f"event_code = {PURCHASE} AND {line_total(columns)} < 0 AND {_quantity(columns)} > 0",
            quality.bad_amount,
            "amount negative outside a return",
        )
    unknown = "customer_id IS NULL" if "customer_id" in columns else "true"
    found["missing_customer"] = Rule(unknown, quality.missing_customer, "no customer")
    return found


def _quantity(columns: Set[str]) -> str:
    return "coalesce(quantity, 1)" if "quantity" in columns else "1"


def rejected(applied: Mapping[str, Rule]) -> str:
    """SQL condition of the rows that a rule rejects."""
    conditions = [f"coalesce({rule.condition}, false)" for rule in applied.values() if rule.action == "reject"]
    return " OR ".join(conditions) or "false"


def count_checks(engine: Engine, applied: Mapping[str, Rule], columns: Set[str]) -> list[Check]:
    """How many rows of the view `staged` break each rule, and the revenue in them."""
    revenue = f"CASE WHEN event_code = {PURCHASE} THEN {line_total(columns)} ELSE 0 END"
    counts = ", ".join(
        f"count(*) FILTER ({rule.condition}), coalesce(sum({revenue}) FILTER ({rule.condition}), 0)"
        for rule in applied.values()
    )
    (row,) = engine.rows(f"SELECT {counts} FROM staged")
    pairs = zip(row[::2], row[1::2], strict=True)
    return [
        Check(check=name, meaning=rule.meaning, action=rule.action, rows=rows, revenue=float(worth))
        for (name, rule), (rows, worth) in zip(applied.items(), pairs, strict=True)
    ]


def unknown_events(engine: Engine, columns: Set[str]) -> dict[str, int]:
    """Event names that `source.event_names` does not list, the most frequent first."""
    if "unknown_event" not in columns:
        return {}
    return dict(
        engine.rows(
            "SELECT coalesce(event_name, ''), count(*) FROM staged WHERE unknown_event "
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_UNKNOWN_EVENTS}"
        )
    )


def rejects(engine: Engine, applied: Mapping[str, Rule], staged: Iterable[Staged]) -> pl.DataFrame:
    """All rows that do not become events: those that could not be read, and those that a rule rejects."""
    parts = []
    for number, one in enumerate(staged):
        parts.append(one.rejects)
        # A row that breaks two rules is one reject, for the first of them.
        cases = " ".join(
            f"WHEN {rule.condition} THEN '{name}'" for name, rule in applied.items() if rule.action == "reject"
        )
        if cases:
            rows = engine.frame(
                f"SELECT source_row, CASE {cases} END AS rule FROM staged "
                f"WHERE file = {number} AND ({rejected(applied)}) ORDER BY source_row"
            )
            parts.append(_by_rule(rows, applied, one))
    return pl.concat(parts).sort("file", "line", maintain_order=True)


def _by_rule(rows: pl.DataFrame, applied: Mapping[str, Rule], staged: Staged) -> pl.DataFrame:
    meanings = {name: rule.meaning for name, rule in applied.items()}
    return pl.DataFrame(
        {
            "file": [staged.source.label] * len(rows),
            "line": staged.numbering.lines(rows["source_row"]) if staged.numbering else rows["source_row"],
            "reason": rows["rule"].replace_strict(meanings, return_dtype=pl.String),
            "raw": [""] * len(rows),
        },
        schema=REJECTS_SCHEMA,
    )
