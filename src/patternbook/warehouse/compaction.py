"""Raw files to events: typed, counted, deduplicated, sorted by customer and time, as small as Parquet makes them.

Each file is read once into a staging file (see staging.py), files whose times overlap become one group (groups.py), and
the groups are written one after the other (eventlog.py). A group whose files are as they were stays as it is: a new
month costs the new month.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path

import duckdb
import polars as pl
from pydantic import BaseModel

from patternbook import __version__
from patternbook.disk import writing
from patternbook.errors import UserError
from patternbook.findings import write_aside
from patternbook.locks import alone_in_warehouse
from patternbook.params import Clickstream, Params, Quality, Simulated, Transactions
from patternbook.paths import RunPaths
from patternbook.progress import Progress
from patternbook.warehouse import quality
from patternbook.warehouse.bytes import ByteStep, byte_steps
from patternbook.warehouse.duckdb import DuckEngine, parquet
from patternbook.warehouse.eventlog import EventWriter, Tally
from patternbook.warehouse.groups import (
    SESSION_IDS,
    STATES,
    FileSpan,
    Group,
    Identity,
    plan,
    read_groups,
    reusable,
    state_file,
    write_groups,
)
from patternbook.warehouse.quality import Check
from patternbook.warehouse.records import FileCount
from patternbook.warehouse.sources import SourceFile, readable_source, source_files
from patternbook.warehouse.staging import ATTRIBUTES, Staged, stage

LONGEST_STEM = 50  # characters of a source file's name in that of its events, of four bytes each at most


class Compaction(BaseModel):
    """What compaction counted."""

    files: list[FileCount]
    checks: list[Check]
    unknown_events: dict[str, int]
    products_bytes: int
    session_ids_bytes: int | None  # null where they are not kept
    byte_steps: list[ByteStep]
    seconds: float
    key: str

    def files_frame(self) -> pl.DataFrame:
        """One row a source file."""
        return pl.DataFrame([file.model_dump() for file in self.files])

    def checks_frame(self) -> pl.DataFrame:
        """One row a kind of odd row."""
        return pl.DataFrame([check.model_dump() for check in self.checks])

    def steps_frame(self) -> pl.DataFrame:
        """Bytes an event by step of compaction."""
        return pl.DataFrame([step.model_dump() for step in self.byte_steps])

    def total(self, column: str) -> int:
        """Sum of a count over the files."""
        return sum(getattr(file, column) for file in self.files)

    @property
    def raw_bytes(self) -> int:
        """Bytes of the source files."""
        return self.total("bytes")

    @property
    def parquet_bytes(self) -> int:
        """Bytes of events and products."""
        return self.total("parquet_bytes") + self.products_bytes


def read_compaction(paths: RunPaths) -> Compaction:
    """What the run's compaction counted; UserError where it has not run."""
    if not paths.compaction.exists():
        raise UserError(f"run {paths.run!r} has no events yet: `patternbook run` builds them")
    return Compaction.model_validate_json(paths.compaction.read_text("utf-8"))


def compact(params: Params, progress: Progress = lambda step, share: None) -> Compaction:
    """Compact the run's source files; returns at once when the events are current.

    Raises UserError naming file and line or key, or where another process is at it; then nothing of an earlier log
    is touched.
    """
    paths = RunPaths.of(params.run)
    with alone_in_warehouse(paths), writing(paths.home):
        if isinstance(params.source, Simulated):
            from patternbook.simulation import simulate

            simulate(params.source, paths.raw, lambda share: progress("simulate", share))
        source = readable_source(params, paths)
        return _Run(params, paths, source, source_files(source), progress).compact()


def _reading_key(source: Clickstream | Transactions, odd_rows: Quality) -> str:
    """Changes with all that decides how a file becomes events, whichever file it is."""
    described = source.model_dump(mode="json", exclude={"files", "folder"})
    rules = odd_rows.model_dump(mode="json", exclude={"bots"})  # which are left out of marts, not of events
    payload = json.dumps([described, rules, __version__, duckdb.__version__, _code_hash()])
    return hashlib.sha256(payload.encode()).hexdigest()


@cache
def _code_hash() -> str:
    here = Path(__file__).parent
    names = ("compaction", "groups", "eventlog", "staging", "sessions", "sources", "quality", "bytes", "duckdb")
    return hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in names)).hexdigest()


def _whole_key(reading: str, files: Iterable[Identity]) -> str:
    """Changes whenever the events would."""
    return hashlib.sha256(json.dumps([reading, list(files)]).encode()).hexdigest()


def _events_name(number: int, label: str) -> str:
    """Name of the Parquet file with the events of a source file."""
    bare = Path(label).name.split(".", maxsplit=1)[0]
    stem = "".join(char if char.isalnum() or char in "-_" else "_" for char in bare)
    return f"{number:04d}-{stem[:LONGEST_STEM]}.parquet"


class _Run:
    """One compaction."""

    def __init__(
        self,
        params: Params,
        paths: RunPaths,
        source: Clickstream | Transactions,
        files: list[SourceFile],
        progress: Progress,
    ) -> None:
        self.params, self.paths, self.source, self.files = params, paths, source, files
        self.progress = progress
        self.started = time.monotonic()
        self.scratch = paths.scratch / "compaction"
        self.reading = _reading_key(source, params.quality)
        self.identities = [_identity(file) for file in files]
        self.key = _whole_key(self.reading, self.identities)
        self.stored = read_groups(paths, self.reading)
        self.staged: dict[int, Staged] = {}
        self.keeps_ids = params.compaction.keep_session_ids

    def compact(self) -> Compaction:
        if current := self._current():
            return current
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        try:
            with DuckEngine(self.params.engine, self.scratch, self.source.time_zone) as engine:
                self.engine = engine
                spans = self._spans()
                planned = plan(spans)
                reused = reusable(self.stored, [[spans[k] for k in positions] for positions in planned])
                unnamed = [number for number in range(reused) if self._lacks_ids(number)]
                self._stage([k for number in (*unnamed, *range(reused, len(planned))) for k in planned[number]])
                self._stop_at_too_many_rejects(spans)
                groups = self.stored[:reused]
                for positions in planned[reused:]:
                    groups = [*groups, self._write_group(groups, reused, positions, spans)]
                for number in unnamed:
                    self._write_session_ids(number, reused, self._open_staged(planned[number]))
                self._merge_states(len(groups), reused)
            counted = self._counted(groups, planned, reused)
            self._publish(groups, reused)
            write_aside(self.paths.compaction, counted.model_dump_json(indent=1) + "\n")
            return counted
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _current(self) -> Compaction | None:
        """What an earlier run counted, where its events are those that are wanted."""
        stored = {identity for group in self.stored for identity in group.identities}
        if not self.paths.compaction.exists() or stored != set(self.identities):
            return None
        try:
            done = read_compaction(self.paths)
        except ValueError:  # written by another version
            return None
        whole = self.paths.products.exists() and self.paths.sessions_source.exists() == self.keeps_ids
        return done if done.key == self.key and whole else None

    # -- reading ----------------------------------------------------------------------------------------------------

    def _spans(self) -> list[FileSpan]:
        """When each file begins and ends; those that no earlier run has read are staged for it."""
        known = {file.identity: file for group in self.stored for file in group.files}
        self._stage([k for k, identity in enumerate(self.identities) if identity not in known])
        return [known.get(identity) or self._span(k) for k, identity in enumerate(self.identities)]

    def _span(self, position: int) -> FileSpan:
        staged = self.staged[position]
        first, last = self.engine.rows(f"SELECT min(seconds), max(seconds) FROM {parquet(staged.file)}")[0]
        path, label, size, mtime = self.identities[position]
        return FileSpan(
            path=path,
            label=label,
            size=size,
            mtime_ns=mtime,
            rows=staged.rows,
            unreadable=len(staged.rejects),
            first=first,
            last=last,
        )

    def _stage(self, positions: Iterable[int]) -> None:
        waiting = [k for k in positions if k not in self.staged]
        total = sum(self.files[k].path.stat().st_size for k in waiting) or 1
        done = 0
        for k in waiting:
            size = self.files[k].path.stat().st_size
            target = self.scratch / f"{k:04d}.parquet"
            with self.engine.watched(partial(self._report_reading, done, size, total)):
                self.staged[k] = stage(
                    self.engine, self.source, self.params.quality, self.files[k], k, target, self.keeps_ids
                )
            done += size
        self.progress("read", 1.0)

    def _report_reading(self, done: int, size: int, total: int, share: float) -> None:
        self.progress("read", (done + share * size) / total)

    def _stop_at_too_many_rejects(self, spans: Sequence[FileSpan]) -> None:
        staged = list(self.staged.values())
        unreadable = sum(file.unreadable for file in spans)
        read = unreadable + sum(file.rows for file in spans)
        limit = self.params.quality.max_rejected_share
        if not staged or unreadable <= limit * read:
            return
        rejects = pl.concat([one.rejects for one in staged])
        leading = rejects.group_by("reason").agg(pl.len(), pl.col("file").first(), pl.col("line").min())
        shown = "; ".join(
            f"{reason} ({count} of them, first {file} line {line})"
            for reason, count, file, line in leading.sort("len", "reason", descending=[True, False]).head(3).iter_rows()
        )
        raise UserError(
            f"{staged[0].source.path if len(self.files) == 1 else 'the source files'}: {unreadable:,} of {read:,} rows "
            f"cannot be read, more than quality.max_rejected_share ({limit:g}): {shown}. "
            "Mend the files or the mapping, or raise the limit"
        )

    # -- one group --------------------------------------------------------------------------------------------------

    def _write_group(
        self, before: Sequence[Group], reused: int, positions: Sequence[int], spans: Sequence[FileSpan]
    ) -> Group:
        number = len(before)
        staged = [self.staged[k] for k in positions]
        columns = self._open_staged(positions)
        rules = quality.rules(self.params.quality, columns)
        rejects = quality.rejects(self.engine, rules, staged)
        rejects.write_parquet(self._new_state(number, "rejects"), compression="zstd")
        self._write_product_variants(self._new_state(number, "products"), columns)
        self._write_customers(self._new_state(number, "customers"), columns)
        first = sum(len(group.events) for group in before)
        names = [_events_name(first + k, one.source.label) for k, one in enumerate(staged)]
        writer = EventWriter(
            self.engine,
            self.source,
            rules,
            columns,
            number=number,
            earlier=[self._state(k, "sessions", reused) for k in range(number)],
            next_session=before[-1].sessions if before else 1,
        )
        files = [self.scratch / name for name in names]
        total = sum(one.rows for one in self.staged.values()) or 1
        done = sum(file.rows for group in before[reused:] for file in group.files)

        def report(rows: int) -> None:
            nonlocal done
            done += rows
            self.progress("sort and write", done / total)

        tallies = writer.write(files, self._new_state(number, "sessions"), report)
        if self.keeps_ids:
            self._write_session_ids(number, reused, columns)
        return Group(
            files=[spans[k] for k in positions],
            counts=self._counts(staged, rejects, tallies, files),
            checks=quality.count_checks(self.engine, rules, columns),
            unknown_events=quality.unknown_events(self.engine, columns),
            events=names,
            sessions=writer.next_session,
        )

    def _open_staged(self, positions: Sequence[int]) -> set[str]:
        """Open the view `staged`, with `file` as the position within the group; returns its columns."""
        table = parquet(*(self.staged[k].file for k in positions), union_by_name=True)
        places = " ".join(f"WHEN {k} THEN {place}" for place, k in enumerate(positions) if place != k)
        file = f"(CASE file {places} ELSE file END)::USMALLINT" if places else "file"
        self.engine.view("staged", f"SELECT * REPLACE ({file} AS file) FROM {table}")
        return {str(row[0]) for row in self.engine.rows("DESCRIBE staged")}

    def _write_product_variants(self, target: Path, columns: set[str]) -> None:
        """One row a description that the source gives of a product, with how often and when last."""
        if "product_id" not in columns:
            known, where = "NULL::BIGINT AS product_id, NULL::VARCHAR AS source_id", "WHERE false"
        else:
            source_id = "product_source" if "product_source" in columns else "product_id::VARCHAR"
            known, where = f"product_id, {source_id} AS source_id", "WHERE product_id IS NOT NULL"
        described = ", ".join(name if name in columns else f"NULL::VARCHAR AS {name}" for name in ATTRIBUTES)
        self.engine.copy(
            f"SELECT {known}, {described}, count(*) AS events, max(seconds) AS last_seen "
            f"FROM staged {where} GROUP BY ALL",
            target,
        )

    def _write_customers(self, target: Path, columns: set[str]) -> None:
        """One row a customer, with the source's own id."""
        if "customer_id" not in columns:
            query = "SELECT NULL::BIGINT AS customer_id, NULL::VARCHAR AS source_id WHERE false"
        else:
            source_id = "min(customer_source)" if "customer_source" in columns else "customer_id::VARCHAR"
            query = (
                f"SELECT customer_id, {source_id} AS source_id FROM staged "
                "WHERE customer_id IS NOT NULL GROUP BY customer_id ORDER BY customer_id"
            )
        self.engine.copy(query, target)

    def _lacks_ids(self, number: int) -> bool:
        """Whether a stored group has been compacted without the session ids that are wanted now."""
        return self.keeps_ids and not state_file(self.paths.groups, number, SESSION_IDS).exists()

    def _write_session_ids(self, number: int, reused: int, columns: set[str]) -> None:
        """The source's own id of each session that begins in the group whose rows are open as `staged`."""
        named = (
            "SELECT session_key, min(session_source) AS source_id FROM staged "
            "WHERE session_key IS NOT NULL GROUP BY session_key"
            if "session_key" in columns
            else "SELECT NULL::UBIGINT AS session_key, NULL::VARCHAR AS source_id WHERE false"
        )
        self.engine.copy(
            f"SELECT session_id, source_id FROM {parquet(self._state(number, 'sessions', reused))} AS state "
            f"JOIN ({named}) AS named USING (session_key) ORDER BY session_id",
            self._new_state(number, SESSION_IDS),
        )

    def _counts(
        self, staged: Sequence[Staged], rejects: pl.DataFrame, tallies: Sequence[Tally], files: Sequence[Path]
    ) -> list[FileCount]:
        rejected = dict(rejects.group_by("file").len().iter_rows())
        counts = []
        for one, tally, file in zip(staged, tallies, files, strict=True):
            first, last = tally.span
            count = FileCount(
                file=one.source.label,
                bytes=one.source.path.stat().st_size,
                rows_read=one.rows_read,
                rows_kept=tally.kept,
                rows_rejected=rejected.get(one.source.label, 0),
                duplicates_dropped=tally.duplicates,
                duplicates_revenue=tally.duplicates_revenue,
                first_event=first,
                last_event=last,
                parquet_bytes=file.stat().st_size,
            )
            if count.rows_read != count.rows_kept + count.rows_rejected + count.duplicates_dropped:
                raise AssertionError(f"rows do not add up: {count}")
            counts.append(count)
        return counts

    # -- all groups -------------------------------------------------------------------------------------------------

    def _new_state(self, number: int, state: str) -> Path:
        return state_file(self.scratch, number, f"group-{state}")

    def _state(self, number: int, state: str, reused: int) -> Path:
        """A group's state, where it was stored or where it has just been written."""
        new = self._new_state(number, state)
        return new if number >= reused or new.exists() else state_file(self.paths.groups, number, state)

    def _merge_states(self, groups: int, reused: int) -> None:
        """The run's products, customers and rejects."""

        def all_of(state: str) -> str:
            return parquet(*(self._state(number, state, reused) for number in range(groups)))

        attributes = ", ".join(ATTRIBUTES)
        # A product is described as the source does most often, as it did last where two are level.
        self.engine.copy(
            f"""
            WITH variants AS (
              SELECT product_id, source_id, {attributes}, sum(events) AS events, max(last_seen) AS last_seen
              FROM {all_of("products")} GROUP BY ALL
            ), ranked AS (
              SELECT *, row_number() OVER (
                PARTITION BY product_id ORDER BY events DESC, last_seen DESC, source_id, {attributes}) AS rank
              FROM variants
            )
            SELECT product_id, source_id, {attributes} FROM ranked WHERE rank = 1 ORDER BY product_id
            """,
            self.scratch / "products.parquet",
        )
        self.engine.copy(
            f"SELECT customer_id, min(source_id) AS source_id FROM {all_of('customers')} "
            "GROUP BY customer_id ORDER BY customer_id",
            self.scratch / "customers.parquet",
        )
        if self.keeps_ids:  # sessions are numbered from group to group, so that these are in order
            session_ids = [self._state(number, SESSION_IDS, reused) for number in range(groups)]
            self.engine.concatenate(session_ids, self.scratch / self.paths.sessions_source.name)
        rejects = [pl.read_parquet(self._state(number, "rejects", reused)) for number in range(groups)]
        pl.concat(rejects).sort("file", "line", maintain_order=True).write_parquet(
            self.scratch / "rejects.parquet", compression="zstd"
        )

    def _counted(self, groups: Sequence[Group], planned: Sequence[Sequence[int]], reused: int) -> Compaction:
        by_position = {
            position: count
            for group, positions in zip(groups, planned, strict=True)
            for position, count in zip(positions, group.counts, strict=True)
        }
        files = [by_position[position] for position in range(len(self.files))]
        total_bytes, kept = sum(file.bytes for file in files), sum(file.rows_kept for file in files)
        plain_text = all(file.is_plain_text for file in self.files)
        events = [
            (self.paths.events if number < reused else self.scratch) / name
            for number, group in enumerate(groups)
            for name in group.events
        ]
        return Compaction(
            files=files,
            checks=_added(groups),
            unknown_events=_most_frequent(groups),
            products_bytes=(self.scratch / "products.parquet").stat().st_size,
            session_ids_bytes=(self.scratch / "sessions_source.parquet").stat().st_size if self.keeps_ids else None,
            byte_steps=byte_steps(events, total_bytes / kept if plain_text and kept else None, self.scratch),
            seconds=time.monotonic() - self.started,
            key=self.key,
        )

    def _publish(self, groups: list[Group], reused: int) -> None:
        """Swap the finished files in; compaction.json, which says that they are whole, goes first and comes last."""
        self.paths.compaction.unlink(missing_ok=True)
        write_groups(self.paths, self.reading, groups[:reused])  # what is replaced from here on is whole no more
        self.paths.events.mkdir(exist_ok=True)
        kept = {name for group in groups[:reused] for name in group.events}
        for file in self.paths.events.iterdir():
            if file.name not in kept:
                file.unlink()
        for number in range(reused, len(groups)):
            for name in groups[number].events:
                (self.scratch / name).rename(self.paths.events / name)
            for state in STATES:
                self._new_state(number, state).rename(state_file(self.paths.groups, number, state))
        self._publish_session_ids(len(groups), reused)
        for target in (self.paths.products, self.paths.customers, self.paths.rejects):
            (self.scratch / target.name).rename(target)
        write_groups(self.paths, self.reading, groups)

    def _publish_session_ids(self, groups: int, reused: int) -> None:
        """Swap the session ids in, or take away those that are not wanted or not of these groups any more."""
        if self.keeps_ids:
            (self.scratch / self.paths.sessions_source.name).rename(self.paths.sessions_source)
        else:
            self.paths.sessions_source.unlink(missing_ok=True)
        kept = {state_file(self.paths.groups, number, SESSION_IDS) for number in range(reused if self.keeps_ids else 0)}
        for file in set(self.paths.groups.glob(f"*-{SESSION_IDS}.parquet")) - kept:
            file.unlink()
        for number in range(groups):
            if (new := self._new_state(number, SESSION_IDS)).exists():
                new.rename(state_file(self.paths.groups, number, SESSION_IDS))


def _identity(file: SourceFile) -> Identity:
    state = file.path.stat()
    return str(file.path), file.label, state.st_size, state.st_mtime_ns


def _added(groups: Sequence[Group]) -> list[Check]:
    """The groups' checks, added up."""
    added: dict[str, Check] = {}
    for check in (check for group in groups for check in group.checks):
        before = added.get(check.check)
        rows, revenue = (before.rows, before.revenue) if before else (0, 0.0)
        added[check.check] = check.model_copy(update={"rows": rows + check.rows, "revenue": revenue + check.revenue})
    return list(added.values())


def _most_frequent(groups: Sequence[Group]) -> dict[str, int]:
    """The groups' unknown event names with their counts, the most frequent first."""
    added: Counter[str] = Counter()
    for group in groups:
        added.update(group.unknown_events)
    ordered = sorted(added.items(), key=lambda item: (-item[1], item[0]))
    return dict(ordered[: quality.MOST_UNKNOWN_EVENTS])
