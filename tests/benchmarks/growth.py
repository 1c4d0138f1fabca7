"""From raw CSV to the finished report by size of the market: time, memory and disk, beside a scan of the same CSV.

    python tests/benchmarks/growth.py [EVENTS ...]

Each size runs `params/scale.yaml` with that many events from its raw CSV, everything anew. What was measured of other
sizes before is kept, so that `make bench` and `make bench-large` fill one table and one picture.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from compaction import connection, machine, plain, step_rewrite, step_scan
from plotly.subplots import make_subplots

from patternbook import theme
from patternbook.charts import drawing
from patternbook.params import Params, load_params
from patternbook.paths import RunPaths, project_root
from patternbook.report.images import draw
from patternbook.simulation import simulate
from patternbook.warehouse.compaction import read_compaction

SCALE = "params/scale.yaml"
SIZES = (1_000_000, 10_000_000)
FIRST = "01_compaction"
FOLDER = project_root() / "reports" / "benchmarks"
GIGABYTE = 1e9
WATCHED_EVERY = 2.0  # seconds
BARS = {"compaction": 6, "marts": 2, "whole run": 25}  # times the scan


def overrides(events: int) -> list[str]:
    return [f"run=scale_{events // 1_000_000}m", f"source.events={events}"]


def params(events: int) -> Params:
    return load_params(project_root() / SCALE, overrides(events))


# -- what is measured ---------------------------------------------------------------------------------------------


def measure(events: int) -> dict[str, Any]:
    """All figures of one size, in a process of its own so that its children's peak memory is its own."""
    given = params(events)
    paths = RunPaths.of(given.run)
    shutil.rmtree(paths.home, ignore_errors=True)
    simulate(given.source, paths.raw)  # type: ignore[arg-type]
    command = [Path(sys.executable).parent / "patternbook", "run", SCALE]
    for override in overrides(events):
        command += ["--set", override]
    with _watched(paths) as most:
        started = time.perf_counter()
        subprocess.run(command, check=True, cwd=project_root(), stdout=sys.stderr)
        whole = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / GIGABYTE  # of the run alone: it was first
    scan = min(float(_alone("--scan", events)) for _ in range(2))
    rewritten = float(_alone("--rewrite", events))
    done = read_compaction(paths)
    others = _seconds_of_steps(paths)
    first = others.pop(FIRST)
    steps = {"scan": scan, "compaction": done.seconds, "marts": first - done.seconds, **others, "whole run": whole}
    return {
        "events": done.total("rows_read"),
        "csv": done.raw_bytes / GIGABYTE,
        "parquet": done.parquet_bytes / GIGABYTE,
        "rewritten": rewritten,
        "seconds": steps,
        "memory": memory,
        "disk": most[0] / GIGABYTE,
        "queries": _queries(given),
        "told": f"{datetime.now(UTC):%Y-%m-%d}, {machine()}",
    }


def _alone(step: str, events: int) -> str:
    """What a step prints that runs in a process of its own."""
    return subprocess.run(
        [sys.executable, __file__, step, str(events)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _seconds_of_scan(given: Params) -> float:
    started = time.perf_counter()
    step_scan(given)
    return time.perf_counter() - started


def _size_rewritten(given: Params) -> float:
    """Gigabytes of the CSV's columns as plain Parquet."""
    step_rewrite(given)
    size = plain(given).stat().st_size
    plain(given).unlink()
    return size / GIGABYTE


def _seconds_of_steps(paths: RunPaths) -> dict[str, float]:
    """What the run noted; of 01 only the cell that compacts and builds the marts."""
    steps = json.loads(paths.manifest.read_text("utf-8"))["steps"]
    seconds = {name: steps[name]["seconds"] for name in sorted(steps)}
    notebook = json.loads((paths.home / "notebooks" / f"{FIRST}.ipynb").read_text("utf-8"))
    (build,) = (cell for cell in notebook["cells"] if cell["id"] == "build")
    return seconds | {FIRST: build["metadata"]["papermill"]["duration"]}


@contextmanager
def _watched(paths: RunPaths) -> Iterator[list[float]]:
    """The most bytes that the run's folders (spilled files included) held at any of the looks."""
    most, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(WATCHED_EVERY):
            most[0] = max(most[0], sum(map(_bytes, (paths.home, paths.report))))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()


def _bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except FileNotFoundError:  # gone since it was listed
                continue
    return total


def _queries(given: Params) -> dict[str, float]:
    """Seconds of what an analyst asks of the compacted log, each in a connection of its own, the middle of three."""
    paths = RunPaths.of(given.run)
    events, products = f"'{paths.events}/*.parquet'", f"'{paths.products}'"
    with connection(given) as con:
        customer, product = con.execute(
            f"SELECT customer_id, product_id FROM {events} WHERE event_type = 'purchase' "
            "AND customer_id IS NOT NULL AND product_id IS NOT NULL LIMIT 1"
        ).fetchone() or (0, 0)
        (category,) = con.execute(f"SELECT mode(category_code) FROM {products}").fetchone() or ("",)
    of_category = f"SELECT product_id FROM {products} WHERE category_code = '{category}'"
    asked = {
        "KPIs": f"SELECT count(*), sum(amount), count(amount), approx_count_distinct(customer_id) FROM {events}",
        "history of a customer": f"SELECT * FROM {events} WHERE customer_id = {customer} ORDER BY event_time",
        "funnel of a category": f"SELECT event_type, count(DISTINCT customer_id) FROM {events} "
        f"WHERE product_id IN ({of_category}) GROUP BY event_type",
        "bought with a product": f"SELECT other.product_id, count(DISTINCT session_id) AS baskets FROM {events} AS one "
        f"JOIN {events} AS other USING (session_id) WHERE one.product_id = {product} AND one.event_type = 'purchase' "
        "AND other.event_type = 'purchase' GROUP BY other.product_id ORDER BY baskets DESC LIMIT 10",
    }
    return {name: sorted(_seconds_of(sql, given) for _ in range(3))[1] for name, sql in asked.items()}


def _seconds_of(sql: str, given: Params) -> float:
    with connection(given) as con:
        started = time.perf_counter()
        con.execute(sql).fetchall()
        return time.perf_counter() - started


# -- what is written ----------------------------------------------------------------------------------------------


def table(results: list[dict[str, Any]]) -> str:
    """All sizes beside each other: seconds and, in brackets, times the scan."""
    heads = [f"{one['events'] / 1e6:,.1f} M" for one in results]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for step in results[-1]["seconds"]:
        cells = [_ratio(one["seconds"], step) for one in results]
        bar = f" (bar {BARS[step]} ×)" if step in BARS else ""
        lines.append(f"| {step}, s{bar} | {' | '.join(cells)} |")
    rows = {
        "largest process, GB (bar 5)": [f"{one['memory']:.2f}" for one in results],
        "disk beyond the CSV, GB (bar 8)": [f"{one['disk']:.2f}" for one in results],
        "CSV, GB": [f"{one['csv']:.2f}" for one in results],
        "a plain zstd-3 Parquet rewrite of it, GB": [f"{one['rewritten']:.3f}" for one in results],
        "events and products, GB (bar 0.6 of that)": [
            f"{one['parquet']:.3f} ({one['parquet'] / one['rewritten']:.2f})" for one in results
        ],
    } | {f"{query}, s (bar 1)": [f"{one['queries'][query]:.2f}" for one in results] for query in results[-1]["queries"]}
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines)


def _ratio(seconds: dict[str, float], step: str) -> str:
    return f"{seconds[step]:,.1f} ({seconds[step] / seconds['scan']:.1f} ×)" if step in seconds else ""


def picture(results: list[dict[str, Any]]) -> go.Figure:
    """Seconds and memory by events, both axes logarithmic: what is linear has the slope of the dotted line."""
    figure = make_subplots(1, 2, subplot_titles=("Seconds", "Largest process, GB"))
    events = [one["events"] for one in results]
    for step in ("scan", "compaction", "marts", "whole run"):
        seconds, names = [one["seconds"][step] for one in results], [""] * (len(events) - 1) + [f" {step}"]
        figure.add_scatter(x=events, y=seconds, text=names, mode="lines+markers+text", col=1, row=1)
    figure.update_traces(textposition="middle right", cliponaxis=False)
    linear = [results[-1]["seconds"]["whole run"] * n / events[-1] for n in events]
    figure.add_scatter(x=events, y=linear, mode="lines", line={"dash": "dot", "color": theme.MUTED}, col=1, row=1)
    figure.add_scatter(x=events, y=[one["memory"] for one in results], mode="lines+markers", col=2, row=1)
    figure.update_xaxes(type="log", dtick=1, title="Events")
    figure.update_xaxes(range=[math.log10(events[0]) - 0.1, math.log10(events[-1]) + 0.9], col=1)
    figure.update_yaxes(type="log", dtick=1, col=1)
    figure.update_yaxes(rangemode="tozero", col=2)
    return drawing.finished(
        figure,
        "From raw CSV to the finished report, by number of events",
        "Two cores, memory limit 4 GB; dotted: in proportion to the events",
        height=360,
        alt="Seconds and memory by number of events; the numbers are in the table beside.",
        gap=40,
    )


def main() -> None:
    steps = {"--scan": _seconds_of_scan, "--rewrite": _size_rewritten}
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(int(sys.argv[2]))))
        return
    if len(sys.argv) > 1 and (step := steps.get(sys.argv[1])):
        print(step(params(int(sys.argv[2]))))
        return
    kept = FOLDER / "growth.json"
    results = {one["events"]: one for one in json.loads(kept.read_text("utf-8"))} if kept.exists() else {}
    for events in [int(value) for value in sys.argv[1:]] or SIZES:
        one = json.loads(_alone("--measure", events).splitlines()[-1])
        results = {size: other for size, other in results.items() if round(size / 1e6) != round(one["events"] / 1e6)}
        results[one["events"]] = one
        _write(kept, [results[size] for size in sorted(results)])


def _write(kept: Path, results: list[dict[str, Any]]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    told = "\n".join(f"- {one['events']:,} rows: {one['told']}" for one in results)
    text = (
        f"## From raw CSV to the finished report\n\n`make bench` and `make bench-large`; seconds, in brackets as "
        f"multiples of the time in which DuckDB scans the same CSV.\n\n{table(results)}\n\n"
        f"![Time and memory by number of events](growth.svg)\n\n{told}\n"
    )
    (FOLDER / "growth.md").write_text(text, "utf-8")
    image = json.loads(picture(results).to_json() or "{}")
    draw({FOLDER / "growth.svg": image}, project_root() / "reports" / "theme" / "fonts")
    print(text)


if __name__ == "__main__":
    main()
