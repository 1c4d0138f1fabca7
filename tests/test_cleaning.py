"""What `clean` deletes, and what it never touches."""

from __future__ import annotations

from pathlib import Path

import pytest
from throwaway import Project

from patternbook.cleaning import clean, plan
from patternbook.errors import UserError
from patternbook.locks import alone
from patternbook.paths import RunPaths
from patternbook.simulation.market import MARKER

RAW = ("2024-07.csv", "truth.json", MARKER)


@pytest.fixture
def runs(project: Project) -> Project:
    """Two runs on simulated markets, `small` rendered last, and one whose name begins like it."""
    for run in ("small", "small-2", "other"):
        project.write(f"data/runs/{run}/manifest.json", "{}")
        project.write(f"data/runs/{run}/events/0000.parquet", "x" * 1000)
        project.write(f"reports/{run}/executive.html", f"<p>{run}")
        for name in RAW:
            project.write(f"data/raw/{run}/{name}", "y" * 10)
    project.write("reports/latest/executive.html", "<p>small")
    project.write("reports/executive.qmd", "prose")
    return project


def files(root: Path) -> set[str]:
    return {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file() or file.is_symlink()}


def of_run(names: set[str], *folders: str) -> set[str]:
    return {name for name in names if name.startswith(folders)}


def test_a_run_goes_whole_and_nothing_else(runs: Project) -> None:
    before = files(runs.root)
    clean(plan("small"))
    gone = ("data/runs/small/", "data/raw/small/", "reports/small/", "reports/latest/")
    assert files(runs.root) == before - of_run(before, *gone)
    assert not (runs.root / "data/runs/small").exists()


def test_the_plan_says_what_and_how_much(runs: Project) -> None:
    found = {str(doomed.folder.relative_to(runs.root)): doomed[1:] for doomed in plan("small").folders}
    assert found == {
        "data/raw/small": (3, 30), "data/runs/small": (2, 1002), "reports/small": (1, 8), "reports/latest": (1, 8),
    }  # fmt: skip


def test_the_latest_report_stays_where_it_is_another_run_s(runs: Project) -> None:
    clean(plan("other"))
    assert (runs.root / "reports/latest/executive.html").exists()


@pytest.mark.parametrize("name", ["2024-07.csv", "customers.xlsx"])
def test_raw_files_that_no_simulation_wrote_stay(runs: Project, name: str) -> None:
    if name in RAW:
        (runs.root / "data/raw/small" / MARKER).unlink()
    else:
        runs.write(f"data/raw/small/{name}", "mine")
    planned = plan("small")
    assert planned.notes == ["data/raw/small stays: not all of it is simulated"]
    clean(planned)
    assert (runs.root / "data/raw/small" / name).exists()
    assert not (runs.root / "data/runs/small").exists()


def test_links_in_a_run_are_removed_and_not_followed(runs: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious.csv").write_text("mine")
    (runs.root / "data/runs/small/link").symlink_to(outside)
    (runs.root / "data/runs/small/other").symlink_to(runs.root / "data/runs/other")
    clean(plan("small"))
    assert (outside / "precious.csv").exists()
    assert (runs.root / "data/runs/other/manifest.json").exists()


@pytest.mark.parametrize("place", ["data/runs/linked", "reports/linked"])
def test_a_folder_that_is_a_link_is_refused(
    runs: Project, tmp_path_factory: pytest.TempPathFactory, place: str
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (runs.root / place).symlink_to(outside)
    with pytest.raises(UserError, match=f"{place} leads to .*outside.*only what lies in the project"):
        plan("linked")
    assert outside.exists()


def test_a_project_whose_data_lie_elsewhere_is_refused(runs: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("disk") / "data"
    (runs.root / "data").rename(elsewhere)
    (runs.root / "data").symlink_to(elsewhere)
    with pytest.raises(UserError, match="leads to"):
        plan("small")
    assert (elsewhere / "runs/small/manifest.json").exists()


@pytest.mark.parametrize("name", ["../other", "small/events", "params/small.yaml", "/", "..", "", "latest", "theme"])
def test_what_cannot_be_a_run_is_refused(runs: Project, name: str) -> None:
    runs.write("reports/theme/report.css", "p {}")
    before = files(runs.root)
    with pytest.raises(UserError, match="is not the name of a run"):
        plan(name)
    assert files(runs.root) == before


def test_an_unknown_run_is_told_with_those_that_are_there(runs: Project) -> None:
    with pytest.raises(UserError, match="no run 'nowhere'; runs: other, small, small-2"):
        plan("nowhere")


def test_what_is_left_of_a_run_can_be_cleaned(runs: Project) -> None:
    clean(plan("small"))
    runs.write("reports/small/executive.html", "<p>")
    clean(plan("small"))
    assert not of_run(files(runs.root), "reports/small/", "data/runs/small/")


def test_not_while_the_run_is_computed(runs: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patternbook.locks.PATIENCE_S", 0)
    planned = plan("small")
    with alone(RunPaths.of("small").run_lock, ""):
        before = files(runs.root)
        with pytest.raises(UserError, match="run 'small' is being computed by another process"):
            clean(planned)
    assert files(runs.root) == before
