"""Events to CSV: merged by time, in REES46's columns, one file a month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from patternbook.simulation.behaviour import CHANNELS, DEVICES, PLATFORMS, REGIONS
from patternbook.simulation.draw import in_order
from patternbook.simulation.events import BLOCK, EVENTS, World, block_events

COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
    "platform",
    "device",
    "channel",
    "region",
    "discount",
)
"""Columns of the files: those of the REES46 logs, then five more."""

Numbers = npt.NDArray[np.uint64]

DISCOUNTS = pl.Series([f"{percent / 100:g}" for percent in range(101)])
"""Text of a discount as a share, by percent."""
HEX = np.array([f"{byte:02x}" for byte in range(256)], dtype="S2").view(np.uint16)
UUID_PARTS = ((0, 4, 0), (4, 6, 9), (6, 8, 14), (8, 10, 19), (10, 16, 24))
"""Bytes from, to, and the place of their text in a UUID."""


def events_by_time(world: World, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    """All events in the order of time (ties by session), in frames of about a block of sessions."""
    starts = range(0, len(world.sessions), BLOCK)
    tasks = zip(starts, rng.spawn(len(starts)), strict=True)
    frames = in_order(lambda task: block_events(world, *task), tasks)
    waiting: pl.DataFrame | None = None
    for first, frame in zip(starts, frames, strict=True):
        known = frame if waiting is None else pl.concat([waiting, frame])
        known = known.sort("time", maintain_order=True)
        following = first + BLOCK
        # nothing that is still to come can be before the start of the next block's first session
        complete = (
            known["time"].search_sorted(int(world.sessions.start[following]))
            if following < len(world.sessions)
            else len(known)
        )
        yield known[:complete]
        waiting = known[complete:]


class MonthlyFiles:
    """The CSV files of a market, written month after month into `folder`."""

    def __init__(self, world: World, folder: Path, seed: int) -> None:
        self._rows = RowText(world, seed)
        self._ends = [end for _, end in world.period.months()]
        self.paths = [folder / f"{name}.csv" for name, _ in world.period.months()]
        for path in self.paths:
            path.write_text(",".join(COLUMNS) + "\n", "ascii")

    def append(self, events: pl.DataFrame) -> None:
        """Write events that follow those written before."""
        edges = [0, *(int(events["time"].search_sorted(end)) for end in self._ends)]
        for path, begins, ends in zip(self.paths, edges[:-1], edges[1:], strict=True):
            if ends > begins:
                with path.open("ab") as file:
                    self._rows.of(events[begins:ends]).write_csv(
                        file,
                        include_header=False,
                        datetime_format="%Y-%m-%d %H:%M:%S UTC",
                        float_precision=2,
                        quote_style="never",
                    )


class RowText:
    """Turns events, which are codes, into the columns of the file."""

    def __init__(self, world: World, seed: int) -> None:
        catalogue, customers = world.catalogue, world.customers
        codes = pl.Series(catalogue.category_codes).gather(catalogue.category)
        brands = pl.Series(catalogue.brands).gather(catalogue.brand)
        self._epoch = world.period.epoch
        self._seed = seed
        self._products = _ending_in_null(
            pl.DataFrame(
                {
                    "product_id": catalogue.product_id,
                    "category_id": catalogue.category_ids[catalogue.category],
                    "category_code": codes.set(pl.Series(world.without_code), None),
                    "brand": brands.set(pl.Series(world.without_brand), None),
                }
            )
        )
        self._customers = _ending_in_null(
            pl.DataFrame(
                {"user_id": customers.customer_id, "region": names_at(REGIONS, customers.region)},
            )
        )

    def of(self, events: pl.DataFrame) -> pl.DataFrame:
        """Rows of the file: `COLUMNS`, in the order of `events`."""
        seconds = events["time"].cast(pl.Int64) + self._epoch
        rows = pl.DataFrame(
            {
                "event_time": (seconds * 1000).cast(pl.Datetime("ms")),
                "event_type": pl.Series(EVENTS).gather(events["event"]),
                "price": (events["cents"] / 100).set(events["product"] < 0, None),
                "user_session": self._session_ids(events["uuid"].to_numpy()),
                "platform": names_at(PLATFORMS, events["platform"].to_numpy()),
                "device": names_at(DEVICES, events["device"].to_numpy()),
                "channel": names_at(CHANNELS, events["channel"].to_numpy()),
                "discount": DISCOUNTS.gather(events["percent"]).set(events["product"] < 0, None),
            }
        )
        products = _rows_at(self._products, events["product"])
        customers = _rows_at(self._customers, events["customer"])
        return rows.hstack(products).hstack(customers).select(COLUMNS)

    def _session_ids(self, session: npt.NDArray[np.int32]) -> pl.Series:
        first = int(session.min())
        text = uuid_text(self._seed, np.arange(first, int(session.max()) + 1, dtype=np.uint64))
        return text.gather(session - first)


def names_at(names: Sequence[str], index: npt.NDArray[np.int8]) -> pl.Series:
    """Names by index, null where it is -1."""
    return pl.Series([*names, None], dtype=pl.String).gather(np.where(index < 0, len(names), index))


def uuid_text(seed: int, numbers: Numbers) -> pl.Series:
    """Version-4 UUIDs as text, one for each number; look random, depend on the seed and the number alone."""
    high = _scrambled(numbers * np.uint64(2) + np.uint64(1), seed)
    low = _scrambled(numbers * np.uint64(2) + np.uint64(2), seed)
    high = (high & ~np.uint64(0xF000)) | np.uint64(0x4000)  # version 4
    low = (low & ~np.uint64(0xC000_0000_0000_0000)) | np.uint64(0x8000_0000_0000_0000)  # RFC 9562 variant
    octets = np.stack([high, low], axis=1).astype(">u8").view(np.uint8).reshape(-1, 16)
    text = np.full((len(numbers), 36), ord("-"), dtype=np.uint8)
    for begins, ends, place in UUID_PARTS:
        length = 2 * (ends - begins)
        text[:, place : place + length] = HEX[octets[:, begins:ends]].view(np.uint8)
    offsets = np.arange(len(numbers) + 1, dtype=np.int64) * 36
    arrow = pa.LargeStringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(text))
    return pl.Series(arrow)


def _scrambled(numbers: Numbers, seed: int) -> Numbers:
    """SplitMix64 (Steele, Lea & Flood 2014) of each number in the sequence that the seed begins."""
    start = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    z: Numbers = start + numbers * np.uint64(0x9E37_79B9_7F4A_7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    z ^= z >> np.uint64(31)
    return z


def _ending_in_null(table: pl.DataFrame) -> pl.DataFrame:
    """The table with one more row of nulls: what an index of -1 stands for."""
    return pl.concat([table, table.clear(1)])


def _rows_at(table: pl.DataFrame, index: pl.Series) -> pl.DataFrame:
    """Rows of a table that ends in nulls; -1 is the last."""
    places = index.to_numpy()
    return table[np.where(places < 0, len(table) - 1, places)]
