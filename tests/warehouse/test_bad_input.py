"""Bad input ends as one message that names file and line or key; nothing half-written, nothing lost."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from trial import HEADER, Trial

from patternbook.errors import UserError

ROW = "2019-10-01 00:00:00 UTC,view,1,2,,acme,3.50,4,s1"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", "", r"empty\.csv: the file is empty"),
        ("header.csv", HEADER + "\n", r"header\.csv: the file has a header and no rows"),
        ("semi.csv", f"{HEADER}\n{ROW}\n".replace(",", ";"), r"semi\.csv, line 1: .*source\.delimiter: \";\""),
        (
            "names.csv",
            f"{HEADER.replace('user_id', 'uid')}\n{ROW}\n",
            r"line 1: .*'user_id'.*source\.columns\.customer_id",
        ),
        ("twice.csv", f"{HEADER},brand\n{ROW},x\n", r"line 1: column 'brand' stands twice"),
        ("utf16.csv", f"{HEADER}\n{ROW}\n".encode("utf-16"), r"line 1: not UTF-8 text"),
        ("bad.parquet", "no parquet", r"bad\.parquet: not a Parquet file"),
        ("bad.xlsx", "no workbook", r"bad\.xlsx: cannot be read as an Excel workbook"),
        ("bad.csv.gz", "no gzip", r"bad\.csv\.gz: the compressed file is damaged"),
        ("notes.json", "{}", r"notes\.json: files of this kind cannot be read"),
        ("cut.csv", f"{HEADER}\n{ROW}\n2019-10-01 00:0", r"1 of 2 rows cannot be read.*1 fields instead of 9.*line 3"),
        ("time.csv", f"{HEADER}\n{ROW}\nsoon{ROW[23:]}\n", r"event_time: missing, or not a time \(iso8601\).*line 3"),
    ],
)
def test_one_message(project: Trial, name: str, content: str | bytes, message: str) -> None:
    project.file(name, content)
    with pytest.raises(UserError, match=message) as caught:
        project.compact({"kind": "clickstream", "files": [name]})
    assert "\n" not in str(caught.value)
    assert not project.paths.events.exists()
    assert not project.paths.compaction.exists()


def test_missing_file(project: Trial) -> None:
    with pytest.raises(UserError, match=r"nowhere.*no such file; set source\.folder and source\.files"):
        project.compact({"kind": "clickstream", "files": ["nowhere/*.csv"]})


def test_a_failed_compaction_leaves_the_earlier_events(project: Trial) -> None:
    project.file("a.csv", f"{HEADER}\n{ROW}\n")
    project.compact({"kind": "clickstream", "files": ["a.csv"]})
    before = project.events()
    project.file("a.csv", f"{HEADER}\n{ROW}\nbroken\n")
    with pytest.raises(UserError):
        project.compact({"kind": "clickstream", "files": ["a.csv"]})
    assert project.events().equals(before)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 'red'", "no column 'colour'"),
        ("price > (SELECT 1)", "not allowed"),
        ("read_csv('/etc/passwd')", "not allowed"),
        ("1 = 1; DROP TABLE events", "not an SQL condition"),
        ("true LIMIT 3", "write one condition"),
        ("price = 'many'", "key 'filter'"),
        ("price > 1000000", "leave no event"),
    ],
)
def test_filter_is_one_plain_condition(project: Trial, text: str, message: str) -> None:
    project.file("a.csv", f"{HEADER}\n{ROW}\n")
    with pytest.raises(UserError, match=message):
        project.build({"kind": "clickstream", "files": ["a.csv"]}, filter=text)


def test_quality_rules_can_reject(project: Trial) -> None:
    rows = [ROW, ROW.replace("3.50", "0"), ROW.replace("3.50", "-1").replace(",4,", ",,")]
    project.file("a.csv", HEADER + "\n" + "\n".join(rows) + "\n")
    counted = project.compact(
        {"kind": "clickstream", "files": ["a.csv"]},
        quality={"bad_price": "reject", "missing_customer": "reject", "max_rejected_share": 1},
    )
    (file,) = counted.files
    assert (file.rows_read, file.rows_kept, file.rows_rejected) == (3, 1, 2)
    rejects = pl.read_parquet(project.paths.rejects)
    assert rejects.select("line", "reason").rows() == [(3, "price zero or negative"), (4, "price zero or negative")]


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_rejects_name_their_line(project: Trial, start: str, end: str, suffix: str) -> None:
    """Blank lines, rows with several errors and a line break within quotes do not move the count."""
    lines = [
        HEADER,
        ROW,
        ",,,,,,,,",  # 3
        "x",  # 4
        "",
        "",
        "soon" + ROW[23:],  # 7
        ROW.replace("acme", '"ac' + end + 'me"'),  # 8 and 9
        "later" + ROW[23:],  # 10
        ROW.replace("3.50", "$3"),  # 11
        "",
    ]
    text = (start + end.join(lines)).encode()
    project.file(f"a.{suffix}", gzip.compress(text) if suffix.endswith("gz") else text)
    project.compact({"kind": "clickstream", "files": [f"a.{suffix}"]}, quality={"max_rejected_share": 1})
    assert pl.read_parquet(project.paths.rejects)["line"].to_list() == [3, 4, 7, 10, 11]


def test_rows_that_rules_reject_are_told_from_unreadable_ones(project: Trial) -> None:
    """Lines of both kinds, in one file; a row that breaks two rules counts once."""
    free = ROW.replace("3.50", "0")
    rows = ["broken", free, ROW, "broken", free.replace(",4,", ",,"), free]
    project.file("a.csv", HEADER + "\n" + "\n".join(rows) + "\n")
    counted = project.compact(
        {"kind": "clickstream", "files": ["a.csv"]},
        quality={"bad_price": "reject", "missing_customer": "reject", "max_rejected_share": 1},
    )
    (file,) = counted.files
    assert (file.rows_read, file.rows_kept, file.rows_rejected, file.duplicates_dropped) == (6, 1, 5, 0)
    assert pl.read_parquet(project.paths.rejects)["line"].to_list() == [2, 3, 5, 6, 7]


def test_rejected_rows_of_a_table_are_numbered_from_one(project: Trial) -> None:
    prices = [1.0, 0.0, 2.0, 0.0]
    pl.DataFrame(
        {"event_time": ["2024-07-01 10:00:00"] * 4, "event_type": ["view"] * 4, "user_id": [1] * 4, "price": prices}
    ).write_parquet(project.root / "a.parquet")
    project.compact(
        {"kind": "clickstream", "files": ["a.parquet"]}, quality={"bad_price": "reject", "max_rejected_share": 1}
    )
    assert pl.read_parquet(project.paths.rejects)["line"].to_list() == [2, 4]


def test_files_of_one_name_are_told_apart(project: Trial) -> None:
    for folder in ("a", "b"):
        project.file(f"{folder}/log.csv", f"{HEADER}\n{ROW.replace('s1', folder)}\nbroken\n")
    counted = project.compact(
        {"kind": "clickstream", "files": ["a/log.csv", "b/log.csv"]}, quality={"max_rejected_share": 1}
    )
    assert [(Path(file.file).parent.name, file.rows_kept, file.rows_rejected) for file in counted.files] == [
        ("a", 1, 1),
        ("b", 1, 1),
    ]


ORDERS = {
    "kind": "transactions",
    "columns": {"event_time": "time", "order_id": "order", "product_id": "product", "price": "price",
                "quantity": "quantity", "customer_id": "customer", "discount": "discount"},
}  # fmt: skip
ORDER_HEADER = "time,order,product,price,quantity,customer,discount"
ORDER = "2024-07-01,o1,p1,1.50,2,c1,0.1"


def rejected_orders(project: Trial, row: str, suffix: str) -> list[tuple[int, str]]:
    text = f"{ORDER_HEADER}\n{ORDER}\n{row}\n"
    if suffix == "csv":
        project.file("a.csv", text)
    else:
        typed = {"price": pl.Float64, "quantity": pl.Int64, "discount": pl.Float64}
        frame = pl.read_csv(text.encode(), infer_schema_length=0)
        frame.with_columns(pl.col(name).cast(kind) for name, kind in typed.items()).write_parquet(
            project.root / "a.parquet"
        )
    counted = project.compact({**ORDERS, "files": [f"a.{suffix}"]}, quality={"max_rejected_share": 1})
    assert [(file.rows_read, file.rows_kept) for file in counted.files] == [(2, 1)]
    return pl.read_parquet(project.paths.rejects).select("line", "reason").rows()


@pytest.mark.parametrize(("suffix", "line"), [("csv", 3), ("parquet", 2)])
def test_a_total_that_no_amount_holds_is_a_reject(project: Trial, suffix: str, line: int) -> None:
    row = ORDER.replace("1.50,2", "99999999999999,2000")
    reason = "price x quantity has more than 14 digits before the decimal point"
    assert rejected_orders(project, row, suffix) == [(line, reason)]


@pytest.mark.parametrize("discount", ["NaN", "inf", "-inf"])
@pytest.mark.parametrize(("suffix", "line"), [("csv", 3), ("parquet", 2)])
def test_a_discount_is_a_finite_number(project: Trial, suffix: str, line: int, discount: str) -> None:
    row = ORDER.replace("0.1", discount)
    assert rejected_orders(project, row, suffix) == [(line, "discount: not a number")]


@pytest.mark.parametrize(
    "row",
    [
        ROW.replace("acme", "ac,me").encode(),  # one field too many
        ROW.replace("view,", "").encode(),  # one too few
        ROW.replace("acme", "café").encode("latin-1"),  # whose last byte would take the delimiter along
        ROW.replace("acme", '"ac"me"').encode(),  # a quote closed too early
        ROW.replace("acme", "ac\u00e9").encode("latin-1") + b",x",
    ],
)
def test_no_customer_stands_in_the_raw_text_of_a_reject(project: Trial, row: bytes) -> None:
    customer = "918273645"
    row = row.replace(b",4,", f",{customer},".encode())
    project.file("a.csv", f"{HEADER}\n{ROW}\n".encode() + row + b"\n")
    project.compact({"kind": "clickstream", "files": ["a.csv"]}, quality={"max_rejected_share": 1})
    (raw,) = pl.read_parquet(project.paths.rejects)["raw"]
    assert customer not in raw
    assert raw.startswith("2019-10-01 00:00:00 UTC,")
