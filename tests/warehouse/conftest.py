"""A project of its own for each test, and the published files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from trial import Trial, trial_project

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def project() -> Iterator[Trial]:
    with trial_project() as made:
        yield made


@pytest.fixture
def shared_file() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            pytest.skip(f"{name} is not in ../shared/data: see data/README.md for where to get it")
        return path

    return find
