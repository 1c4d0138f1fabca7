"""Shared by the tests: the order in which real notebooks run, and a throw-away project."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from hypothesis import settings
from throwaway import Project

from patternbook.pipeline import NOTEBOOKS

settings.register_profile("here", deadline=None)  # a busy machine is no failure
settings.load_profile("here")

GRAPH = {notebook.name: notebook.after for notebook in NOTEBOOKS}
RUNNING_ORDER = list(TopologicalSorter(GRAPH).static_order())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real notebooks run first, each after those whose results it reads."""
    items.sort(key=lambda item: RUNNING_ORDER.index(item.path.stem) if item.path.stem in GRAPH else len(GRAPH))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project; `project_root()` is its folder, in kernels too."""
    monkeypatch.setenv("PATTERNBOOK_ROOT", str(tmp_path))
    return Project(tmp_path)
