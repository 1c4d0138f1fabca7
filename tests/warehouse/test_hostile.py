"""Files that no one would wish for: one message that names file and line, or counted rejects on their true lines.

Never a traceback, a lost row, or a value that is changed without a word.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
from collections import Counter
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trial import HEADER, Trial, trial_project

from patternbook.errors import UserError
from patternbook.warehouse.sources import preview

ROW = "2019-10-01 00:00:00 UTC,view,1,2,,acme,3.50,4,s1"
ROWS = [ROW.replace("00:00:00", f"00:00:0{second}") for second in range(6)]
LOG = "\n".join([HEADER, *ROWS]) + "\n"
TILL = "order_id,event_time,product_id,customer_id,price,quantity\n"
CLICKSTREAM: dict[str, Any] = {"kind": "clickstream"}
TRANSACTIONS: dict[str, Any] = {
    "kind": "transactions",
    "columns": {name: name for name in ("order_id", "event_time", "product_id", "customer_id", "price", "quantity")},
}
ANY_SHARE = {"max_rejected_share": 1}


def with_second(line: str | bytes, end: str = "\n") -> bytes:
    """A log whose third line is this one."""
    written = line.encode() if isinstance(line, str) else line
    before, after = end.join([HEADER, ROWS[0]]) + end, end + ROWS[2] + end
    return before.encode() + written + after.encode()


def refused(project: Trial, name: str, content: str | bytes, message: str, **source: Any) -> None:
    project.file(name, content)
    with pytest.raises(UserError, match=message) as caught:
        project.compact({**CLICKSTREAM, "files": [name], **source}, quality=ANY_SHARE)
    assert "\n" not in str(caught.value)
    assert name.split("*", maxsplit=1)[0] in str(caught.value)
    assert not project.paths.events.exists()


def compacted(project: Trial, content: str | bytes, name: str = "a.csv", **source: Any) -> list[tuple[int, str]]:
    """The rejects of a file, after its rows were seen to add up."""
    project.file(name, content)
    (file,) = project.compact({**CLICKSTREAM, "files": [name], **source}, quality=ANY_SHARE).files
    assert file.rows_read == file.rows_kept + file.rows_rejected + file.duplicates_dropped
    assert file.rows_kept == len(project.events())
    return pl.read_parquet(project.paths.rejects).select("line", "reason").rows()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("random.csv", os.urandom(20_000), "line 1: not UTF-8 text"),
        ("png.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + os.urandom(500), "line 1: not UTF-8 text"),
        ("utf16.csv", LOG.encode("utf-16"), "line 1: not UTF-8 text"),
        ("utf16le.csv", LOG.encode("utf-16-le"), "line 1: not UTF-8 text"),
        ("utf16be.csv", LOG.encode("utf-16-be"), "line 1: not UTF-8 text"),
        ("blank.csv", "\n\n \n", "the file is empty"),
        ("header.csv", HEADER, "a header and no rows"),
        ("blank_rows.csv", HEADER + "\n\n\n", "a header and no rows"),
        ("no_header.csv", "\n".join(ROWS), "line 1: there is no column 'event_time'"),
        ("twice.csv", LOG.replace("brand", "price", 1), "line 1: column 'price' stands twice"),
        ("case.csv", LOG.replace("brand", "Price", 1), "line 1: column 'Price' stands twice"),
        ("tabs.csv", LOG.replace(",", "\t"), r'source\.delimiter: "\\t"'),
        ("open.csv", with_second(ROWS[1].replace("acme", '"acme')), "line 3: a quote is opened and not closed"),
        ("mixed.csv", with_second(ROWS[1] + "\r"), "line 3: the line ends otherwise"),
        ("old_mac.csv", with_second(ROWS[1]).replace(b"\n", b"\r", 1), "line 2: the line ends otherwise"),
        ("mixed_quoted.csv", with_second(ROWS[1].replace("acme", '"x"') + "\r"), "line 3: the line ends otherwise"),
        ("time.csv", with_second(b"2019-\xe9" + ROWS[1][6:].encode()), "line 3: bytes that are not UTF-8"),
        ("swallowing.csv", with_second(ROWS[1].replace("acme", 'a\n\n"m'), "\r\n"), "line 3: the line ends otherwise"),
        ("long.csv", with_second(ROWS[1].replace("acme", "a" * 40_000_000)), "line 3: the line is longer than"),
    ],
)  # fmt: skip
def test_one_message_names_file_and_line(project: Trial, name: str, content: str | bytes, message: str) -> None:
    refused(project, name, content, message)


def test_the_wrong_delimiter_is_named(project: Trial) -> None:
    refused(project, "a.csv", LOG, r'only one column with the delimiter \';\'.*source\.delimiter: ","', delimiter=";")


PACKED = gzip.compress(("\n".join([HEADER, *ROWS * 3000]) + "\n").encode())
FRAMED = zstandard.compress(os.urandom(10) + ("\n".join([HEADER, *ROWS * 3000]) + "\n").encode())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.csv.gz", PACKED[: len(PACKED) // 2], "compressed file is damaged"),
        ("no_end.csv.gz", PACKED[:-8], "compressed file is damaged"),
        ("checksum.csv.gz", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "compressed file is damaged"),
        ("junk_after.csv.gz", PACKED + b"junk", "compressed file is damaged"),
        ("middle.csv.gz", PACKED[:200] + b"\xff" * 50 + PACKED[250:], "compressed file is damaged"),
        ("no_gzip.csv.gz", LOG, "compressed file is damaged"),
        ("cut.csv.zst", FRAMED[:-20], "compressed file is damaged"),
        ("no_zstd.csv.zst", LOG, "compressed file is damaged"),
        ("no_workbook.xlsx", b"PK\x03\x04" + os.urandom(300), "cannot be read as an Excel workbook"),
        ("text.parquet", LOG, "not a Parquet file, or a damaged one"),
    ],
)
def test_damaged_packing_is_one_message(project: Trial, name: str, content: str | bytes, message: str) -> None:
    refused(project, name, content, message)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.98])
def test_a_parquet_file_cut_in_the_middle_is_one_message(project: Trial, share: float) -> None:
    times = [f"2024-07-01 10:00:{i % 60:02d}" for i in range(5000)]
    numbers = list(range(5000))
    frame = pl.DataFrame({"event_time": times, "event_type": ["view"] * 5000, "user_id": numbers, "price": numbers})
    frame.write_parquet(project.root / "whole.parquet")
    whole = (project.root / "whole.parquet").read_bytes()
    at = int(len(whole) * share)
    refused(project, "cut.parquet", whole[:at], "not a Parquet file, or a damaged one")


def test_concatenated_gzip_members_are_one_file(project: Trial) -> None:
    parts = gzip.compress(LOG.encode()) + gzip.compress((ROW.replace("s1", "s2") + "\n").encode())
    assert compacted(project, parts, "a.csv.gz") == []
    assert len(project.events()) == 7


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (ROWS[1].replace("acme", "caf\xe9").encode("latin-1"), "bytes that are not UTF-8"),
        (HEADER, "the header again"),
        ("   ", "1 fields instead of 9"),
        ("# a comment", "1 fields instead of 9"),
        ("\0\0\0", "1 fields instead of 9"),
        (ROWS[1] + ",x", "10 fields instead of 9"),
        (ROWS[1].rsplit(",", 1)[0], "8 fields instead of 9"),
        (ROWS[1].replace("acme", '"ac"me'), "a quote that is opened and not closed, or closed too early"),
        (ROWS[1].replace("acme", "a" * 3_000_000), "a line longer than the reader takes"),
        *[(value + ROWS[1][23:], "event_time: missing, or not a time (iso8601)") for value in (
            "", "soon", "01.10.2019 00:00", "1569888000", "2019-02-30 00:00:00", "2019-10-01 00:00:60",
            "infinity", "-infinity", "290000-01-01")],
        *[(ROWS[1].replace(",4,", f",{value},"), "user_id: not an integer of 64 bits") for value in (
            "2.5", "1e3", "1e-1", "0x10", "1_000", "  ", "true", "4\0", "9223372036854775808", "-9223372036854775809")],
        *[(ROWS[1].replace(",4,", f",{value},"), "user_id: a leading zero, which a number would lose; "
            "source.ids.customer: text keeps it") for value in ("007", "00", " 04", "-07", "+07")],
        *[(ROWS[1].replace("3.50", value), "price: not an amount") for value in (
            '"1.234,50"', '"1,5"', "$3", "3 €", "  ", "NaN", "inf", "12345678901234567890", "0x10", "true")],
        (ROWS[1].replace("3.50", "1.234,50"), "10 fields instead of 9"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_a_row_that_cannot_be_read_as_it_stands_is_a_reject_on_its_line(
    project: Trial, line: str | bytes, reason: str, packed: bool
) -> None:
    content = with_second(line)
    name = "a.csv.gz" if packed else "a.csv"
    assert compacted(project, gzip.compress(content) if packed else content, name) == [(3, reason)]
    assert len(project.events()) == 2


@pytest.mark.parametrize(
    ("written", "column", "read"),
    [
        ("8589934592", "customer_id", 2**33),
        ("9223372036854775807", "customer_id", 2**63 - 1),
        ("-4", "customer_id", -4),
        ("17850.0", "customer_id", 17850),
        ("0", "customer_id", 0),
        ("0.0", "customer_id", 0),
        (" 5 ", "customer_id", 5),
        ('"6"', "customer_id", 6),
        ("", "customer_id", None),
        ("1e3", "price", Decimal(1000)),
        ("-3", "price", Decimal(-3)),
        ("", "price", None),
        ("3.12345678", "price", Decimal("3.1235")),
        ("0.00004", "price", Decimal(0)),
    ],
)
def test_values_that_mean_one_thing_are_read_and_prices_rounded_to_four_decimals(
    project: Trial, written: str, column: str, read: Any
) -> None:
    line = ROWS[1].replace(*((",4,", f",{written},") if column == "customer_id" else ("3.50", written)))
    assert compacted(project, with_second(line)) == []
    assert project.events().sort("event_time")[column][1] == read


@pytest.mark.parametrize(
    "brand", ["ac\tme", "ac\0me", '"ac,me"', '"ac""me"', 'ac"me', '"ac\nme"', '"ac\r\nme"', "a" * 1_000_000, "Ü 😀", ""]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_odd_text_is_kept_to_the_letter(project: Trial, brand: str, end: str) -> None:
    content = end.join([HEADER, *[row.replace("acme", brand) for row in ROWS]]) + end
    assert compacted(project, content) == []
    expected = next(csv.reader(io.StringIO(ROW.replace("acme", brand), newline="")))[5] or None
    assert pl.read_parquet(project.paths.products)["brand"].to_list() == [expected]


@pytest.mark.parametrize("later", [2, 3, 5])
def test_a_quote_that_another_row_closes_does_not_swallow_the_rows_between(project: Trial, later: int) -> None:
    rows = list(ROWS)
    rows[1], rows[later] = rows[1].replace("acme", '"acme'), rows[later].replace("acme", 'acme"')
    refused(project, "a.csv", "\n".join([HEADER, *rows]) + "\n", "line 3: a quote is opened and not closed")


@pytest.mark.parametrize("place", [10, 30_000, 59_990])
def test_an_unclosed_quote_in_a_large_file_does_not_swallow_the_rest(project: Trial, place: int) -> None:
    rows = [ROW.replace("s1", f"s{i:040d}") for i in range(60_000)]
    rows[place] = rows[place].replace("acme", '"acme')
    refused(project, "a.csv", "\n".join([HEADER, *rows]) + "\n", f"line {place + 2}: a quote is opened")


def test_a_quote_left_open_in_the_last_line_is_one_reject(project: Trial) -> None:
    assert [line for line, _ in compacted(project, LOG + ROW.replace("s1", '"s1'))] == [8]


def test_a_cut_last_line_is_a_reject_and_a_missing_last_line_end_is_none(project: Trial) -> None:
    assert compacted(project, LOG + ROW[:30]) == [(8, "3 fields instead of 9")]
    assert compacted(project, LOG.rstrip("\n")) == []
    assert len(project.events()) == 6


def test_a_whole_file_in_latin_1_says_so(project: Trial) -> None:
    project.file("a.csv", LOG.replace("acme", "caf\xe9").encode("latin-1"))
    with pytest.raises(UserError, match=r"bytes that are not UTF-8 \(6 of them, first a\.csv line 2\)"):
        project.compact({**CLICKSTREAM, "files": ["a.csv"]})


@pytest.mark.parametrize("start", ["\ufeff", "\n\n", "\ufeff\n", "\r\n\r\n"])
def test_a_byte_order_mark_or_blank_lines_before_the_header_do_no_harm(project: Trial, start: str) -> None:
    end = "\r\n" if "\r" in start else "\n"
    text = start + LOG.replace("\n", end) + end + "x" + end
    assert compacted(project, text) == [(len(start.strip("\ufeff").split(end)) + 8, "1 fields instead of 9")]
    assert len(project.events()) == 6


@pytest.mark.parametrize("header", [HEADER, HEADER + ","])
def test_a_trailing_delimiter_on_each_line_is_no_column(project: Trial, header: str) -> None:
    assert compacted(project, "\n".join([header, *[f"{row}," for row in ROWS]]) + "\n") == []
    assert len(project.events()) == 6


def test_a_column_without_a_name_is_a_column(project: Trial) -> None:
    """Frames are often written with their row numbers."""
    rows = [f"{number},{row}" for number, row in enumerate(ROWS)]
    assert compacted(project, "\n".join(["," + HEADER, *rows]) + "\n") == []
    assert project.events()["product_id"].to_list() == [1] * 6


@pytest.mark.parametrize(
    "name", ['the "brand"', "brand's; DROP TABLE staged; --", "Märke ünd 😀", "a,b", "SELECT", "x\ny"]
)
def test_a_column_may_have_any_name(project: Trial, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    source: dict[str, Any] = {"columns": {"brand": name}}
    content = LOG.replace("brand", quoted, 1) + "x\n"
    assert [reason for _, reason in compacted(project, content, **source)] == ["1 fields instead of 9"]
    assert pl.read_parquet(project.paths.products)["brand"].to_list() == ["acme"]


def test_rules_name_the_true_line_beyond_blank_lines_and_line_breaks_within_quotes(project: Trial) -> None:
    free = ROWS[1].replace("3.50", "0")
    lines = [
        HEADER,
        "",
        ROWS[0].replace("acme", '"a\nb"'),
        free,
        "x",
        "",
        ROWS[2],
        ROWS[3].replace(",4,", ",2.5,"),
        free,
    ]
    project.file("a.csv", "\n".join(lines) + "\n")
    project.compact({**CLICKSTREAM, "files": ["a.csv"]}, quality={"bad_price": "reject", **ANY_SHARE})
    assert pl.read_parquet(project.paths.rejects).select("line", "reason", "raw").rows() == [
        (5, "price zero or negative", ""),
        (6, "1 fields instead of 9", "***"),
        (9, "user_id: not an integer of 64 bits", "2019-10-01 00:00:03 UTC,view,1,2,,acme,3.50,***,s1"),
        (10, "price zero or negative", ""),
    ]


@pytest.mark.parametrize(
    "line",
    [
        ROWS[1].replace("3.50", "1,50").replace(",4,", ",4711,"),
        ROWS[1].replace(",acme", "").replace(",4,", ",4711,"),
        ROWS[1].replace("acme", "caf\xe9").replace(",4,", ",4711,").encode("latin-1"),
        ROWS[1].replace("3.50", "much").replace(",4,", ",4711,"),
        ROWS[1].replace(",4,", ",4711.5,"),
    ],
)
def test_the_customer_is_masked_in_a_reject_wherever_the_fields_slipped(project: Trial, line: str | bytes) -> None:
    assert len(compacted(project, with_second(line))) == 1
    (raw,) = pl.read_parquet(project.paths.rejects)["raw"]
    assert "***" in raw
    assert "4711" not in raw


@pytest.mark.parametrize("value", ["1569888000.5", "1e9", "99999999999999999", "2019-10-01", ""])
def test_seconds_since_1970_are_whole_and_have_a_date(project: Trial, value: str) -> None:
    rows = [ROW.replace("2019-10-01 00:00:00 UTC", written) for written in ("1569888000", value, "1569888001")]
    text = "\n".join([HEADER, *rows]) + "\n"
    assert compacted(project, text, time_format="epoch_s") == [(3, "event_time: missing, or not a time (epoch_s)")]


def test_the_header_again_among_seconds_since_1970(project: Trial) -> None:
    row = ROW.replace("2019-10-01 00:00:00 UTC", "1569888000")
    text = "\n".join([HEADER, row, HEADER, row]) + "\n"
    assert compacted(project, text, time_format="epoch_s") == [(3, "the header again")]


@pytest.mark.parametrize("quantity", ["2.5", "1e1", "3000000000", "two"])
def test_a_quantity_is_whole(project: Trial, quantity: str) -> None:
    text = TILL + f"1,2019-10-01,7,4,3.50,2\n2,2019-10-01,7,4,3.50,{quantity}\n3,2019-10-01,7,4,3.50,1.0\n"
    assert compacted(project, text, **TRANSACTIONS) == [(3, "quantity: not a whole number")]
    assert sorted(project.events()["quantity"].to_list()) == [1, 2]


@pytest.mark.parametrize("suffix", ["parquet", "xlsx"])
def test_tables_are_held_to_the_same_rules(project: Trial, suffix: str) -> None:
    times = ["2024-07-01 10:00:00", "2024-07-01 10:00:01", "2024-07-01 10:00:02", "infinity", None]
    frame = pl.DataFrame({"event_time": times, "event_type": ["view"] * 5, "user_id": [4.0, 2.5, 5.0, 6.0, 7.0],
                          "price": ["1", "2", "$3", "4", "5"], "product_id": ["1", "2", "3", "1e3", "5"]})  # fmt: skip
    if suffix == "parquet":
        frame.write_parquet(project.root / "a.parquet")
    else:
        frame.write_excel(project.root / "a.xlsx")
    project.compact({**CLICKSTREAM, "files": [f"a.{suffix}"]}, quality=ANY_SHARE)
    rejects = dict(pl.read_parquet(project.paths.rejects).select("line", "reason").rows())
    no_time = "event_time: missing, or not a time (iso8601)"
    assert rejects == {2: "user_id: not an integer of 64 bits", 3: "price: not an amount", 4: no_time, 5: no_time}
    assert project.events()["customer_id"].to_list() == [4]


def test_a_file_under_several_names_is_read_once(project: Trial) -> None:
    path = project.file("a.csv", TILL + "1,2019-10-01,7,4,3.50,2\n")
    (project.root / "link.csv").symlink_to(path)
    files = ["a.csv", "./a.csv", "a.csv", str(path), "link.csv", "*.csv"]
    counted = project.compact({**TRANSACTIONS, "files": files})
    assert [(file.file, file.rows_kept) for file in counted.files] == [("a.csv", 1)]


def test_columns_may_stand_in_another_order_in_the_next_file(project: Trial) -> None:
    project.file("a.csv", TILL + "1,2019-10-01,7,4,3.50,2\n")
    project.file("b.csv", "quantity,price,new,customer_id,product_id,event_time,order_id\n5,2.50,x,9,8,2019-10-02,2\n")
    project.compact({**TRANSACTIONS, "files": ["a.csv", "b.csv"], "ids": {"customer": "integer"}})
    rows = project.events().sort("event_time").select("customer_id", "quantity", "price").rows()
    assert rows == [(4, 2, Decimal("3.5")), (9, 5, Decimal("2.5"))]


def test_a_column_asked_for_by_name_must_be_in_each_file_and_any_other_shows_as_missing(project: Trial) -> None:
    project.file("a.csv", LOG)
    project.file("b.csv", "event_time,event_type,user_id,product_id,user_session\n2019-10-02,view,4,1,s9\n")
    files = {**CLICKSTREAM, "files": ["a.csv", "b.csv"]}
    with pytest.raises(UserError, match=r"b\.csv, line 1: there is no column 'price' \(source\.columns\.price\)"):
        project.compact({**files, "columns": {"price": "price"}})
    project.compact(files)
    assert project.events().sort("event_time")["price"][-1] is None
    assert "price" in preview(project.params(files))[1].missing


def test_three_hundred_small_files(project: Trial) -> None:
    for number in range(300):
        project.file(f"logs/{number:03d}.csv", f"{HEADER}\n{ROW.replace('s1', f's{number}')}\n")
    counted = project.compact({**CLICKSTREAM, "files": ["logs/*.csv"]})
    assert [file.rows_kept for file in counted.files] == [1] * 300


def test_rows_out_of_order_give_the_same_events(project: Trial) -> None:
    compacted(project, LOG)
    in_order = project.events()
    compacted(project, "\n".join([HEADER, *reversed(ROWS)]) + "\n")
    assert project.events().equals(in_order)


def test_a_folder_in_place_of_a_file_is_no_file(project: Trial) -> None:
    (project.root / "logs.csv").mkdir()
    with pytest.raises(UserError, match=r"logs\.csv: no such file"):
        project.compact({**CLICKSTREAM, "files": ["logs.csv"]})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.xlsx"])
def test_a_file_that_may_not_be_read_is_one_message(project: Trial, name: str) -> None:
    project.file(name, LOG).chmod(0)
    with pytest.raises(UserError, match=name):
        project.compact({**CLICKSTREAM, "files": [name]})


COLUMNS = {name: name for name in ("event_time", "product_id", "price")}
COLUMN_NAMES = "event_time,kind,product_id,brand,price,customer_id,basket"
LINES = [
    '2019-10-01 00:00:00 UTC,view,11,"a, ""b""",3.50,4,s1',
    "2019-10-01 00:00:01 UTC,cart,12,acme,0.25,4,s1",
    '2019-10-01 00:00:02 UTC,purchase,13,"two\nlines",12,,s1',
    "2019-10-01 00:00:03 UTC,view,14,,,5,s2",
    "2019-10-01 00:00:04 UTC,view,15,Ü,1e1,6,s3",
]
PLAIN_LINES = [LINES[1], LINES[3], LINES[4], *[LINES[1].replace("12", str(n)) for n in range(20, 24)]]
TOKENS = [b'"', b'""', b"\0", b",", b";", b"\n", b"\n\n", b"\r\n", b"\r", b"\xe9", b"\xef\xbb\xbf", b"e3", b".5", b" ",
          b"NaN", b"x", b"0", b"-", b"\t", b'"\n"', b",,"]  # fmt: skip
PLACES = st.integers(0, 10_000)
MUTATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), PLACES, st.sampled_from(TOKENS)),
        st.tuples(st.just("replace"), PLACES, st.one_of(st.sampled_from(TOKENS), st.binary(min_size=1, max_size=1))),
        st.tuples(st.just("delete"), PLACES, st.integers(1, 40)),
        st.tuples(st.sampled_from(["repeat a line", "drop a line", "swap lines", "swap fields"]), PLACES, PLACES),
    ),
    min_size=1,
    max_size=4,
)
TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")


def mutated(text: bytes, kind: str, place: int, what: int | bytes) -> bytes:
    at = place % (len(text) + 1)
    if isinstance(what, bytes) and kind == "insert":
        return text[:at] + what + text[at:]
    if isinstance(what, bytes):
        return text[:at] + what + text[at + 1 :]
    if kind == "delete":
        return text[:at] + text[at + what :]
    separator = b"," if kind == "swap fields" else b"\n"
    parts = text.split(separator)
    one, other = place % len(parts), what % len(parts)
    if kind == "repeat a line":
        parts.insert(other, parts[one])
    elif kind == "drop a line":
        del parts[one]
    else:
        parts[one], parts[other] = parts[other], parts[one]
    return separator.join(parts)


def number(text: str) -> int | None:
    return int(Decimal(text)) if text.strip() else None


def amount(text: str) -> Decimal | None:
    return Decimal(text.strip()).quantize(Decimal("0.0001"), ROUND_HALF_UP) if text.strip() else None


def instant(text: str) -> datetime | None:
    """The time, null where it is written otherwise than `TIME`. Raises ValueError for one that no calendar has."""
    time = TIME.fullmatch(text)
    if time is None:
        return None
    day, clock = time.group(1).split()
    if clock == "24:00:00":  # the end of a day, which Python does not know by this name
        return datetime.fromisoformat(day) + timedelta(days=1)
    return datetime.fromisoformat(time.group(1))


def as_python_reads(text: str, customer: str) -> tuple[list[list[str]], dict[tuple[Any, ...], list[datetime | None]]]:
    """Rows after the header, and the times of those whose customer, product and price are numbers, by these.

    A time that no calendar has makes no event, as little as what is no number does.
    """
    header, *rows = [
        row for row in csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True) if row
    ]
    index = {name.strip(): position for position, name in enumerate(header)}
    values: dict[tuple[Any, ...], list[datetime | None]] = {}
    for row in rows:
        try:
            key = number(row[index[customer]]), number(row[index["product_id"]]), amount(row[index["price"]])
            time = instant(row[index["event_time"]])
        except (InvalidOperation, IndexError, ValueError, OverflowError):
            continue
        values.setdefault(key, []).append(time)
    return rows, values


@settings(max_examples=100, deadline=None)
@example(PLAIN_LINES, "\n", [("replace", 9, b"0")], False)  # the day 2019-10-00
@example(PLAIN_LINES, "\n", [("replace", 11, b"2"), ("replace", 12, b"4"), ("replace", 18, b"0")], False)  # 24:00:00
@given(st.sampled_from([LINES, PLAIN_LINES]), st.sampled_from(["\n", "\r\n"]), MUTATIONS, st.booleans())
def test_whatever_the_file_no_row_is_lost_and_no_value_changed(
    lines: list[str], end: str, mutations: list[tuple[str, int, int | bytes]], till: bool
) -> None:
    """Held against rows and values as Python's csv module finds them, and against the lines where nothing is quoted."""
    body = (end.join(lines) + end).encode()
    for kind, place, what in mutations:
        body = mutated(body, kind, place, what)
    content = (COLUMN_NAMES + end).encode() + body
    named = {**COLUMNS, "customer_id": "customer_id"}
    source = (
        {"kind": "transactions", "columns": {**named, "order_id": "basket"}, "duplicates": "keep",
         "ids": {"customer": "integer", "product": "integer"}}
        if till
        else {"kind": "clickstream", "columns": {**named, "event_type": "kind", "session_id": "basket"}}
    )  # fmt: skip
    with trial_project() as project:
        project.file("a.csv", content)
        try:
            (file,) = project.compact({**source, "files": ["a.csv"]}, quality=ANY_SHARE).files
        except UserError:
            return
        events = project.events().select("customer_id", "product_id", "price", "event_time").rows()
    assert file.rows_read == file.rows_kept + file.rows_rejected + file.duplicates_dropped
    assert file.rows_kept == len(events)
    text = content.decode("utf-8-sig", errors="replace")
    if '"' not in text:
        assert file.rows_read == len([line for line in re.split(r"\r\n|\r|\n", text) if line]) - 1
    try:
        rows, values = as_python_reads(text, "customer_id")
    except csv.Error:
        return
    assert file.rows_read == len(rows)
    for customer, product, price, time in events:
        times = values[customer, product, price]
        assert time in times or None in times
    kept = Counter((customer, product, price) for customer, product, price, _ in events)
    assert all(count <= len(values[key]) for key, count in kept.items())
