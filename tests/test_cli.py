"""The command line: what it prints and its exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from throwaway import Project
from typer.testing import CliRunner, Result

from patternbook import __version__, cli, pipeline
from patternbook.errors import UserError
from patternbook.pipeline import Failure, Outcome

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
    for command in ("run", "check", "init", "simulate", "report", "runs"):
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
        (Outcome(broken=["expect eda.revenue: 1 is below"]), 1, "expect eda.revenue: 1 is below"),
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
    assert "leaves itself out" not in result.stdout


def test_check_says_what_is_left_out(log: Project) -> None:
    log.write("raw/till.csv", "bon,time,article,units,total\n1,2019-10-01,9,1,2.50\n")
    columns = {"order_id": "bon", "event_time": "time", "product_id": "article", "quantity": "units", "amount": "total"}
    log.params(source={"kind": "transactions", "files": ["raw/till.csv"], "columns": columns})
    assert "06_funnel_temporal leaves itself out: order lines hold no views" in call("check", log.params_file).stdout


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
