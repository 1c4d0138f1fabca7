"""Other layouts work through the parameter file alone."""

from __future__ import annotations

import gzip
from datetime import datetime
from decimal import Decimal

import polars as pl
import pytest
import yaml
import zstandard
from trial import HEADER, Trial

from patternbook.params import Params
from patternbook.warehouse.sources import preview, propose

RETAILROCKET = """timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,355908,
1433221400000,257597,addtocart,355908,
1433221500999,257597,transaction,355908,4000
1433300000000,992329,view,248676,
"""

GERMAN = """Zeit;Aktion;Kunde;Artikel;Preis;Sitzung
01.07.2024 09:30;1;K-17;A-1;12.50;s1
01.07.2024 09:31;2;K-17;A-1;12.50;s1
01.07.2024 23:59;4;K-17;A-1;12.50;s2
02.07.2024 00:10;9;Ü-2;B-9;;s3
"""

TILL = """Receipt|Date|SKU|Sales|Member
R1|07/31/2024 10:15|0012|10.00|M1
R1|07/31/2024 10:15|0013|2.50|M1
R2|08/01/2024 09:00|0012|-10.00|
"""


def test_milliseconds_and_other_event_names(project: Trial) -> None:
    project.file("events.csv", RETAILROCKET)
    project.build(
        {
            "kind": "clickstream",
            "files": ["events.csv"],
            "columns": {"event_time": "timestamp", "event_type": "event", "customer_id": "visitorid",
                        "product_id": "itemid", "session_id": None},
            "event_names": {"view": "view", "addtocart": "cart", "transaction": "purchase"},
            "time_format": "epoch_ms",
        }
    )  # fmt: skip
    events = project.events()
    assert events["event_type"].cast(pl.String).to_list() == ["view", "cart", "purchase", "view"]
    assert events["event_time"].to_list()[2] == datetime(2015, 6, 2, 5, 5, 0)
    assert events["session_id"].to_list() == [1, 1, 1, 2]
    assert events["price"].is_null().all()


def test_semicolons_codes_text_ids_and_local_time(project: Trial) -> None:
    project.file("log.csv", GERMAN)
    counted = project.build(
        {
            "kind": "clickstream",
            "files": ["log.csv"],
            "delimiter": ";",
            "columns": {"event_time": "Zeit", "event_type": "Aktion", "customer_id": "Kunde", "product_id": "Artikel",
                        "price": "Preis", "session_id": "Sitzung"},
            "event_names": {1: "view", 2: "cart", 4: "purchase"},
            "time_format": "%d.%m.%Y %H:%M",
            "time_zone": "Europe/Berlin",
            "ids": {"customer": "text", "product": "text"},
        },
        report={"time_zone": "Europe/Berlin"},
    )  # fmt: skip
    assert counted.unknown_events == {"9": 1}
    events = project.events().sort("event_time")
    assert events["event_time"].to_list()[0] == datetime(2024, 7, 1, 7, 30)
    assert events["event_type"].cast(pl.String).to_list() == ["view", "cart", "purchase", "other"]
    assert events["event_name"].cast(pl.String).to_list() == [None, None, None, "9"]
    assert events["amount"].to_list() == [None, None, Decimal("12.50"), None]
    customers = pl.read_parquet(project.paths.customers)
    assert set(customers["source_id"]) == {"K-17", "Ü-2"}
    assert (customers["customer_id"] >= 0).all()
    days = project.mart("daily")
    assert [str(day) for day in days["day"]] == ["2024-07-01", "2024-07-02"]
    assert days["events"].to_list() == [3, 1]


def test_text_ids_are_the_first_63_bits_of_their_md5(project: Trial) -> None:
    import hashlib

    project.file("log.csv", GERMAN)
    project.compact(
        {
            "kind": "clickstream",
            "files": ["log.csv"],
            "delimiter": ";",
            "columns": {"event_time": "Zeit", "event_type": "Aktion", "customer_id": "Kunde", "product_id": "Artikel"},
            "time_format": "%d.%m.%Y %H:%M",
            "ids": {"customer": "text", "product": "text"},
        }
    )
    customers = dict(pl.read_parquet(project.paths.customers).select("source_id", "customer_id").iter_rows())
    expected = {name: int.from_bytes(hashlib.md5(name.encode()).digest()[:8], "big") >> 1 for name in ("K-17", "Ü-2")}
    assert customers == expected


def test_till_receipts_with_line_totals_and_no_price(project: Trial) -> None:
    project.file("till.txt", TILL)
    project.build(
        {
            "kind": "transactions",
            "files": ["till.txt"],
            "delimiter": "|",
            "columns": {"order_id": "Receipt", "event_time": "Date", "product_id": "SKU", "amount": "Sales",
                        "customer_id": "Member"},
            "time_format": "%m/%d/%Y %H:%M",
        }
    )  # fmt: skip
    products = pl.read_parquet(project.paths.products)
    assert sorted(products["source_id"]) == ["0012", "0013"]
    orders = project.mart("purchases")
    assert sorted(orders["revenue"].to_list()) == [Decimal("-10.00"), Decimal("12.50")]
    assert len(project.mart("customers")) == 1


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "csv.zst", "parquet", "xlsx"])
def test_every_file_type_gives_the_same_events(project: Trial, suffix: str) -> None:
    text = (
        HEADER
        + "\n"
        + "".join(
            f"2019-10-01 00:00:{i:02d} UTC,{'view' if i % 3 else 'purchase'},{i % 4},7,a.b,x,{i}.25,{i % 5},s{i % 5}\n"
            for i in range(60)
        )
    )
    if suffix == "csv":
        project.file("a.csv", text)
    elif suffix == "csv.gz":
        project.file("a.csv.gz", gzip.compress(text.encode()))
    elif suffix == "csv.zst":
        project.file("a.csv.zst", zstandard.compress(text.encode()))
    else:
        frame = pl.read_csv(project.file("plain.csv", text)).with_columns(
            pl.col("event_time").str.to_datetime("%Y-%m-%d %H:%M:%S UTC")
        )
        if suffix == "parquet":
            frame.write_parquet(project.root / "a.parquet")
        else:
            frame.write_excel(project.root / "a.xlsx")
    project.compact({"kind": "clickstream", "files": [f"a.{suffix}"]})
    events = project.events().sort("event_time")
    assert len(events) == 60
    assert events["product_id"].to_list() == [i % 4 for i in range(60)]
    assert events["price"].to_list() == [Decimal(i) + Decimal("0.25") for i in range(60)]
    assert events["session_id"].n_unique() == 5


def test_globs_and_several_files_keep_sessions_whole(project: Trial) -> None:
    project.file("d/2019-Oct.csv", f"{HEADER}\n2019-10-31 23:59:00 UTC,view,1,,,,5,9,s\n")
    project.file("d/2019-Nov.csv", f"{HEADER}\n2019-11-01 00:00:00 UTC,purchase,1,,,,5,9,s\n")
    counted = project.compact({"kind": "clickstream", "folder": "d", "files": ["*.csv"]})
    assert [file.file for file in counted.files] == ["2019-Nov.csv", "2019-Oct.csv"]
    assert [file.rows_kept for file in counted.files] == [1, 1]
    assert project.events()["session_id"].to_list() == [1, 1]


def test_offsets_and_naive_times_side_by_side(project: Trial) -> None:
    rows = ["2024-07-01 12:00:00", "2024-07-01 12:00:00+00:00", "2024-07-01T10:00:00Z", "2024-07-01 10:00:00 UTC"]
    project.file("t.csv", HEADER + "\n" + "".join(f"{row},view,{i},,,,1,1,s\n" for i, row in enumerate(rows)))
    project.compact({"kind": "clickstream", "files": ["t.csv"], "time_zone": "Europe/Berlin"})
    times = dict(project.events().select("product_id", "event_time").iter_rows())
    assert times == {
        0: datetime(2024, 7, 1, 10),
        1: datetime(2024, 7, 1, 12),
        2: datetime(2024, 7, 1, 10),
        3: datetime(2024, 7, 1, 10),
    }


@pytest.mark.parametrize(
    ("file", "run"),
    [
        ("latest.csv", "latest_run"),
        ("2019.csv", "2019"),
        ("2019-10-01.csv", "2019_10_01"),
        ("Käufe März.csv", "k_ufe_m_rz"),
        ("购买.csv", "run"),
        ("null.csv", "null"),
        (f"{'a' * 90}.csv", "a" * 60),
    ],
)
def test_init_proposes_a_name_that_a_run_may_have(project: Trial, file: str, run: str) -> None:
    assert Params(**yaml.safe_load(propose(project.file(file, RETAILROCKET)))).run == run


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("events.csv", RETAILROCKET, "clickstream"),
        ("log.csv", GERMAN, "transactions"),
        ("till.txt", TILL, "transactions"),
    ],
)
def test_init_proposes_a_file_that_names_what_it_saw(project: Trial, name: str, text: str, kind: str) -> None:
    proposal = propose(project.file(name, text))
    data = yaml.safe_load(proposal)
    assert data["source"]["kind"] == kind
    if "???" not in proposal:
        params = Params(**data)
        assert preview(params)[0].rows
        assert not any("not in source.event_names" in note for note in preview(params)[0].notes)
