"""A run of the real notebooks in a throw-away project, and how a browser sees its pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from patternbook import pipeline
from patternbook.params import load_params
from patternbook.paths import RunPaths

PROJECT = Path(__file__).parents[1]


def run(root: Path, **values: object) -> RunPaths:
    """Run the real notebooks and render the report, by the fallback, in a project at `root`."""
    for folder in ("notebooks", "reports/theme", "reports/filters"):
        shutil.copytree(PROJECT / folder, root / folder, ignore=shutil.ignore_patterns(".*"))
    for file in ("reports/executive.qmd", "_quarto.yml"):
        shutil.copy(PROJECT / file, root / file)
    file = root / "params.yaml"
    file.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATTERNBOOK_ROOT", str(root))
        patch.setattr("patternbook.report.quarto.is_installed", lambda: False)
        outcome = pipeline.run(load_params(file), console=Console(quiet=True))
    assert outcome.exit_code == 0, outcome.failures
    return RunPaths(str(values["run"]), root)


def chrome() -> str | None:
    """The Chrome that also draws the report's images; None where there is none."""
    from choreographer.browsers.chromium import Chromium

    return Chromium.find_browser(skip_local=False)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chrome; without one the test is skipped."""
    path = chrome()
    if path is None:
        pytest.skip("no Chrome found")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def draw_charts(page: Page) -> None:
    """Look at each chart of a page: they are drawn when they come near the screen."""
    for plot in page.locator(".plot:has(.chart):visible").all():
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for(state="attached")
