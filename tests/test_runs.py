"""Manifests and the list of runs."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import polars as pl
import pytest
from throwaway import Project

from patternbook import runs
from patternbook.digests import Digests, content_digest
from patternbook.errors import UserError
from patternbook.paths import RunPaths
from patternbook.runs import (
    git_state,
    list_runs,
    params_of,
    read_manifest,
    read_previous,
    read_state,
    write_manifest,
)
from patternbook.usage import Usage, recall, remember

STEPS = {"01_compaction": Usage(2.5, 300_000_000), "report": Usage(1.5, None)}


@pytest.fixture
def finished(project: Project) -> Project:
    """A project with a finished run."""
    params = project.params(eda={"top_products": 7})
    paths = RunPaths.of("small")
    project.write("data/runs/small/findings.json", json.dumps(FINDINGS))
    project.write("data/runs/small/scratch/spill.bin", "x")
    project.write("data/runs/small/pipeline/pytask.lock", "x")
    project.write("reports/small/executive.html", "<p>")
    write_manifest(params, [project.root / "raw/log.csv"], STEPS, Digests(paths.pipeline / "digests.json"))
    return project


FINDINGS = {
    f"eda.{name}": {"value": value}
    for name, value in (
        ("first_event", "2019-10-01T00:00:00"),
        ("last_event", "2019-10-01T02:20:57"),
        ("events", 17429),
        ("revenue", 59442.63),
    )
}


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_manifest_says_what_went_in_and_what_came_out(finished: Project) -> None:
    manifest = read_manifest("small")
    log = finished.root / "raw/log.csv"
    assert manifest["inputs"] == {"raw/log.csv": {"bytes": log.stat().st_size, "sha256": sha256(log)}}
    assert sorted(manifest["outputs"]) == ["data/runs/small/findings.json", "reports/small/executive.html"]
    findings = manifest["outputs"]["data/runs/small/findings.json"]
    assert findings["sha256"] == sha256(RunPaths.of("small").findings)


def test_the_manifest_says_with_what_it_was_made(finished: Project) -> None:
    manifest = read_manifest("small")
    assert manifest["parameters"]["eda"]["top_products"] == 7
    assert manifest["steps"] == {
        "01_compaction": {"seconds": 2.5, "peak_memory_bytes": 300_000_000},
        "report": {"seconds": 1.5, "peak_memory_bytes": None},
    }
    assert manifest["packages"]["polars"]
    assert {"patternbook", "python", "platform", "processor", "git"} <= manifest.keys()
    assert params_of("small").eda.top_products == 7


def test_the_manifest_knows_tables_by_content_and_code_by_file(finished: Project) -> None:
    table = pl.DataFrame({"a": [1, 2]})
    RunPaths.of("small").tables.mkdir()
    table.write_parquet(RunPaths.of("small").tables / "eda.daily.parquet")
    finished.notebook("02_eda", "1")
    write_manifest(finished.params(), [], STEPS, Digests(finished.root / "digests.json"))
    manifest = read_manifest("small")
    assert manifest["tables"] == {"eda.daily": content_digest(table)}
    assert manifest["code"]["notebooks/02_eda.ipynb"] == sha256(finished.root / "notebooks/02_eda.ipynb")
    assert manifest["code"]["patternbook/runs.py"] == sha256(Path(runs.__file__))
    assert any(name.endswith(".sql") for name in manifest["code"])


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\x00"])
def test_an_unreadable_manifest_is_told_and_does_not_hide_the_other_runs(finished: Project, text: str) -> None:
    finished.write("data/runs/spoilt/manifest.json", text)
    assert [(one.run, one.state) for one in list_runs()] == [("small", "finished"), ("spoilt", "manifest unreadable")]
    with pytest.raises(UserError, match=r"data/runs/spoilt/manifest\.json: not a manifest; delete it, then"):
        read_manifest("spoilt")


@pytest.mark.parametrize("name", ["params/small.yaml", "data/runs/small", "../small"])
def test_a_file_is_not_the_name_of_a_run(finished: Project, name: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' is not the name of a run"):
        read_manifest(name)


def test_findings_of_another_version_are_told(finished: Project) -> None:
    with pytest.raises(UserError, match=r"data/runs/small/findings\.json: missing, or not findings of this version"):
        read_state("small")


def test_a_previous_state_that_is_not_one_is_none(finished: Project) -> None:
    for text in ("{", json.dumps({"manifest": {}, "findings": FINDINGS})):
        finished.write("data/runs/small/previous.json", text)
        assert read_previous("small") is None


def test_git_state_knows_commit_and_changes(project: Project) -> None:
    assert git_state() == {"commit": None, "dirty": None}
    identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "raw"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(project.root), *command], check=True)
    clean = git_state()
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    project.write("raw/log.csv", "changed\n")
    assert git_state() == clean | {"dirty": True}


def test_a_run_that_is_not_finished_is_told_with_those_that_are(finished: Project) -> None:
    with pytest.raises(UserError, match="no finished run 'other'; finished runs: small"):
        read_manifest("other")


def test_runs_are_listed_with_what_they_found(finished: Project) -> None:
    (finished.root / "data/runs/begun").mkdir()
    small, begun = list_runs()
    assert (small.run, small.events, small.revenue, small.seconds) == ("small", 17429, 59442.63, 4.0)
    assert (small.first_event, small.currency) == ("2019-10-01T00:00:00", "USD")
    assert (begun.run, begun.finished_at, begun.events) == ("begun", None, None)


def test_no_runs_is_an_empty_list(project: Project) -> None:
    assert list_runs() == []


def test_a_digest_is_computed_once_while_size_and_time_stay(tmp_path: Path) -> None:
    file, cache = tmp_path / "a", tmp_path / "cache.json"
    file.write_text("one")
    digests = Digests(cache)
    first = digests.of(file)
    digests.save()
    assert first == sha256(file)
    cache.write_text(cache.read_text().replace(str(first), "remembered"))
    assert Digests(cache).of(file) == "remembered"
    file.write_text("other")
    assert Digests(cache).of(file) == sha256(file)
    assert Digests(cache).of(tmp_path / "none") is None


def test_a_spoilt_cache_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "cache.json").write_text("{")
    (tmp_path / "a").write_text("one")
    assert Digests(tmp_path / "cache.json").of(tmp_path / "a") == sha256(tmp_path / "a")


def test_usage_is_remembered_by_step(tmp_path: Path) -> None:
    for step, usage in STEPS.items():
        remember(tmp_path / "usage", step, usage)
    assert recall(tmp_path / "usage", [*STEPS, "never run"]) == STEPS
