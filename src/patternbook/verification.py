"""Does a run reproduce? It is computed again in a scratch folder, and every finding and table is compared.

It costs what the run cost without its report, and for its time the disk that events, marts and, of a simulated market,
the raw files take. Nothing of the run itself is touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from patternbook import pipeline
from patternbook.circumstances import ABSENT, Circumstances, compare_circumstances
from patternbook.digests import Digests, as_told, content_digest
from patternbook.errors import UserError
from patternbook.findings import Finding, read_findings
from patternbook.locks import alone
from patternbook.params import Params
from patternbook.paths import RunPaths, from_root, project_root
from patternbook.runs import Manifest, State, description, params_of, read_state

MOST_COLUMNS = 3  # named of a table that differs


class Difference(NamedTuple):
    """A finding or table that is not what the run recorded; both as text, `—` where there is none."""

    kind: Literal["finding", "table"]
    name: str
    recorded: str
    again: str


class Verification(NamedTuple):
    """What came of computing a run again.

    `circumstances` are what is not as it was when the run was made, `tampered` the run's files that have been changed
    since, `failures` what stopped the repetition; `kept` is the scratch folder where it was to be kept.
    """

    findings: int
    tables: int
    circumstances: Circumstances
    tampered: list[str]
    differences: list[Difference]
    failures: list[str]
    kept: Path | None

    @property
    def same(self) -> bool:
        """Whether every finding, every table and every input is the same."""
        return not (self.differences or self.failures or self.tampered or self.circumstances.inputs)


def verify(
    run: str,
    *,
    keep: bool = False,
    recompute: Callable[[Params], pipeline.Outcome] = pipeline.recompute,
) -> Verification:
    """Compute a finished run again, from its manifest's parameters and the same files, and compare.

    Raises UserError where the run is not finished, is being computed, or where its input is gone.
    """
    state, params, paths = read_state(run), params_of(run), RunPaths.of(run)
    _check_inputs(params, state.manifest)
    with alone(paths.run_lock, f"run {run!r} is being computed by another process; wait for it"), _scratch(paths, keep):
        outcome = recompute(params)
        again = RunPaths.of(run)
        failures = [_without_place(failure.message) for failure in outcome.failures]
        tables = _tables(paths)
        return Verification(
            findings=len(state.findings),
            tables=len(tables),
            circumstances=compare_circumstances(state.manifest, _now(params, again)),
            tampered=_tampered(state.manifest, paths, tables),
            differences=[] if failures else [*_findings(state, again), *_differing_tables(tables, _tables(again))],
            failures=failures,
            kept=again.root if keep else None,
        )


@contextmanager
def _scratch(paths: RunPaths, keep: bool) -> Iterator[None]:
    """Let everything be computed in an empty folder of the run, gone afterwards."""
    folder = paths.scratch / "verify"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before = os.environ.get("PATTERNBOOK_OUTPUT")
    os.environ["PATTERNBOOK_OUTPUT"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PATTERNBOOK_OUTPUT"]
        else:
            os.environ["PATTERNBOOK_OUTPUT"] = before
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _check_inputs(params: Params, manifest: Manifest) -> None:
    """Raise UserError where a pattern of source.files finds nothing any more."""
    if params.source.kind == "simulated":
        return
    try:
        params.source.matches()
    except UserError as error:
        gone = [name for name in manifest["inputs"] if not (project_root() / name).exists()]
        raise UserError(
            f"run {params.run!r} cannot be repeated, its input is gone: {', '.join(gone) or error}"
        ) from None


def _now(params: Params, again: RunPaths) -> Manifest:
    """Parameters, inputs, code and versions of the repetition; every input is read to the last byte."""
    digests = Digests(again.pipeline / "digests.json")
    return description(params, {file: digests.of(file) or "" for file in pipeline.input_files(params)})


def _tampered(manifest: Manifest, paths: RunPaths, now: Mapping[str, pl.DataFrame]) -> list[str]:
    """Findings and tables of the run that are not as it left them."""
    findings = from_root(paths.findings)
    recorded = manifest["outputs"].get(findings, {}).get("sha256")
    changed = [findings] if hashlib.sha256(paths.findings.read_bytes()).hexdigest() != recorded else []
    tables = manifest.get("tables", {})
    differ = [name for name, digest in tables.items() if name not in now or content_digest(now[name]) != digest]
    return [*changed, *(from_root(paths.tables / f"{name}.parquet") for name in differ)]


def _findings(state: State, again: RunPaths) -> Iterator[Difference]:
    now = read_findings(again.findings)
    for name in sorted(state.findings.keys() | now.keys()):
        before, after = state.findings.get(name), now.get(name)
        if before != after:
            yield Difference("finding", name, *_differing_fields(before, after))


def _differing_fields(before: Finding | None, after: Finding | None) -> tuple[str, str]:
    """What differs in a finding, to the last digit."""
    if before is None or after is None:
        return _fields(before, ["value"]), _fields(after, ["value"])
    differ = [key for key in Finding.model_fields if getattr(before, key) != getattr(after, key)]
    return _fields(before, differ), _fields(after, differ)


def _fields(finding: Finding | None, keys: list[str]) -> str:
    if finding is None:
        return ABSENT
    return ", ".join(f"{'' if key == 'value' else f'{key} '}{getattr(finding, key)}" for key in keys)


def _differing_tables(recorded: Mapping[str, pl.DataFrame], now: Mapping[str, pl.DataFrame]) -> Iterator[Difference]:
    for name in sorted(recorded.keys() | now.keys()):
        before, after = recorded.get(name), now.get(name)
        if before is None or after is None:
            yield Difference("table", name, _rows(before), _rows(after))
        elif content_digest(before) != content_digest(after):
            yield Difference("table", name, _rows(before), _what_differs(before, after))


def _what_differs(before: pl.DataFrame, after: pl.DataFrame) -> str:
    if before.schema != after.schema:
        differ = sorted(dict(set(before.schema.items()) ^ set(after.schema.items())))
        return f"{_rows(after)}; other columns or types: {_named(differ)}"
    if before.height != after.height:
        return _rows(after)
    pairs = zip(as_told(before), as_told(after), strict=True)
    rows = {one.name: int(one.ne_missing(other).sum()) for one, other in pairs}
    differ = [f"{name} in {count:,}" for name, count in rows.items() if count]
    return f"{_rows(after)}; differing: {_named(differ)}"


def _named(parts: list[str]) -> str:
    more = len(parts) - MOST_COLUMNS
    return ", ".join(parts[:MOST_COLUMNS]) + (f" and {more} more columns" if more > 0 else "")


def _rows(table: pl.DataFrame | None) -> str:
    return ABSENT if table is None else f"{table.height:,} rows"


def _tables(paths: RunPaths) -> Mapping[str, pl.DataFrame]:
    return {file.stem: pl.read_parquet(file) for file in sorted(paths.tables.glob("*.parquet"))}


def _without_place(message: str) -> str:
    """A failure without the line that says where the notebook lies, which is in the scratch folder."""
    return message.partition("\n  see ")[0]
