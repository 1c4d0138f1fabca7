"""Papermill and kernels: one notebook at a time, for real."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from throwaway import Project

from patternbook.errors import UserError
from patternbook.execution import NotebookFailed, execute_notebook


def execute(project: Project, *cells: str) -> tuple[Path, object]:
    project.notebook("01_one", *cells)
    source, target = project.root / "notebooks/01_one.ipynb", project.root / "executed {braces}" / "01_one.ipynb"
    progress = project.root / "progress"
    return target, execute_notebook(source, target, {"run": "small"}, threads=2, progress=progress, minutes=10)


def stdout(notebook: Path) -> str:
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", []))


def test_runs_in_this_interpreter_with_parameters_and_fixed_environment(project: Project) -> None:
    code = "import os, sys; print(sys.executable, os.environ['PYTHONHASHSEED'], os.environ['OMP_NUM_THREADS'], run)"
    target, usage = execute(project, code)
    assert stdout(target).split() == [sys.executable, "0", "2", "small"]
    assert [file.name for file in target.parent.iterdir()] == ["01_one.ipynb"]
    assert usage.seconds > 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_peak_memory_is_that_of_the_kernel(project: Project) -> None:
    _, usage = execute(project, "block = bytearray(400_000_000); del block")
    assert 400e6 < usage.peak_memory_bytes < 700e6


def test_a_failing_cell_is_named_and_the_notebook_kept(project: Project) -> None:
    with pytest.raises(NotebookFailed) as failure:
        execute(project, "one = 1", "#| label: fig-ratio\none / 0")
    message = str(failure.value)
    assert "01_one: cell In [4] (fig-ratio): ZeroDivisionError: division by zero" in message
    kept = project.root / "executed {braces}" / "01_one.failed.ipynb"
    assert message.endswith("see executed {braces}/01_one.failed.ipynb")
    assert kept.exists()
    assert not kept.with_name("01_one.ipynb").exists()


def test_a_dying_kernel_is_told_from_one_that_does_not_start(project: Project) -> None:
    with pytest.raises(NotebookFailed, match=r"cell In \[3\].*the kernel died"):
        execute(project, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")


def test_a_user_error_is_handed_on_as_one(project: Project) -> None:
    with pytest.raises(UserError, match=r"^log\.csv, line 3: no such thing$"):
        execute(project, "from patternbook.errors import UserError\nraise UserError('log.csv, line 3: no such thing')")


def test_a_notebook_can_note_how_far_it_is(project: Project) -> None:
    code = "import os; from patternbook.progress import reporter; reporter()('read', 1.0)"
    target, _ = execute(project, code, "print(open(os.environ['PATTERNBOOK_PROGRESS']).read())")
    assert json.loads(stdout(target)) == {"step": "read", "share": 1.0}
    assert not (project.root / "progress").exists()
