"""The command line: what it prints and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from throwaway import Project
from typer.testing import CliRunner, Result

from patternbook import __version__, cli, pipeline, verification
from patternbook.circumstances import Change, Circumstances
from patternbook.digests import Digests
from patternbook.errors import UserError
from patternbook.pipeline import Failure, Outcome
from patternbook.runs import write_manifest
from patternbook.verification import Difference, Verification

NOTHING = Circumstances([], [], [], [], "Both read the same data.")

LOG = """event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,1,2,electronics,acme,9.99,7,a-b
2019-10-01 00:00:01 UTC,cart,1,2,electronics,acme,9.99,7,a-b
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture
def log(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a small log, seen from its root."""
    project.write("raw/log.csv", LOG)
    project.params()
    monkeypatch.chdir(project.root)
    return project


def outcome(monkeypatch: pytest.MonkeyPatch, made: Outcome) -> list[dict[str, object]]:
    """Let `pipeline.run` return `made`; returns what it is called with."""
    calls: list[dict[str, object]] = []

    def run(params: object, **options: object) -> Outcome:
        calls.append({"params": params, **options})
        return made

    monkeypatch.setattr(pipeline, "run", run)
    return calls


def test_version() -> None:
    assert call("--version").stdout.strip() == f"patternbook {__version__}"


def test_help_names_every_command() -> None:
    text = call("--help").stdout
    for command in ("run", "check", "init", "simulate", "report", "verify", "compare", "clean", "runs"):
        assert command in text


def test_run_prints_where_the_report_lies(log: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = log.root / "reports/small"
    made = Outcome(html=folder / "executive.html", pdf=folder / "executive.pdf", notes=["[drawn] by hand"])
    calls = outcome(monkeypatch, made)
    result = call("run", log.params_file, "--set", "engine.threads=1", "--set", "eda.top_products=3", "--until", "06")
    assert result.exit_code == 0
    assert result.stdout.split("\n")[:3] == [
        "[drawn] by hand",
        "HTML  reports/small/executive.html",
        "PDF   reports/small/executive.pdf",
    ]
    assert calls[0]["until"] == "06"
    assert (calls[0]["params"].engine.threads, calls[0]["params"].eda.top_products) == (1, 3)


@pytest.mark.parametrize(
    ("made", "code", "said"),
    [
        (Outcome(failures=[Failure("02_eda", "02_eda: cell In [3]: boom", False)]), 1, "02_eda: cell In [3]: boom"),
        (Outcome(failures=[Failure("01_compaction", "log.csv, line 3: odd", True)]), 2, "log.csv, line 3: odd"),
        (Outcome(broken={"eda.revenue": "expect eda.revenue: 1 is below"}), 1, "expect eda.revenue: 1 is below"),
    ],
    ids=["failed", "bad input", "broken"],
)
def test_exit_codes(log: Project, monkeypatch: pytest.MonkeyPatch, made: Outcome, code: int, said: str) -> None:
    outcome(monkeypatch, made)
    result = call("run", log.params_file)
    assert (result.exit_code, result.stderr.strip()) == (code, said)


def test_a_user_error_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "patternbook.cli", "run", "params/none.yaml"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("params/none.yaml: no such parameter file")


def test_check_shows_the_mapping_and_what_will_run(log: Project) -> None:
    result = call("check", log.params_file)
    assert result.exit_code == 0
    assert "customer_id" in result.stdout
    assert "user_id" in result.stdout
    assert "2019-10-01 00:00:01 UTC" in result.stdout
    for notebook in pipeline.NOTEBOOKS:
        assert notebook.name in result.stdout
    assert "leaves out" not in result.stdout


def test_check_says_what_is_left_out(log: Project) -> None:
    log.write("raw/till.csv", "bon,time,article,units,total\n1,2019-10-01,9,1,2.50\n")
    columns = {"order_id": "bon", "event_time": "time", "product_id": "article", "quantity": "units", "amount": "total"}
    log.params(source={"kind": "transactions", "files": ["raw/till.csv"], "columns": columns})
    assert (
        "06_funnel_temporal leaves out its funnel: order lines hold no views" in call("check", log.params_file).stdout
    )


def test_check_finds_bad_input(log: Project) -> None:
    log.write("raw/log.csv", "time,event_type\n1,view\n")
    result = call("check", log.params_file)
    assert isinstance(result.exception, UserError)
    assert "event_time" in str(result.exception)


def test_init_writes_a_file_that_check_accepts_and_never_overwrites(log: Project) -> None:
    log.write("downloads/My-Log.csv", LOG)
    result = call("init", "downloads/My-Log.csv")
    assert result.exit_code == 0, result.exception
    assert (log.root / "params/My-Log.yaml").exists()
    assert call("check", "params/My-Log.yaml").exit_code == 0
    assert "exists already" in str(call("init", "downloads/My-Log.csv").exception)


def test_simulate_writes_the_market(log: Project) -> None:
    log.params(source={"kind": "simulated", "events": 20_000, "months": 2})
    result = call("simulate", log.params_file, "--events", "10000")
    assert result.exit_code == 0, result.exception
    files = sorted((log.root / "data/raw/small").glob("*.csv"))
    assert files
    assert all(file.name in result.stdout for file in files)


def test_only_a_simulated_market_can_be_simulated(log: Project) -> None:
    assert "only a simulated market" in str(call("simulate", log.params_file).exception)


def test_report_needs_a_finished_run(log: Project) -> None:
    assert "no finished run 'other'" in str(call("report", "other").exception)


def test_runs_without_any_says_how_to_make_one(log: Project) -> None:
    assert "no runs yet" in call("runs").stdout


def test_explain_prints_reasons(log: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"01_compaction": [], "02_eda": ["section 'eda' has changed"]}
    monkeypatch.setattr(pipeline, "explain", lambda params, until: steps)
    result = call("run", log.params_file, "--explain")
    assert result.stdout.split("\n")[:3] == [
        "01_compaction: current",
        "02_eda: would run",
        "  - section 'eda' has changed",
    ]


def lay_run(project: Project, run: str, customers: int, share: float) -> None:
    """A finished run, as far as the commands that read one look at it."""
    params = project.params(run=run)
    place = {"notebook": "02_eda", "cell": "tbl-kpis", "label": "Customers", "kind": "measured"}
    findings = {
        "eda.customers": {"value": customers, "unit": "count", "low": None, "high": None, **place},
        "funnel.conversion": {"value": share, "unit": "share", "low": share - 0.01, "high": share + 0.01, **place},
    }
    project.write(f"data/runs/{run}/findings.json", json.dumps(findings))
    write_manifest(params, [project.root / "raw/log.csv"], {}, Digests(project.root / "digests.json"))


@pytest.fixture
def two_runs(log: Project) -> Project:
    """A project with two finished runs."""
    lay_run(log, "may", 1000, 0.10)
    lay_run(log, "june", 1200, 0.15)
    return log


def test_compare_shows_what_moved_and_how_to_read_it(two_runs: Project) -> None:
    result = call("compare", "may", "june")
    assert result.exit_code == 0, result.exception
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0].startswith("may (")
    assert "→ june (" in lines[0]
    assert "funnel.conversion 10.0% 15.0% +5.00 pp +50.0% beyond" in lines
    assert "eda.customers 1,000 1,200 +200 +20.0% changed" in lines
    assert any(line.startswith("Both read the same data") for line in lines)
    assert "1 moved beyond the intervals, 1 changed without an interval to judge by; 0 the same" in " ".join(lines)


def test_compare_can_be_read_by_machines(two_runs: Project) -> None:
    told = json.loads(call("compare", "may", "june", "--json").stdout)
    assert (told["before"]["run"], told["after"]["run"], told["findings"]) == ("may", "june", 2)
    assert [(move["id"], move["verdict"]) for move in told["moved"]] == [
        ("funnel.conversion", "beyond"),
        ("eda.customers", "changed"),
    ]


def test_compare_of_equal_runs_says_so(two_runs: Project) -> None:
    assert "all 2 findings are the same" in call("compare", "may", "may").stdout


def test_compare_of_one_run_needs_earlier_findings(two_runs: Project) -> None:
    assert "run 'may' has no earlier findings to compare with" in str(call("compare", "may").exception)


@pytest.mark.parametrize("command", ["verify", "compare", "clean", "report"])
def test_a_file_where_a_run_is_wanted_is_told(two_runs: Project, command: str) -> None:
    error = call(command, "params/small.yaml").exception
    assert isinstance(error, UserError)
    assert "'params/small.yaml' is not the name of a run; params/small.yaml names its run" in str(error)


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        ({}, 0, "run 'may' reproduces: all 2 findings and 1 table are the same"),
        ({"differences": [Difference("finding", "eda.customers", "1000", "1001")]}, 1, "not reproduce: of 2 findings"),
        ({"failures": ["02_eda: boom"]}, 1, "could not be repeated: 02_eda: boom"),
        ({"tampered": ["findings.json"]}, 1, "findings.json: changed since the run was made"),
        ({"circumstances": NOTHING._replace(versions=[Change("polars", "1", "2")])}, 0, "polars: 1 → 2"),
        ({"circumstances": NOTHING._replace(inputs=[Change("a.csv", "1", "—")])}, 1, "a.csv (gone)"),
    ],
    ids=["same", "differs", "fails", "tampered", "versions", "input"],
)  # fmt: skip
def test_verify_says_why_and_whether(
    two_runs: Project, monkeypatch: pytest.MonkeyPatch, found: dict[str, object], code: int, said: str
) -> None:
    same = Verification(2, 1, NOTHING, [], [], [], None)
    monkeypatch.setattr(verification, "verify", lambda run, keep: same._replace(**found))
    result = call("verify", "may")
    assert (result.exit_code, said in result.stdout) == (code, True), result.stdout


def test_clean_asks_and_says_what_goes(two_runs: Project) -> None:
    refused = CliRunner().invoke(cli.app, ["clean", "may"], input="n\n")
    assert refused.exit_code == 1
    assert "data/runs/may" in refused.stdout
    assert (two_runs.root / "data/runs/may/manifest.json").exists()
    assert call("clean", "may", "--yes").exit_code == 0
    assert not (two_runs.root / "data/runs/may").exists()
    assert (two_runs.root / "data/runs/june/manifest.json").exists()


def test_runs_shows_broken_and_incomplete_ones(two_runs: Project) -> None:
    two_runs.write("data/runs/spoilt/manifest.json", "{")
    two_runs.write("data/runs/begun/findings/01_compaction.json", "{}")
    rows = [" ".join(line.split()) for line in call("runs").stdout.splitlines()]
    assert "spoilt manifest unreadable" in rows
    assert "begun incomplete" in rows
    assert {row.split()[0] for row in rows[1:]} == {"may", "june", "spoilt", "begun"}


def test_junit_is_written_with_steps_and_expectations(log: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    log.params(expect={"eda.revenue": {"min": 1}})
    outcome(monkeypatch, Outcome(ran=["01_compaction"], broken={"eda.revenue": "too low"}, html=Path("x.html")))
    assert call("run", log.params_file, "--junit", "ci/junit.xml").exit_code == 1
    root = ElementTree.parse(log.root / "ci/junit.xml").getroot()
    assert [case.get("name") for case in root.iter("testcase")] == ["01_compaction", "eda.revenue"]


def test_junit_is_written_when_the_input_is_missing(log: Project) -> None:
    (log.root / "raw/log.csv").unlink()
    assert isinstance(call("run", log.params_file, "--junit", "junit.xml").exception, UserError)
    error = ElementTree.parse(log.root / "junit.xml").getroot().find(".//error")
    assert error is not None
    assert "no such file" in str(error.text)
