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
from datetime import UTC, datetime

import duckdb

from patternbook import __version__
from patternbook.params import Params
from patternbook.paths import RunPaths, project_root
from patternbook.simulation import simulate
from patternbook.warehouse.compaction import compact, read_compaction
from patternbook.warehouse.marts import build_marts

RUN = "bench"
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


def step_rewrite(given: Params) -> None:
    target = RunPaths.of(given.run).home / "plain.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    connection(given).execute(
        f"COPY (FROM {csv(given)}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)"
    )


def step_compact(given: Params) -> None:
    shutil.rmtree(RunPaths.of(given.run).groups, ignore_errors=True)
    compact(given)


def step_marts(given: Params) -> None:
    (RunPaths.of(given.run).marts / "marts.json").unlink(missing_ok=True)
    build_marts(given)


STEPS = {name.removeprefix("step_"): step for name, step in list(globals().items()) if name.startswith("step_")}


def measured(step: str, events: int, times: int = 2) -> tuple[float, float]:
    """Seconds (the best of `times`) and peak memory in GB of one step."""
    best, peak = float("inf"), 0.0
    for _ in range(times):
        out = subprocess.run(
            [sys.executable, __file__, "--step", step, str(events)], check=True, capture_output=True, text=True
        ).stdout
        seconds, memory = json.loads(out.splitlines()[-1])
        best, peak = min(best, seconds), max(peak, memory)
    return best, peak


def run_step(step: str, events: int) -> None:
    started = time.perf_counter()
    STEPS[step](params(events))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    print(json.dumps([time.perf_counter() - started, memory]))


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
    plain = (paths.home / "plain.parquet").stat().st_size
    lines = [f"### {done.total('rows_read'):,} rows, {done.raw_bytes / 1e9:.2f} GB of CSV", ""]
    lines += ["| step | seconds | ratio to the scan | peak memory, GB |", "|---|---:|---:|---:|"]
    lines += [
        f"| {step} | {seconds:.1f} | {seconds / scan:.1f} | {memory:.2f} |" for step, (seconds, memory) in took.items()
    ]
    lines += [
        "",
        f"Events and products take {done.parquet_bytes / 1e6:.1f} MB, a plain zstd-3 Parquet rewrite of the same "
        f"columns {plain / 1e6:.1f} MB: {done.parquet_bytes / plain:.2f} of it.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    if "--step" in sys.argv:
        run_step(sys.argv[2], int(sys.argv[3]))
        return
    sizes = [int(value) for value in sys.argv[1:]] or [1_000_000, 10_000_000]
    described = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True)
    commit = described.stdout.strip()
    head = (
        f"## Compaction, {datetime.now(UTC):%Y-%m-%d}\n\n{platform.system()} {platform.machine()}, {os.cpu_count()} "
        f"cores; Python {platform.python_version()}, DuckDB {duckdb.__version__}, patternbook {__version__} at "
        f"{commit or 'no commit'}. Command: `make bench`.\n\n"
    )
    text = head + "\n".join(benchmark(events) for events in sizes)
    target = project_root() / "reports" / "benchmarks" / "compaction.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    print(text)
    forget()


if __name__ == "__main__":
    main()
