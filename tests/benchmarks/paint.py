"""How soon a finished report shows its text, and how long until a chart that is looked at is drawn.

    python tests/benchmarks/paint.py [REPORT.html] [TIMES]

prints the median of several fresh starts of a headless Chrome without a network, at the size of a laptop's window and
without slowing the processor down. It is no test: the times are those of the machine.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from real_run import chrome

from patternbook.paths import project_root

LATEST = project_root() / "reports" / "latest" / "executive.html"
TIMES = 5
PAINT = "performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)"


def measured(browser: Browser, report: Path) -> tuple[float, float, float]:
    """Milliseconds to the first text, to the whole page read, and from a look at a chart to its drawing."""
    page = browser.new_context(offline=True, viewport={"width": 1280, "height": 800}).new_page()
    page.goto(report.as_uri())
    page.wait_for_function(f"({PAINT}).length")
    (paint,) = page.evaluate(PAINT)
    read = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    started = page.evaluate("performance.now()")
    page.locator(".plot:visible").last.scroll_into_view_if_needed()
    page.locator(".plot:visible").last.locator(".main-svg").first.wait_for(state="attached")
    drawn = page.evaluate("performance.now()") - started
    page.context.close()
    return paint, read, drawn


def main(report: Path = LATEST, times: int = TIMES) -> None:
    """Print the medians."""
    if not report.exists():
        sys.exit(f"{report} does not exist: `make report` writes it")
    with sync_playwright() as playwright:
        rows = []
        for _ in range(times):
            browser = playwright.chromium.launch(executable_path=chrome(), args=["--no-sandbox"])
            rows.append(measured(browser, report))
            browser.close()
    print(f"{report}: {report.stat().st_size / 1e6:.1f} MB, median of {times}")
    for label, values in zip(("first paint", "page read", "a chart drawn"), zip(*rows, strict=True), strict=True):
        print(f"  {label:14} {statistics.median(values):6.0f} ms  ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:2]), *map(int, sys.argv[2:3]))
