"""What the marts of baskets, items and pairs cost, as a ratio to DuckDB merely scanning the same CSV.

    python tests/benchmarks/basket.py [EVENTS ...]

The faster of two times counts. Seconds at other sizes are not measured by this: say so where they are inferred.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from patternbook.paths import RunPaths
from patternbook.warehouse import marts
from patternbook.warehouse.compaction import compact
from patternbook.warehouse.duckdb import DuckEngine, parquet

sys.path.insert(0, str(Path(__file__).parent))
from compaction import RUN, forget, params, step_scan, step_simulate

READ = ("actions", "order_lines")  # marts that they are made of
TIMED = ("baskets", "items", "pairs")


def seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(2):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def benchmark(events: int) -> None:
    given, paths = params(events), RunPaths.of(RUN)
    forget()
    step_simulate(given)
    scan = seconds(lambda: step_scan(given))
    compact(given)
    scratch = paths.scratch / "bench"
    scratch.mkdir(parents=True, exist_ok=True)
    with DuckEngine(given.engine, scratch) as engine:
        marts._open_events(engine, paths, "true")
        engine.view("events", "SELECT * FROM observed")
        marts._write_calendar(engine, scratch, given.report.time_zone)
        marts._open_basket_rules(engine, given.basket)
        print(f"### {events:,} events\n\n| step | seconds | ratio to the scan |\n|---|---:|---:|")
        print(f"| scan | {scan:.2f} | 1 |", flush=True)
        for name in READ:
            engine.copy(marts._sql(name), scratch / f"{name}.parquet")
            engine.view(name, f"SELECT * FROM {parquet(scratch / f'{name}.parquet')}")
        total = 0.0
        for name in TIMED:
            file = scratch / f"{name}.parquet"
            took = seconds(lambda name=name, file=file: engine.copy(marts._sql(name), file))  # type: ignore[misc]
            engine.view(name, f"SELECT * FROM {parquet(file)}")
            rows = engine.count(f"SELECT count(*) FROM {name}")
            print(f"| mart {name}, {rows:,} rows | {took:.2f} | {took / scan:.2f} |", flush=True)
            total += took
        print(f"| all three | {total:.2f} | {total / scan:.2f} |\n", flush=True)
    shutil.rmtree(scratch, ignore_errors=True)
    forget()


if __name__ == "__main__":
    for size in [int(value) for value in sys.argv[1:]] or [1_000_000, 10_000_000]:
        benchmark(size)
