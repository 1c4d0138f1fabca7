"""The simulated market as a whole: draws it, writes its files, and leaves them alone when they are current."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from patternbook.disk import check_room, writing
from patternbook.errors import UserError
from patternbook.params import Simulated
from patternbook.simulation import truth
from patternbook.simulation.behaviour import behaviour_of, scale_of
from patternbook.simulation.catalogue import blanks, draw_catalogue
from patternbook.simulation.clock import Clock, Period, visit_intensity
from patternbook.simulation.contacts import contacts_table
from patternbook.simulation.customers import draw_customers
from patternbook.simulation.events import World, free_views
from patternbook.simulation.sessions import draw_sessions
from patternbook.simulation.writer import MonthlyFiles, events_by_time

MARKER = "simulation.json"
BYTES_AN_EVENT = 155  # of CSV and truth
OWN_FILES = re.compile(r"\d{4}-\d{2}\.csv|truth\.json|truth_[a-z]+\.parquet|simulation\.json")

Progress = Callable[[float], None]


def simulate(source: Simulated, target: Path, progress: Progress | None = None) -> list[Path]:
    """Write the market that `source` describes into the folder `target`; the CSV files, one a month, in order.

    Beside them lie `truth.json`, `truth_*.parquet` and, written last, `simulation.json`. Returns at once when the
    folder already holds this simulation. `progress` is told the share that is done. Everything is written into
    `<target>.partial` and renamed, so that a run that is killed leaves nothing that looks finished.

    Raises UserError when `target` holds files that no simulation wrote, or the disk is full.
    """
    description = _description(source)
    if _is_current(target, description):
        return sorted(target.glob("*.csv"))
    _check_replaceable(target)
    aside = target.with_name(target.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    check_room(target.parent, source.events * BYTES_AN_EVENT)
    try:
        with writing(target.parent):
            aside.mkdir(parents=True)
            _write_market(source, aside, progress or (lambda share: None))
            sizes = {file.name: file.stat().st_size for file in sorted(aside.iterdir())}
            _write_json(aside / MARKER, {**description, "files": sizes})
            if target.exists():
                shutil.rmtree(target)
            aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return sorted(target.glob("*.csv"))


def draw_world(source: Simulated) -> tuple[World, np.random.Generator, np.random.Generator]:
    """The market before its events are written, and the random streams of its events and its contacts."""
    scale = scale_of(source.events)
    behaviour = behaviour_of(scale, source.mechanisms)
    period = Period.of(source.start, source.months)
    for_catalogue, for_customers, for_sessions, for_blanks, for_events, for_contacts = np.random.default_rng(
        np.random.SeedSequence(source.seed)
    ).spawn(6)
    catalogue = draw_catalogue(
        for_catalogue, source.products or round(scale.products), period.weeks, behaviour.lines, behaviour.promotions
    )
    visits = Clock(visit_intensity(period, behaviour.rhythm))
    customers, orders = draw_customers(
        for_customers, source.customers or round(scale.customers), period, behaviour, visits
    )
    sessions = draw_sessions(for_sessions, customers, orders, catalogue, behaviour, visits, round(scale.sessions))
    interest = np.bincount(sessions.focus, minlength=len(catalogue)).astype(np.float64)
    without_code, without_brand = blanks(for_blanks, catalogue, interest, behaviour.dirt)
    world = World(
        period=period,
        behaviour=behaviour,
        catalogue=catalogue,
        customers=customers,
        sessions=sessions,
        views=free_views(sessions, customers.buyer[sessions.customer], catalogue, behaviour, period, source.events),
        without_code=without_code,
        without_brand=without_brand,
    )
    return world, for_events, for_contacts


def _write_market(source: Simulated, folder: Path, progress: Progress) -> None:
    world, for_events, for_contacts = draw_world(source)
    files, tally = MonthlyFiles(world, folder, source.seed), truth.Tally(world)
    written = 0
    for events in events_by_time(world, for_events):
        files.append(events)
        tally.add(events)
        written += len(events)
        progress(min(written / source.events, 1.0))
    tables = {
        "customers": truth.customers_table(world),
        "products": truth.products_table(world),
        "complements": truth.complements_table(world.catalogue),
    }
    if source.mechanisms.platforms:
        tables["contacts"] = contacts_table(for_contacts, world.customers)
    for name, table in tables.items():
        table.write_parquet(folder / f"truth_{name}.parquet", compression="zstd")
    _write_json(
        folder / "truth.json",
        {
            **_description(source),
            "planted": truth.planted(world),
            "counts": tally.counts(),
            "tables": {name: len(table) for name, table in tables.items()},
        },
    )


def _description(source: Simulated) -> dict[str, Any]:
    """What decides every byte of a market: the parameters, and a digest of the simulator's own code."""
    code = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    return {"simulator": hashlib.sha256(code).hexdigest()[:16], "source": source.model_dump(mode="json")}


def _is_current(target: Path, description: dict[str, Any]) -> bool:
    try:
        marker = json.loads((target / MARKER).read_text("utf-8"))
        files = marker.pop("files")
        return bool(
            marker == description and all((target / name).stat().st_size == size for name, size in files.items())
        )
    except (OSError, ValueError, KeyError):
        return False


def _check_replaceable(target: Path) -> None:
    """A folder is replaced only if all that lies in it comes from a simulation."""
    if target.is_file():
        raise UserError(f"{target}: a file is where the folder of the simulated market should be; move it away")
    foreign = sorted(file.name for file in target.glob("*") if not OWN_FILES.fullmatch(file.name))
    if foreign:
        raise UserError(f"{target}: holds {foreign[0]}, which no simulation wrote; move it away or rename the run")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
