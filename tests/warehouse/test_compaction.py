"""What compaction promises of any input: nothing vanishes, everything is in order."""

from __future__ import annotations

import random
import shutil

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trial import HEADER, Trial, trial_project

from patternbook.warehouse import eventlog

GOOD = "2024-07-01 10:00:{second:02d} UTC,view,{product},,,,1.5,{customer},s{customer}"

BAD_MONTH = "2024-13-01 10:00:00 UTC,view,1,,,,1,1,s"

LINES = st.lists(
    st.one_of(
        st.builds(GOOD.format, second=st.integers(0, 59), product=st.integers(1, 3), customer=st.integers(1, 3)),
        st.sampled_from(["", "x", ",,,,,,,,", "2024-07-01 10:00:00 UTC,view,1,,,,$3,1,s", "a,b,c,d,e,f,g,h,i,j",
                         "2024-13-01 10:00:00 UTC,view,1,,,,1,1,s", "2024-07-01 10:00:00 UTC,view,1e99,,,,1,1,s"]),
    ),
    min_size=1,
    max_size=30,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(LINES)
@example(["x", "x", ""])
@example([",,,,,,,,", "x", ""])
@example(
    [GOOD.format(second=1, product=1, customer=1)] * 3
    + ["2024-13-01 10:00:00 UTC,view,1,,,,1,1,s", "a,b,c,d,e,f,g,h,i,j"]
)
def test_rows_read_are_kept_rejected_or_duplicates(lines: list[str]) -> None:
    """An empty line is no row; every other line is accounted for."""
    good = "2024-07-01 09:00:00 UTC,view,1,,,,1,1,s"
    with trial_project() as project:
        project.file("log.csv", "\n".join([HEADER, good, *lines]) + "\n")
        counted = project.compact({"kind": "clickstream", "files": ["log.csv"]}, quality={"max_rejected_share": 1})
        (file,) = counted.files
        rows = [good, *[line for line in lines if line]]
        readable = [line for line in rows if line.startswith("2024-07") and "$" not in line and "1e99" not in line]
        assert file.rows_read == len(rows)
        assert file.rows_rejected == len(rows) - len(readable)
        assert file.rows_kept == len(set(readable)) == len(project.events())
        assert file.rows_read == file.rows_kept + file.rows_rejected + file.duplicates_dropped


@pytest.mark.parametrize("block", [7, 50, 100_000])
def test_blocks_do_not_show(project: Trial, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """However the sorted rows are cut, events, order and session numbers are those of one block."""
    dice = random.Random(3)
    rows = [
        f"2024-07-0{dice.randint(1, 3)} 1{dice.randint(0, 9)}:{dice.randint(0, 59):02d}:00 UTC,view,"
        f"{dice.randint(1, 3)},,,,1,{dice.choice(['', 1, 2, 3, 4])},{dice.choice(['', 'a', 'b'])}"
        for _ in range(400)
    ]
    project.file("log.csv", HEADER + "\n" + "\n".join(rows) + "\n")
    source = {"kind": "clickstream", "files": ["log.csv"]}
    whole = project.build(source).total("rows_kept"), project.events(), project.mart("sessions")
    monkeypatch.setattr(eventlog, "BLOCK", block)
    shutil.rmtree(project.paths.groups)
    cut = project.build(source).total("rows_kept"), project.events(), project.mart("sessions")
    assert whole[0] == cut[0]
    assert whole[1].equals(cut[1])
    assert whole[2].equals(cut[2])


def test_events_are_sorted_and_sessions_dense(project: Trial) -> None:
    dice = random.Random(5)
    rows = [
        f"2024-07-01 10:{dice.randint(0, 2):02d}:{dice.randint(0, 3):02d} UTC,view,{dice.randint(1, 3)}"
        f",,,,1,{dice.randint(1, 4)},{dice.choice('abc')}"
        for _ in range(300)
    ]
    project.file("log.csv", HEADER + "\n" + "\n".join(rows) + "\n")
    project.compact({"kind": "clickstream", "files": ["log.csv"]})
    events = project.events()
    keys = events.select("customer_id", "event_time", "session_id", "product_id")
    assert keys.equals(keys.sort(pl.all(), nulls_last=False))
    assert sorted(events["session_id"].unique()) == list(range(1, 13))
    assert events.group_by("session_id").agg(pl.col("customer_id").n_unique())["customer_id"].max() == 1


def test_the_same_file_twice_counts_once(project: Trial) -> None:
    text = f"{HEADER}\n2024-07-01 10:00:00 UTC,view,1,,,,1,1,s\n2024-07-01 10:00:01 UTC,view,1,,,,1,1,s\n"
    project.file("a.csv", text)
    project.file("b.csv", text)
    counted = project.compact({"kind": "clickstream", "files": ["a.csv", "b.csv"]})
    assert counted.total("rows_read") == 4
    assert counted.total("rows_kept") == counted.total("duplicates_dropped") == 2


def test_transactions_keep_equal_lines(project: Trial) -> None:
    row = "1,2024-07-01 10:00,a,1,5.00,x\n"
    project.file("till.csv", "order_id,event_time,product_id,quantity,price,customer_id\n" + row + row)
    columns = {"order_id": "order_id", "event_time": "event_time", "product_id": "product_id"}
    project.build({"kind": "transactions", "files": ["till.csv"], "columns": columns})
    assert project.mart("purchases")["lines"].to_list() == [2]


def test_odd_rows_are_kept_flagged_and_counted(project: Trial) -> None:
    rows = [
        "1970-01-01 00:00:00 UTC,view,1,,,,1,1,s",
        "2024-07-01 10:00:00 UTC,purchase,1,,,,0,1,s",
        "2024-07-01 10:00:01 UTC,purchase,1,,,,-2.5,1,s",
        "2024-07-01 10:00:02 UTC,dance,1,,,,1,,s",
    ]
    project.file("log.csv", "\n".join([HEADER, *rows]) + "\n")
    counted = project.compact({"kind": "clickstream", "files": ["log.csv"]})
    flagged = {check.check: (check.rows, check.revenue) for check in counted.checks}
    assert flagged == {
        "implausible_time": (1, 0.0),
        "unknown_event": (1, 0.0),
        "bad_price": (2, -2.5),
        "bad_amount": (1, -2.5),
        "missing_customer": (1, 0.0),
    }
    assert counted.total("rows_kept") == 4


def test_a_product_is_described_as_it_mostly_is(project: Trial) -> None:
    rows = [f"2024-07-01 10:00:{i:02d} UTC,view,1,7,a.b,{'acme' if i else 'typo'},1,1,s" for i in range(3)]
    project.file("log.csv", "\n".join([HEADER, *rows]) + "\n")
    project.compact({"kind": "clickstream", "files": ["log.csv"]})
    assert pl.read_parquet(project.paths.products).select("brand", "category_code").rows() == [("acme", "a.b")]
