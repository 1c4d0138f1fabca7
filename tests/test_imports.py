"""Which source files code depends on."""

from __future__ import annotations

from pathlib import Path

import pytest
from throwaway import Project

from patternbook import imports
from patternbook.imports import notebook_code, source_files


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package in the place of this one."""
    files = {
        "__init__.py": "",
        "a.py": "from patternbook.inner import b\nimport os",
        "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from patternbook.a import x\n",
        "lazy.py": "def f():\n    import patternbook.inner.c\n",
        "inner/__init__.py": "",
        "inner/b.py": "import patternbook.a",
        "inner/c.py": "",
        "inner/sql/daily.sql": "SELECT 1",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(imports, "PACKAGE_ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os, numpy", []),
        ("from patternbook.a import x", ["__init__", "a", "inner/__init__", "inner/b", "inner/sql/daily"]),
        ("from patternbook import typed", ["__init__", "typed"]),
        ("import patternbook.lazy", ["__init__", "inner/__init__", "inner/c", "inner/sql/daily", "lazy"]),
    ],
)
def test_imports_are_followed(package: Path, code: str, expected: list[str]) -> None:
    assert [str(file.relative_to(package).with_suffix("")) for file in source_files(code)] == expected


def test_the_code_of_a_notebook_is_python(project: Project) -> None:
    project.notebook("01_one", "%config x = 1\nimport os", "!ls\nx = 1")
    assert notebook_code(project.root / "notebooks/01_one.ipynb") == "run = None\nimport os\nx = 1"
