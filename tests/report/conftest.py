"""One rendered report for all tests that look at one: rendering is slow."""

from __future__ import annotations

import fake_run
import pytest
from fake_run import SIMULATED, Report

from patternbook.params import Params
from patternbook.report import render_report


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A run with everything in it, rendered by the fallback."""
    root = tmp_path_factory.mktemp("project")
    paths = fake_run.lay_everything(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATTERNBOOK_ROOT", str(root))
        patch.setattr("patternbook.report.quarto.is_installed", lambda: False)
        return Report(root, paths, render_report(SIMULATED))


@pytest.fixture(scope="session")
def sparse_report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A run on order lines, which has no funnel, on a machine without Chrome."""
    root = tmp_path_factory.mktemp("sparse")
    fake_run.lay_project(root)
    columns = {"order_id": "o", "product_id": "p", "event_time": "t"}
    params = Params(run="sparse", source={"kind": "transactions", "files": ["orders.csv"], "columns": columns})
    paths = fake_run.lay_run(root, params, fake_run.sparse_findings(), fake_run.sparse_notebooks())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATTERNBOOK_ROOT", str(root))
        patch.setattr("patternbook.report.quarto.is_installed", lambda: False)
        patch.setenv("BROWSER_PATH", "/nowhere/chrome")
        return Report(root, paths, render_report(params))
