"""What a killed or interrupted run leaves behind, and what the next one makes of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from test_pipeline import RECORD
from throwaway import Project

from patternbook.disk import check_room
from patternbook.errors import UserError
from patternbook.interruption import KERNEL_FOLDER, remove_leftovers
from patternbook.locks import alone_in_warehouse
from patternbook.paths import RunPaths

NOTE_PID = '(root / "pid").write_text(str(os.getpid()))\n'


def start(project: Project) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "patternbook.cli", "run", str(project.params_file), "--until", "01"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} did not appear"
        time.sleep(0.05)


@pytest.fixture
def paths(project: Project) -> RunPaths:
    paths = RunPaths.of("small")
    paths.pipeline.mkdir(parents=True)
    return paths


def test_half_written_files_go_and_finished_ones_stay(paths: RunPaths) -> None:
    left = [paths.findings.with_name("findings.json.partial"), paths.pipeline / "02_eda.progress"]
    left += [paths.notebook("02_eda.partial"), paths.scratch / "compaction/spill/x.tmp"]
    left += [paths.exports.with_name(".exports.partial") / "tables.xlsx"]
    kept = [paths.findings, paths.notebook("02_eda"), paths.notebook("02_eda.failed")]
    for file in (*left, *kept):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    remove_leftovers(paths)
    assert [file for file in left if file.exists()] == []
    assert [file for file in kept if not file.exists()] == []


@pytest.mark.parametrize("place", ["report", "latest", "exports"])
def test_a_folder_that_was_being_replaced_is_put_back(paths: RunPaths, place: str) -> None:
    folder: Path = getattr(paths, place)
    old = folder.with_name(f".{folder.name}.old")
    old.mkdir(parents=True)
    (old / "file").write_text("whole")
    remove_leftovers(paths)
    assert (folder / "file").read_text() == "whole"
    assert not old.exists()


def test_a_folder_that_has_been_replaced_stays(paths: RunPaths) -> None:
    old = paths.report.with_name(".small.old")
    for folder, text in ((old, "old"), (paths.report, "new")):
        folder.mkdir(parents=True)
        (folder / "file").write_text(text)
    remove_leftovers(paths)
    assert (paths.report / "file").read_text() == "new"
    assert not old.exists()


def test_only_folders_of_kernels_are_removed_outside_of_the_run(paths: RunPaths, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as other:
        sockets = tmp_path / f"{KERNEL_FOLDER}abc"
        sockets.mkdir()
        for step, folder in (("01", sockets), ("02", Path(other))):
            (paths.pipeline / f"{step}.kernel").symlink_to(folder)
        remove_leftovers(paths)
        assert not sockets.exists()
        assert Path(other).exists()
    assert list(paths.pipeline.glob("*.kernel")) == []


def test_a_notebook_at_work_outside_of_the_run_is_left_alone(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patternbook.locks.PATIENCE_S", 0)
    (paths.scratch / "compaction").mkdir(parents=True)
    with alone_in_warehouse(paths):
        remove_leftovers(paths)
    assert (paths.scratch / "compaction").exists()
    remove_leftovers(paths)
    assert not paths.scratch.exists()


def test_an_interrupted_notebook_is_not_kept_as_a_failed_one(project: Project) -> None:
    project.notebook("01_compaction", RECORD, NOTE_PID + "while True: pass")
    project.params()
    run = start(project)
    wait_for(project.root / "pid")
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=15)
    assert run.returncode == 128 + signal.SIGTERM
    assert list(RunPaths.of("small").notebooks.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="whether a process is a zombie is read from /proc")
def test_a_run_waits_for_the_kernel_of_a_killed_one(project: Project) -> None:
    """That kernel cannot notice at once that its run is gone: for two seconds it does not let go of the interpreter."""
    cell = f"""
if (root / "pid").exists():
    status = pathlib.Path("/proc") / (root / "pid").read_text() / "stat"
    ended = not status.exists() or status.read_text().split()[2] == "Z"
    (root / "seen").write_text("ended" if ended else "at work")
else:
    {NOTE_PID.strip()}
    import ctypes
    ctypes.PyDLL(None).sleep(2)
    while True: pass
"""
    project.notebook("01_compaction", RECORD, cell, "compact(); record('01_compaction')")
    project.params()
    run = start(project)
    wait_for(project.root / "pid")
    run.kill()
    run.communicate()
    again = start(project)
    _, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert (project.root / "seen").read_text() == "ended"


def test_too_little_room_is_told_before_any_work_with_what_is_needed(project: Project) -> None:
    check_room(project.root / "data/raw", 1000)
    with pytest.raises(UserError, match=r"^data/raw: about 1,000,000,000,000 MB are needed, [\d,]+ MB are free: make"):
        check_room(project.root / "data/raw", 10**18)
