"""What is kept of a run: its manifest, its previous state, and the list of runs."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from pydantic import ValidationError

from patternbook import __version__
from patternbook.digests import Digests, content_digest
from patternbook.errors import UserError
from patternbook.findings import Finding, write_aside
from patternbook.imports import PACKAGE_ROOT
from patternbook.params import RESERVED_RUNS, RUN_NAME, Params, params_from
from patternbook.paths import RunPaths, from_root, output_root, project_root
from patternbook.usage import Usage

Manifest = dict[str, Any]
MANIFEST_KEYS = {"run", "finished_at", "parameters", "inputs", "outputs", "steps", "git", "packages"}
INCOMPLETE, UNREADABLE = "incomplete", "manifest unreadable"


class State(NamedTuple):
    """A run as it was when it had finished."""

    manifest: Manifest
    findings: dict[str, Finding]


@dataclass(frozen=True)
class RunSummary:
    """A run in the list of runs. `state` is finished, incomplete or manifest unreadable; what is not known is null."""

    run: str
    state: str
    finished_at: datetime | None = None
    first_event: str | None = None
    last_event: str | None = None
    events: int | None = None
    revenue: float | None = None
    currency: str | None = None
    seconds: float | None = None
    commit: str | None = None


def write_manifest(params: Params, inputs: Iterable[Path], steps: Mapping[str, Usage], digests: Digests) -> Manifest:
    """Write the run's `manifest.json` and return what it says.

    Seconds are wall clock; the peak is of the resident memory of the process that ran the step.
    """
    paths = RunPaths.of(params.run)
    manifest = {
        "run": params.run,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "parameter_file": params.file,
        "parameters_given": params.to_notebook(),
        **description(params, {file: digests.of(file) or "" for file in inputs}),
        "tables": table_digests(paths),
        "outputs": {from_root(file): _fingerprint(file, digests.of(file)) for file in _outputs(paths)},
        "steps": {name: asdict(usage) for name, usage in steps.items()},
    }
    write_aside(paths.manifest, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def description(params: Params, inputs: Mapping[Path, str]) -> Manifest:
    """What decides a run's findings: parameters, input (SHA-256 by file), code and versions, as in its manifest."""
    return {
        "patternbook": __version__,
        "git": git_state(),
        "parameters": params.model_dump(mode="json", by_alias=True),
        "inputs": {_place(file): _fingerprint(file, digest) for file, digest in inputs.items()},
        "code": _code(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "packages": {package.name: package.version for package in sorted(metadata.distributions(), key=_name)},
    }


def table_digests(paths: RunPaths) -> dict[str, str]:
    """Digest of the content of each result table, by name; see `content_digest`."""
    return {file.stem: content_digest(pl.read_parquet(file)) for file in sorted(paths.tables.glob("*.parquet"))}


def read_manifest(run: str) -> Manifest:
    """The manifest of a finished run. Raises UserError where there is none, or where RUN is no run's name."""
    check_name(run)
    paths = RunPaths.of(run)
    if not paths.manifest.exists():
        known = ", ".join(summary.run for summary in list_runs() if summary.finished_at) or "none yet"
        raise UserError(f"no finished run {run!r}; finished runs: {known}")
    manifest = _manifest(paths)
    if manifest is None:
        raise UserError(
            f"{from_root(paths.manifest)}: not a manifest; delete it, then `patternbook run` writes it again"
        )
    return manifest


def read_state(run: str) -> State:
    """A finished run. Raises UserError where there is none, or where another version of patternbook made it."""
    manifest = read_manifest(run)
    file = RunPaths.of(run).findings
    try:
        return State(manifest, _findings(json.loads(file.read_text("utf-8"))))
    except (OSError, ValueError):
        raise UserError(
            f"{from_root(file)}: missing, or not findings of this version; `patternbook run` makes them again"
        ) from None


def read_previous(run: str) -> State | None:
    """The run as it was before its findings changed last; None where that is not known."""
    kept = _read_json(RunPaths.of(run).previous)
    try:
        return State(kept["manifest"], _findings(kept["findings"])) if kept else None
    except ValidationError:  # findings of another version
        return None


def baseline_of(params: Params) -> State | None:
    """What a run's report is compared with: the run that `report.compare_with` names, else its own previous state."""
    other = params.report.compare_with
    return read_state(other) if other else read_previous(params.run)


def keep_previous(paths: RunPaths, found: Mapping[str, Any]) -> None:
    """Called before `found` overwrites `findings.json`: keep what lies there where it says something else.

    Only findings of a finished run are kept. `concluded` is there while they are in place and their manifest is
    not, so a run that is killed between any two lines keeps either the state before or the one before that.
    """
    manifest, before = _read_json(paths.concluded), _read_json(paths.findings)
    if manifest and before and _told(before) != _told(found):
        write_aside(paths.previous, json.dumps({"manifest": manifest, "findings": before}, ensure_ascii=False) + "\n")
        paths.concluded.unlink()


def check_name(run: str) -> None:
    """Raise UserError where `run` cannot be the name of a run, such as a parameter file."""
    if RUN_NAME.fullmatch(run) and run not in RESERVED_RUNS:
        return
    hint = f"; {run} names its run under the key `run`" if run.endswith((".yaml", ".yml")) else ""
    raise UserError(f"{run!r} is not the name of a run{hint}; `patternbook runs` lists them")


def params_of(run: str) -> Params:
    """The parameters that a finished run was made with."""
    manifest = read_manifest(run)
    return params_from(manifest["parameters_given"], manifest["parameter_file"])


def list_runs() -> list[RunSummary]:
    """All runs of this project, the one finished last first, incomplete ones at the end."""
    homes = (project_root() / "data" / "runs").glob("*/")
    summaries = [_summary(home.name) for home in homes]
    return sorted(
        summaries, key=lambda one: (one.finished_at or datetime.min.replace(tzinfo=UTC), one.run), reverse=True
    )


def git_state() -> dict[str, Any]:
    """Commit of the project's checkout and whether tracked files differ from it; nulls outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    dirty = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {"commit": commit, "dirty": None if dirty is None else bool(dirty)}


def _summary(run: str) -> RunSummary:
    paths = RunPaths.of(run)
    if not paths.manifest.exists():
        return RunSummary(run, INCOMPLETE)
    manifest = _manifest(paths)
    if manifest is None:
        return RunSummary(run, UNREADABLE)
    findings = _read_json(paths.findings) or {}

    def value(name: str) -> Any:
        return findings.get(f"eda.{name}", {}).get("value")

    return RunSummary(
        run=run,
        state="finished",
        finished_at=datetime.fromisoformat(manifest["finished_at"]),
        first_event=value("first_event"),
        last_event=value("last_event"),
        events=value("events"),
        revenue=value("revenue"),
        currency=manifest["parameters"]["currency"]["code"],
        seconds=sum(step["seconds"] for step in manifest["steps"].values()),
        commit=manifest["git"]["commit"],
    )


def _manifest(paths: RunPaths) -> Manifest | None:
    """The run's manifest, None where the file holds something else."""
    manifest = _read_json(paths.manifest)
    return manifest if manifest and manifest.keys() >= MANIFEST_KEYS else None


def _outputs(paths: RunPaths) -> Iterator[Path]:
    """Files that the run made, less the half-written ones and the pipeline's own memory."""
    kept_out = (paths.scratch, paths.pipeline)
    for folder in (paths.home, paths.report):
        for file in sorted(folder.rglob("*")):
            internal = any(file.is_relative_to(place) for place in kept_out) or file == paths.manifest
            if file.is_file() and not internal:
                yield file


def _fingerprint(file: Path, digest: str | None) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": digest}


def _place(file: Path) -> str:
    """A file's name in the manifest; a simulated market's is the same when its run is verified elsewhere."""
    return str(file.relative_to(output_root())) if file.is_relative_to(output_root()) else from_root(file)


def _code() -> dict[str, str]:
    """SHA-256 of the package's own files and of the notebooks: a commit says nothing of what is not committed."""
    package = {f"patternbook/{file.relative_to(PACKAGE_ROOT)}": file for file in _sources(PACKAGE_ROOT, "py", "sql")}
    notebooks = {f"notebooks/{file.name}": file for file in _sources(project_root() / "notebooks", "ipynb")}
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in sorted({**package, **notebooks}.items())
    }


def _sources(folder: Path, *suffixes: str) -> Iterator[Path]:
    for suffix in suffixes:
        yield from (file for file in folder.rglob(f"*.{suffix}") if ".ipynb_checkpoints" not in file.parts)


def _findings(entries: Mapping[str, Any]) -> dict[str, Finding]:
    return {name: Finding(**entry) for name, entry in entries.items()}


def _told(findings: Mapping[str, Any]) -> dict[str, Any]:
    """What findings say, without how it is worded and where it is computed."""
    return {name: [entry[key] for key in ("value", "low", "high", "unit")] for name, entry in findings.items()}


def _read_json(file: Path) -> dict[str, Any] | None:
    """A JSON object, None where there is no such file or it holds none."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(project_root()), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _name(package: metadata.Distribution) -> str:
    return package.name.lower()
