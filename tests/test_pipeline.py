"""The graph: what runs, in which order, why, and what a failure does to the rest."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from throwaway import Project

from patternbook import execution, pipeline, report
from patternbook.errors import UserError
from patternbook.imports import notebook_code
from patternbook.params import Params
from patternbook.paths import RunPaths
from patternbook.pipeline import NOTEBOOKS, Notebook
from patternbook.runs import read_previous
from patternbook.usage import Usage
from patternbook.warehouse.contracts import MARTS

GRAPH = (
    Notebook("01_compact", reads=("source",)),
    Notebook("02_second", reads=("eda",), after=("01_compact",)),
    Notebook("03_third", reads=("funnel",), after=("01_compact",)),
    Notebook("04_last", reads=(), after=("02_second", "03_third")),
)
COMPUTED = [notebook.name for notebook in GRAPH]
FINDING = {"unit": "count", "kind": "measured", "label": "Answer", "cell": "fig-x", "low": None, "high": None}
RECORD = f"""
import json, os, pathlib
root = pathlib.Path(os.environ["PATTERNBOOK_ROOT"])
home = root / "data/runs/small"
def record(notebook, value=42):
    (home / "findings").mkdir(parents=True, exist_ok=True)
    finding = {{**{FINDING!r}, "value": value, "notebook": notebook}}
    (home / f"findings/{{notebook}}.json").write_text(json.dumps({{f"{{notebook[3:]}}.answer": finding}}))
    with (root / "log.txt").open("a") as log:
        log.write(notebook + "\\n")
def compact():
    (home / "marts").mkdir(parents=True, exist_ok=True)
    for name in {list(MARTS)!r}:
        (home / f"marts/{{name}}.parquet").write_text((root / "raw/log.csv").read_text())
    for name in ("compaction.json", "products.parquet"):
        (home / name).write_text("{{}}")
"""


@pytest.fixture
def graph(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of four notebooks, run in this process, and a renderer that writes next to nothing."""
    project.notebook("01_compact", RECORD, "compact(); record('01_compact')")
    for name in COMPUTED[1:]:
        project.notebook(name, RECORD, f"record({name!r})")
    monkeypatch.setattr(execution, "execute_notebook", run_in_process)
    monkeypatch.setattr(report, "render_report", render, raising=False)
    project.values["engine"] = {"threads": 1}  # one worker is quicker than two that have nothing to do
    return project


def run_in_process(notebook: Path, target: Path, *_: object, **__: object) -> Usage:
    exec(compile(notebook_code(notebook), str(notebook), "exec"), {})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"executed": time.time_ns()}))
    return Usage(0.5, 1000)


def render(params: Params, hashes: dict[Path, str]) -> SimpleNamespace:
    assert all(len(digest) == 64 for digest in hashes.values())
    folder = RunPaths.of(params.run).report
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "executive.html").write_text(f"<p>{params.report.title}</p>")
    (folder / "executive.pdf").write_text("%PDF")
    return SimpleNamespace(notes=["drawn without a browser"])


def run(params: Params, **options: Any) -> pipeline.Outcome:
    return pipeline.run(params, notebooks=GRAPH, console=Console(quiet=True), **options)


def log(project: Project) -> list[str]:
    return (project.root / "log.txt").read_text().split()


def test_everything_runs_once_and_in_order(graph: Project) -> None:
    outcome = run(graph.params())
    assert outcome.exit_code == 0
    assert sorted(log(graph)) == COMPUTED
    assert (log(graph)[0], log(graph)[-1]) == ("01_compact", "04_last")
    assert outcome.ran[-2:] == ["findings", "report"]
    assert outcome.notes == ["drawn without a browser"]
    findings = json.loads(RunPaths.of("small").findings.read_text())
    assert list(findings) == sorted(f"{name[3:]}.answer" for name in COMPUTED)
    assert outcome.html == graph.root / "reports/small/executive.html"


def test_an_unchanged_run_does_nothing(graph: Project) -> None:
    run(graph.params())
    manifest = RunPaths.of("small").manifest.read_bytes()
    again = run(graph.params())
    assert (again.ran, again.exit_code) == ([], 0)
    assert again.html
    assert RunPaths.of("small").manifest.read_bytes() == manifest


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda project: project.params(eda={"top_products": 5}), ["02_second", "04_last", "report"]),
        (lambda project: project.params(report={"title": "Other"}), ["report"]),
        (lambda project: project.params(expect={"second.answer": {"min": 1}}), ["report"]),
        (lambda project: project.write("raw/log.csv", "other\n"), [*COMPUTED, "report"]),
        (lambda project: project.notebook("03_third", RECORD, "record('03_third', 43)"),
         ["03_third", "04_last", "findings", "report"]),
        (lambda project: RunPaths.of("small").mart("daily").unlink(), ["01_compact", "report"]),  # as it was
        (lambda project: (project.root / "reports/small/executive.pdf").unlink(), ["report"]),
    ],
    ids=["section", "report only", "expect", "input", "notebook", "lost mart", "lost report"],
)  # fmt: skip
def test_only_what_a_change_concerns_runs_again(graph: Project, change: Any, expected: list[str]) -> None:
    run(graph.params())
    change(graph)
    assert sorted(run(graph.params()).ran) == expected


def test_a_touched_input_is_not_a_changed_one(graph: Project) -> None:
    run(graph.params())
    (graph.root / "raw/log.csv").touch()
    assert run(graph.params()).ran == []


def test_a_file_less_is_a_change(graph: Project) -> None:
    graph.write("raw/more.csv", "x\n")
    run(graph.params(source={"kind": "clickstream", "files": ["raw/*.csv"]}))
    (graph.root / "raw/more.csv").unlink()
    assert "01_compact" in run(graph.params()).ran


def move_on(project: Project, value: int) -> None:
    """Let a notebook find something else."""
    project.notebook("03_third", RECORD, f"record('03_third', {value})")
    assert run(project.params()).exit_code == 0


def previous() -> tuple[int, list[str]] | None:
    """What `previous.json` says the third notebook had found, and the files of its manifest's input."""
    kept = read_previous("small")
    return kept and (kept.findings["third.answer"].value, list(kept.manifest["inputs"]))


def test_the_first_run_has_no_previous_state(graph: Project) -> None:
    run(graph.params())
    assert read_previous("small") is None


def test_the_last_findings_are_kept_when_others_are_found(graph: Project) -> None:
    run(graph.params())
    move_on(graph, 43)
    assert previous() == (42, ["raw/log.csv"])
    move_on(graph, 44)
    assert previous() == (43, ["raw/log.csv"])


def test_a_run_that_finds_the_same_keeps_the_state_before(graph: Project) -> None:
    run(graph.params())
    move_on(graph, 43)
    assert run(graph.params(report={"title": "Other"})).ran == ["report"]
    graph.notebook("03_third", RECORD, "record('03_third', 43)", "# said again")
    assert "03_third" in run(graph.params()).ran
    assert previous() == (42, ["raw/log.csv"])


def test_findings_of_a_run_that_did_not_finish_are_no_previous_state(
    graph: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(graph.params())

    def fail(*_: object) -> None:
        raise RuntimeError("no paper")

    with monkeypatch.context() as patch:
        patch.setattr(report, "render_report", fail)
        graph.notebook("03_third", RECORD, "record('03_third', 43)")
        assert run(graph.params()).exit_code == 1
    move_on(graph, 44)
    assert previous() == (42, ["raw/log.csv"])


def test_the_report_is_rendered_again_when_what_it_is_compared_with_changes(graph: Project) -> None:
    run(graph.params())
    move_on(graph, 43)
    assert run(graph.params()).ran == []
    RunPaths.of("small").previous.unlink()
    assert run(graph.params()).ran == ["report"]
    assert run(graph.params()).ran == []


def test_a_report_can_be_compared_with_another_run(graph: Project) -> None:
    with pytest.raises(UserError, match="no finished run 'last_month'; finished runs: none yet"):
        run(graph.params(report={"compare_with": "last_month"}))
    run(graph.params(report={}))
    shutil.copytree(graph.root / "data/runs/small", graph.root / "data/runs/last_month")
    assert run(graph.params(report={"compare_with": "last_month"})).ran == ["report"]
    assert run(graph.params()).ran == []
    findings = RunPaths.of("last_month").findings
    findings.write_text(findings.read_text().replace("42", "7"))
    assert run(graph.params()).ran == ["report"]


def test_the_outcome_tells_how_each_step_ended(graph: Project) -> None:
    outcome = run(graph.params())
    assert outcome.seconds.keys() == {*COMPUTED, "findings", "report"}
    assert outcome.current == []
    graph.notebook("03_third", "1 / 0")
    outcome = run(graph.params())
    assert sorted(outcome.current) == ["01_compact", "02_second"]
    assert outcome.seconds.keys() == {"03_third"}


def test_until_runs_a_notebook_and_what_it_needs(graph: Project) -> None:
    outcome = run(graph.params(), until="03")
    assert outcome.ran == ["01_compact", "03_third"]
    assert outcome.html is None
    assert not RunPaths.of("small").manifest.exists()


@pytest.mark.parametrize("until", ["07", "0"])
def test_until_must_name_one_notebook(graph: Project, until: str) -> None:
    with pytest.raises(UserError, match=r"--until.*01_compact, 02_second"):
        run(graph.params(), until=until)


def test_a_failure_leaves_the_others_alone(graph: Project) -> None:
    graph.notebook("02_second", "1 / 0")
    outcome = run(graph.params())
    assert outcome.exit_code == 1
    assert [failure.step for failure in outcome.failures] == ["02_second"]
    assert sorted(outcome.ran) == ["01_compact", "03_third"]
    assert sorted(outcome.not_run) == ["04_last", "findings", "report"]
    graph.notebook("02_second", RECORD, "record('02_second')")
    assert sorted(run(graph.params()).ran) == ["02_second", "04_last", "findings", "report"]


def test_an_interrupted_or_failed_run_has_no_manifest(graph: Project) -> None:
    run(graph.params())
    graph.notebook("02_second", "1 / 0")
    run(graph.params())
    assert not RunPaths.of("small").manifest.exists()


def test_a_notebook_that_records_nothing_fails(graph: Project) -> None:
    graph.notebook("02_second", "pass")
    outcome = run(graph.params())
    assert outcome.exit_code == 1
    assert "02_second.json" in outcome.failures[0].message


def test_bad_input_found_by_a_notebook_is_the_users(graph: Project) -> None:
    graph.notebook("01_compact", "from patternbook.errors import UserError\nraise UserError('log.csv: empty')")
    outcome = run(graph.params())
    assert outcome.exit_code == 2
    assert [failure.message for failure in outcome.failures] == ["log.csv: empty"]


def test_a_missing_input_stops_before_anything_runs(graph: Project) -> None:
    with pytest.raises(UserError, match=r"raw/none\.csv: no such file; set source\.folder and source\.files"):
        run(graph.params(source={"kind": "clickstream", "files": ["raw/none.csv"]}))
    assert not (graph.root / "log.txt").exists()


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ({"second.answer": {"min": 50}}, "expect second.answer: 42 is below the minimum 50.0"),
        ({"second.answer": {"max": 40}}, "expect second.answer: 42 is above the maximum 40.0"),
        ({"second.other": {"min": 0}}, "expect second.other: no number to compare (this run has no such finding)"),
    ],
)
def test_a_broken_expectation_is_an_error_but_the_report_is_there(
    graph: Project, bound: dict[str, Any], said: str
) -> None:
    outcome = run(graph.params(expect=bound))
    assert (outcome.exit_code, outcome.broken) == (1, dict.fromkeys(bound, said))
    assert outcome.html
    assert outcome.html.exists()
    assert run(graph.params()).exit_code == 1


def test_a_finding_recorded_twice_is_an_error(graph: Project) -> None:
    copy = "(home / 'findings/03_third.json').write_text((home / 'findings/01_compact.json').read_text())"
    graph.notebook("03_third", RECORD, copy)
    outcome = run(graph.params())
    assert "compact.answer is recorded by both 01_compact and 03_third" in outcome.failures[0].message


def test_explain_says_why_and_runs_nothing(graph: Project) -> None:
    run(graph.params())
    before = log(graph)
    reasons = pipeline.explain(graph.params(eda={"top_products": 5}), notebooks=GRAPH)
    assert reasons["01_compact"] == reasons["03_third"] == []
    assert reasons["02_second"] == ["section 'eda' has changed"]
    assert reasons["04_last"] == ["02_second would run"]
    assert log(graph) == before


def test_explain_before_the_first_run(graph: Project) -> None:
    assert "section 'source' is new" in pipeline.explain(graph.params(), notebooks=GRAPH)["01_compact"]


def test_rerender_renders_a_current_report_again_and_leaves_it_current(graph: Project) -> None:
    run(graph.params())
    page = graph.root / "reports/small/executive.html"
    page.write_text("spoilt")
    assert pipeline.rerender(graph.params(), notebooks=GRAPH, console=Console(quiet=True)).ran == ["report"]
    assert page.read_text() != "spoilt"
    assert run(graph.params()).ran == []


def test_a_run_is_computed_by_one_process_at_a_time(graph: Project) -> None:
    params = graph.params()
    state = RunPaths.of("small").pipeline
    state.mkdir(parents=True)
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="run 'small' is being computed by another process"):
            run(params)
    assert run(params).exit_code == 0


def test_a_cell_that_is_no_python_fails_when_it_is_run(graph: Project) -> None:
    graph.notebook("02_second", "x = = 1")
    assert [failure.step for failure in run(graph.params()).failures] == ["02_second"]


def test_with_real_kernels_two_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "render_report", render, raising=False)
    meeting = "import time\n(root / name).touch()\nwhile not (root / other).exists(): time.sleep(0.05)"
    project.notebook("01_compact", RECORD, "compact(); record('01_compact')")
    project.notebook("02_second", RECORD, "name, other = 'a', 'b'", meeting, "record('02_second')")
    project.notebook(
        "03_third", RECORD, "name, other = 'b', 'a'", meeting, "record('03_third')", "#| label: fig-z\n1 / 0"
    )
    project.notebook("04_last", RECORD, "record('04_last')")
    outcome = run(project.params())
    assert sorted(outcome.ran) == ["01_compact", "02_second"]
    assert "03_third: cell In [7] (fig-z): ZeroDivisionError" in outcome.failures[0].message


def test_ctrl_c_ends_at_once(project: Project) -> None:
    project.notebook("01_compaction", RECORD, "(root / 'started').touch()", "import time; time.sleep(120)")
    for other in NOTEBOOKS[1:]:
        project.notebook(other.name)
    project.params()
    command = [sys.executable, "-m", "patternbook.cli", "run", str(project.params_file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not (project.root / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "Traceback" not in said
