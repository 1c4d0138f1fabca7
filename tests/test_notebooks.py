"""The notebooks as the graph knows them. That each runs from top to bottom is nbmake's part of `make test`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from throwaway import Project

from patternbook.imports import notebook_code
from patternbook.params import Params
from patternbook.paths import project_root
from patternbook.pipeline import NOTEBOOKS, Notebook

FOLDER = project_root() / "notebooks"
FILES = sorted(FOLDER.glob("*.ipynb"))


def cells(file: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(file.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_the_graph_knows_every_notebook() -> None:
    assert sorted(notebook.name for notebook in NOTEBOOKS) == [file.stem for file in FILES]


def test_the_first_notebook_compacts_and_all_others_come_after_one() -> None:
    names = [notebook.name for notebook in NOTEBOOKS]
    assert [notebook.name for notebook in NOTEBOOKS if notebook.compacts] == ["01_compaction"]
    assert all(upstream in names for notebook in NOTEBOOKS for upstream in notebook.after)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_notebook_is_committed_without_outputs(file: Path) -> None:
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells(file))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_parameters_cell_holds_every_section(file: Path) -> None:
    (tagged,) = [cell for cell in cells(file) if "parameters" in cell["metadata"].get("tags", [])]
    given: dict[str, Any] = {}
    exec("".join(tagged["source"]), given)
    del given["__builtins__"]
    assert given == dict.fromkeys(Params.model_fields)


def test_a_notebook_reads_the_sections_that_the_graph_says(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section read but not declared leaves a notebook stale, one declared but not read runs it for nothing."""
    project.params(source={"kind": "simulated", "events": 10_000, "months": 2})
    monkeypatch.setenv("PATTERNBOOK_PARAMS", str(project.params_file))
    declared = {notebook.name: {"run", *notebook.reads} for notebook in NOTEBOOKS}
    assert {notebook.name: sections_read(notebook) for notebook in NOTEBOOKS} == declared


def sections_read(notebook: Notebook) -> set[str]:
    with recorded_reads() as read:
        exec(compile(notebook_code(FOLDER / f"{notebook.name}.ipynb"), notebook.name, "exec"), {})
    return {"run"} | read


@contextmanager
def recorded_reads() -> Iterator[set[str]]:
    """The sections of any Params that are read while the block lasts."""
    read: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        get, section = Params.__getattribute__, Params.section

        def recording_get(self: Params, name: str) -> Any:
            read.update({name} & Params.model_fields.keys())
            return get(self, name)

        def recording_section(self: Params, *names: str) -> dict[str, Any]:
            read.update(names)
            return section(self, *names)

        patch.setattr(Params, "__getattribute__", recording_get)
        patch.setattr(Params, "section", recording_section)
        yield read
