"""Deleting what a run has computed, and nothing else."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from patternbook.errors import UserError
from patternbook.locks import alone
from patternbook.paths import RunPaths, from_root
from patternbook.runs import check_name, list_runs


class Doomed(NamedTuple):
    """A folder that is to be deleted, and the size of the files in it."""

    folder: Path
    files: int
    bytes: int


class Cleaning(NamedTuple):
    """What would be deleted of a run, and notes on what stays."""

    run: str
    folders: list[Doomed]
    notes: list[str]


def plan(run: str) -> Cleaning:
    """What a run has computed: its folder, its report (also as the latest), the raw files of a simulated market.

    Raises UserError where there is nothing of such a run, or where a folder of it leads out of the project.
    """
    check_name(run)
    paths = RunPaths.of(run)
    raw = [paths.raw] if _is_simulated(paths.raw) else []
    latest = [paths.latest] if _is_latest(paths) else []
    doomed = [_doomed(folder, paths.root) for folder in (*raw, *latest, paths.report, paths.home) if _is_there(folder)]
    if not doomed:
        known = ", ".join(sorted(one.run for one in list_runs())) or "none yet"
        raise UserError(f"no run {run!r}; runs: {known}")
    foreign = paths.raw.exists() and not raw
    return Cleaning(run, doomed, [f"{from_root(paths.raw)} stays: not all of it is simulated"] if foreign else [])


def clean(cleaning: Cleaning) -> None:
    """Delete what `plan` found. Raises UserError while the run is being computed.

    The manifest goes first, so that a run that is deleted by half is an unfinished one.
    """
    paths = RunPaths.of(cleaning.run)
    with alone(paths.run_lock, f"run {cleaning.run!r} is being computed by another process; wait for it"):
        paths.manifest.unlink(missing_ok=True)
        for doomed in cleaning.folders:
            shutil.rmtree(doomed.folder)
        shutil.rmtree(paths.home, ignore_errors=True)  # the lock may have made it


def _doomed(folder: Path, root: Path) -> Doomed:
    """Raises UserError for a link, or a folder that a link above it leads out of the project."""
    if folder.is_symlink() or not folder.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{from_root(folder)} leads to {folder.resolve()}; only what lies in the project is deleted")
    sizes = [file.lstat().st_size for file in _files(folder)]
    return Doomed(folder, len(sizes), sum(sizes))


def _is_there(folder: Path) -> bool:
    return folder.is_symlink() or folder.exists()


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):  # which does not follow links
        if file.is_symlink() or file.is_file():
            yield file


def _is_latest(paths: RunPaths) -> bool:
    """Whether the report rendered last is that of the run."""
    page, latest = paths.report / "executive.html", paths.latest / "executive.html"
    return page.is_file() and latest.is_file() and filecmp.cmp(page, latest, shallow=False)


def _is_simulated(raw: Path) -> bool:
    """Whether a simulation wrote all that lies in the folder; raw files of the user's own are never deleted."""
    from patternbook.simulation.market import MARKER, OWN_FILES

    return (raw / MARKER).is_file() and all(OWN_FILES.fullmatch(file.name) for file in raw.iterdir())
