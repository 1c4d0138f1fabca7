"""What compaction costs, as a ratio to DuckDB merely scanning the same CSV, and what it saves.

    python tests/benchmarks/compaction.py [EVENTS ...]

Every step runs in a process of its own, so that its peak memory is its own, twice, and the faster counts. The
scan has every column's type given and looks at every value once (max), as compaction must.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from patternbook import __version__
from patternbook.params import Params
from patternbook.paths import RunPaths, project_root
from patternbook.simulation import simulate
from patternbook.usage import peak_memory
from patternbook.warehouse.compaction import compact, read_compaction
from patternbook.warehouse.marts import build_marts

RUN = "bench"
Part = tuple[str, float, float]  # what is built, seconds, peak memory in GB
TYPES = {
    "event_time": "TIMESTAMPTZ", "event_type": "VARCHAR", "product_id": "BIGINT", "category_id": "BIGINT",
    "category_code": "VARCHAR", "brand": "VARCHAR", "price": "DECIMAL(18,4)", "user_id": "BIGINT",
    "user_session": "VARCHAR", "platform": "VARCHAR", "device": "VARCHAR", "channel": "VARCHAR", "region": "VARCHAR",
    "discount": "DOUBLE",
}  # fmt: skip


def params(events: int) -> Params:
    return Params(run=RUN, source={"kind": "simulated", "events": events, "months": 2})


def connection(given: Params) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": given.engine.threads, "memory_limit": given.engine.memory_limit})
    con.execute("SET preserve_insertion_order = false")
    return con


def csv(given: Params) -> str:
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in TYPES.items())
    return (
        f"read_csv('{RunPaths.of(given.run).raw}/*.csv', header = true, auto_detect = false, columns = {{{columns}}})"
    )


def step_simulate(given: Params) -> None:
    simulate(given.source, RunPaths.of(given.run).raw)  # type: ignore[arg-type]


def step_scan(given: Params) -> None:
    looks = ", ".join(f"max({name})" for name in TYPES)
    connection(given).execute(f"SELECT count(*), sum(price), epoch({looks.replace(', ', '), ', 1)} FROM {csv(given)}")


def plain(given: Params) -> Path:
    """Where `step_rewrite` writes to."""
    return RunPaths.of(given.run).home / "plain.parquet"


def step_rewrite(given: Params) -> None:
    target = plain(given)
    target.parent.mkdir(parents=True, exist_ok=True)
    connection(given).execute(
        f"COPY (FROM {csv(given)}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)"
    )


def step_compact(given: Params) -> None:
    shutil.rmtree(RunPaths.of(given.run).groups, ignore_errors=True)
    compact(given)


def step_marts(given: Params) -> list[Part]:
    (RunPaths.of(given.run).marts / "marts.json").unlink(missing_ok=True)
    clock = Clock()
    build_marts(given, clock)
    return clock.parts


class Clock:
    """Takes note of what each mart costs, as the builder tells which one it begins."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.begun: tuple[str, float] | None = None

    def __call__(self, step: str, share: float) -> None:
        now = time.perf_counter()
        if self.begun:
            self.parts.append((self.begun[0], now - self.begun[1], (peak_memory(os.getpid()) or 0) / 1e9))
        with suppress(OSError):  # where the system has it, each peak is counted anew
            Path("/proc/self/clear_refs").write_text("5")
        self.begun = step, now


STEPS = {name.removeprefix("step_"): step for name, step in list(globals().items()) if name.startswith("step_")}


def measured(step: str, events: int, times: int = 2) -> tuple[float, float, list[Part]]:
    """Seconds (the best of `times`) and peak memory in GB of one step, and the parts of the best."""
    best, peak = float("inf"), 0.0
    parts: list[Part] = []
    for _ in range(times):
        out = subprocess.run(
            [sys.executable, __file__, "--step", step, str(events)], check=True, capture_output=True, text=True
        ).stdout
        seconds, memory, own = json.loads(out.splitlines()[-1])
        peak = max(peak, memory)
        if seconds < best:
            best, parts = seconds, own
    return best, peak, parts


def run_step(step: str, events: int) -> None:
    started = time.perf_counter()
    parts = STEPS[step](params(events)) or []
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    memory = max([memory, *(peak for _, _, peak in parts)])  # what is counted anew is not the highest of all
    print(json.dumps([time.perf_counter() - started, memory, parts]))


def machine() -> str:
    """The machine, versions and commit of a measurement."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True)
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, DuckDB "
        f"{duckdb.__version__}, patternbook {__version__} at {commit.stdout.strip() or 'no commit'}"
    )


def forget() -> None:
    for folder in (RunPaths.of(RUN).raw, RunPaths.of(RUN).home):
        shutil.rmtree(folder, ignore_errors=True)


def benchmark(events: int) -> str:
    paths = RunPaths.of(RUN)
    forget()
    took = {"simulate": measured("simulate", events, times=1)}
    took |= {step: measured(step, events) for step in ("scan", "rewrite", "compact", "marts")}
    done = read_compaction(paths)
    scan = took["scan"][0]
    rewritten = plain(params(events)).stat().st_size
    lines = [f"### {done.total('rows_read'):,} rows, {done.raw_bytes / 1e9:.2f} GB of CSV", ""]
    lines += ["| step | seconds | ratio to the scan | peak memory, GB |", "|---|---:|---:|---:|"]
    lines += [
        f"| {step} | {seconds:.1f} | {seconds / scan:.1f} | {memory:.2f} |"
        for step, (seconds, memory, _) in took.items()
    ]
    lines += [
        "",
        f"Events and products take {done.parquet_bytes / 1e6:.1f} MB, a plain zstd-3 Parquet rewrite of the same "
        f"columns {rewritten / 1e6:.1f} MB: {done.parquet_bytes / rewritten:.2f} of it.",
        "",
        "| of the marts | seconds | ratio to the scan | peak memory, GB |",
        "|---|---:|---:|---:|",
        *(
            f"| {name.removeprefix('mart ')} | {seconds:.2f} | {seconds / scan:.2f} | {memory:.2f} |"
            for name, seconds, memory in sorted(took["marts"][2], key=lambda part: -part[1])
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    if "--step" in sys.argv:
        run_step(sys.argv[2], int(sys.argv[3]))
        return
    sizes = [int(value) for value in sys.argv[1:]] or [1_000_000, 10_000_000]
    head = f"## Compaction, {datetime.now(UTC):%Y-%m-%d}\n\n{machine()}. Command: `make bench`.\n\n"
    text = head + "\n".join(benchmark(events) for events in sizes)
    target = project_root() / "reports" / "benchmarks" / "compaction.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    print(text)
    forget()


if __name__ == "__main__":
    main()
