"""What is kept of a run: its manifest, and the list of runs."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from patternbook import __version__
from patternbook.digests import Digests
from patternbook.errors import UserError
from patternbook.findings import write_aside
from patternbook.params import Params, params_from
from patternbook.paths import RunPaths, from_root, project_root
from patternbook.usage import Usage


@dataclass(frozen=True)
class RunSummary:
    """A run in the list of runs. What is not known is null; `finished_at` is null while a run is incomplete."""

    run: str
    finished_at: datetime | None
    first_event: str | None
    last_event: str | None
    events: int | None
    revenue: float | None
    currency: str | None
    seconds: float | None
    commit: str | None


def write_manifest(
    params: Params, inputs: Iterable[Path], steps: Mapping[str, Usage], digests: Digests
) -> dict[str, Any]:
    """Write the run's `manifest.json` and return what it says.

    Seconds are wall clock; the peak is of the resident memory of the process that ran the step.
    """
    paths = RunPaths.of(params.run)
    manifest = {
        "patternbook": __version__,
        "run": params.run,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_state(),
        "parameter_file": params.file,
        "parameters": params.model_dump(mode="json", by_alias=True),
        "parameters_given": params.to_notebook(),
        "inputs": {from_root(file): _fingerprint(file, digests) for file in inputs},
        "outputs": {from_root(file): _fingerprint(file, digests) for file in _outputs(paths)},
        "steps": {name: asdict(usage) for name, usage in steps.items()},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "packages": {package.name: package.version for package in sorted(metadata.distributions(), key=_name)},
    }
    write_aside(paths.manifest, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def read_manifest(run: str) -> dict[str, Any]:
    """The manifest of a finished run. Raises UserError where there is none."""
    paths = RunPaths.of(run)
    try:
        manifest: dict[str, Any] = json.loads(paths.manifest.read_text("utf-8"))
    except FileNotFoundError:
        known = ", ".join(summary.run for summary in list_runs() if summary.finished_at) or "none yet"
        raise UserError(f"no finished run {run!r}; finished runs: {known}") from None
    return manifest


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
        return RunSummary(run, None, None, None, None, None, None, None, None)
    manifest = read_manifest(run)
    findings = json.loads(paths.findings.read_text("utf-8")) if paths.findings.exists() else {}

    def value(name: str) -> Any:
        return findings.get(f"eda.{name}", {}).get("value")

    return RunSummary(
        run=run,
        finished_at=datetime.fromisoformat(manifest["finished_at"]),
        first_event=value("first_event"),
        last_event=value("last_event"),
        events=value("events"),
        revenue=value("revenue"),
        currency=manifest["parameters"]["currency"]["code"],
        seconds=sum(step["seconds"] for step in manifest["steps"].values()),
        commit=manifest["git"]["commit"],
    )


def _outputs(paths: RunPaths) -> Iterator[Path]:
    """Files that the run made, less the half-written ones and the pipeline's own memory."""
    kept_out = (paths.scratch, paths.pipeline)
    for folder in (paths.home, paths.report):
        for file in sorted(folder.rglob("*")):
            internal = any(file.is_relative_to(place) for place in kept_out) or file == paths.manifest
            if file.is_file() and not internal:
                yield file


def _fingerprint(file: Path, digests: Digests) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": digests.of(file)}


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(project_root()), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _name(package: metadata.Distribution) -> str:
    return package.name.lower()
