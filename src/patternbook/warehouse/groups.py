"""Which source files are compacted together, and what is kept of each group so that later files can be added to it.

Two rows of different files can be duplicates, and a session can go on from one file to the next. So files whose times
overlap are compacted together, and a later group is given the sessions of those before it. Groups follow one another in
time: a file that starts after all others leaves their events as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from patternbook.findings import write_aside
from patternbook.paths import RunPaths
from patternbook.warehouse.quality import Check
from patternbook.warehouse.records import FileCount

Identity = tuple[str, str, int, int]  # of a source file: path, label, bytes, time of its last change

SMALL_GROUP = 524_288  # rows; a group of fewer takes the next file in as well, so that many small files are few groups


class FileSpan(BaseModel):
    """A source file as it was read: which one it is, how many rows could be read and how many not.

    `first` and `last` are the seconds of its first and last row, null for no rows.
    """

    path: str
    label: str
    size: int
    mtime_ns: int
    rows: int
    unreadable: int
    first: int | None
    last: int | None

    @property
    def identity(self) -> Identity:
        """What changes when the file, or its name in the run, does."""
        return self.path, self.label, self.size, self.mtime_ns


class Group(BaseModel):
    """Source files that were compacted together. `sessions` is the number of the next session after it."""

    files: list[FileSpan]
    counts: list[FileCount]
    checks: list[Check]
    unknown_events: dict[str, int]
    events: list[str]
    sessions: int

    @property
    def identities(self) -> list[Identity]:
        """Its files."""
        return [file.identity for file in self.files]


class Groups(BaseModel):
    """The groups of a run in the order of time. `key` changes with all that decides how a file is read."""

    key: str
    groups: list[Group]


def plan(spans: Sequence[FileSpan]) -> list[list[int]]:
    """Positions of the files of each group.

    A file starts a new group where it starts after all files before it have ended and they are no small group. So
    what comes later never changes the groups before it, but for the last one while that is small.
    """
    groups: list[list[int]] = []
    rows, end = 0, None
    for position in sorted(range(len(spans)), key=lambda k: (_start(spans[k]), k)):
        span = spans[position]
        after = end is None or span.first is None or span.first > end
        if not groups or (after and rows >= SMALL_GROUP):
            groups.append([])
            rows = 0
        groups[-1].append(position)
        rows += span.rows
        end = max((time for time in (end, span.last) if time is not None), default=None)
    return [sorted(group) for group in groups]


def _start(span: FileSpan) -> float:
    return -math.inf if span.first is None else span.first


def reusable(stored: Sequence[Group], wanted: Sequence[Sequence[FileSpan]]) -> int:
    """How many groups, from the first on, are stored as they are wanted."""
    count = 0
    for group, files in zip(stored, wanted, strict=False):
        if group.identities != [file.identity for file in files]:
            break
        count += 1
    return count


def read_groups(paths: RunPaths, key: str) -> list[Group]:
    """Stored groups that were read in the way that `key` stands for, as far as all their files are there."""
    file = paths.groups / "groups.json"
    try:
        stored = Groups.model_validate_json(file.read_text("utf-8"))
    except (FileNotFoundError, ValidationError):  # none yet, or written by another version
        return []
    whole: list[Group] = []
    for number, group in enumerate(stored.groups if stored.key == key else []):
        needed = [paths.events / name for name in group.events] + [state_file(paths.groups, number, n) for n in STATES]
        if not all(one.exists() for one in needed):
            break
        whole.append(group)
    return whole


def write_groups(paths: RunPaths, key: str, groups: list[Group]) -> None:
    """Say which groups are whole."""
    write_aside(paths.groups / "groups.json", Groups(key=key, groups=groups).model_dump_json(indent=1) + "\n")


STATES = ("sessions", "products", "customers", "rejects")
SESSION_IDS = "session_ids"  # beside STATES where compaction.keep_session_ids asks for it


def state_file(folder: Path, number: int, state: str) -> Path:
    """Where one of STATES, or SESSION_IDS, of a group lies."""
    return folder / f"{number:04d}-{state}.parquet"
