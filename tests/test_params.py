"""Parameter files: what is read, and the one message for each mistake."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from patternbook.errors import UserError
from patternbook.params import load_params, notebook_params, params_from
from patternbook.paths import project_root
from patternbook.report import variables

SMALL = "run: small\nsource: {kind: simulated}\n"
LOG = "run: log\nsource:\n  kind: clickstream\n  files: [log.csv]\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "small.yaml"


def loaded(file: Path, text: str, *overrides: str) -> object:
    file.write_text(text, "utf-8")
    return load_params(file, overrides)


@pytest.mark.parametrize("given", sorted((project_root() / "params").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_parameter_file_of_the_project_is_valid(given: Path) -> None:
    assert load_params(given).run == given.stem


def test_three_lines_are_enough(file: Path) -> None:
    params = loaded(file, "run: log\nsource: {kind: clickstream, files: [log.csv]}\n")
    assert params.source.columns.customer_id == "user_id"
    assert params.engine.memory_limit == "4GB"


@pytest.mark.parametrize(("text", "size"), [("4GB", 4e9), ("500MB", 5e8), ("1.5 GiB", 1.5 * 1024**3), ("2MiB", 2**21)])
def test_memory_limit_in_bytes(file: Path, text: str, size: float) -> None:
    assert loaded(file, SMALL + f"engine: {{memory_limit: {text}}}\n").engine.memory_bytes == size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL + "curency: {code: EUR}\n", r"line 3: unknown key 'curency'; did you mean 'currency'\?"),
        (SMALL + "engine:\n  thread: 4\n", r"line 4: unknown key 'engine\.thread'; did you mean 'threads'\?"),
        (
            LOG + "  session_gap: 5\n",
            r"line 5: unknown key 'source\.session_gap'; did you mean 'session_gap_minutes'\?",
        ),
        (LOG + "  columns: {custmer_id: x}\n", r"line 5: unknown key 'source\.columns\.custmer_id'"),
        (SMALL + "engine: {threads: many}\n", r"line 3: key 'engine\.threads': .*integer.*given: 'many'"),
        (SMALL + "engine: {threads: 0}\n", r"line 3: key 'engine\.threads': .*greater than or equal to 1"),
        (SMALL + "period:\n  from: 2019-02-30\n", r"line 4: key 'from': 2019-02-30 is not a date"),
        (SMALL + "period: {from: 2019-03-01, to: 2019-02-01}\n", r"line 3: key 'period': from .* is after to"),
        (SMALL + "report: {time_zone: Mars}\n", r"line 3: key 'report\.time_zone': 'Mars' is not a time zone"),
        (SMALL + "expect: {eda.revenue: {}}\n", r"line 3: key 'expect\.eda\.revenue': needs min or max"),
        (SMALL + "run: again\n", r"line 3: key 'run' stands twice"),
        ("run: latest\nsource: {kind: simulated}\n", r"run may not be called 'latest'"),
        ("run: Ä\nsource: {kind: simulated}\n", r"line 1: key 'run'"),
        ("run: x\n", r"key 'source' is missing"),
        ("run: x\nsource: {files: [a.csv]}\n", r"line 2: key 'source\.kind' is missing"),
        ("run: x\nsource: {kind: kafka}\n", r"line 2: key 'source\.kind': 'kafka' is none of"),
        ("run: x\nsource: {kind: clickstream, files: []}\n", r"line 2: key 'source\.files'"),
        (SMALL + "churn: {high_risk: 0.2}\n", r"key 'churn': medium_risk \(0\.3\) must be below high_risk \(0\.2\)"),
        (SMALL + "churn: {high_value: 0.5}\n", r"key 'churn': high_value \(0\.5\) must be below medium_value"),
        (SMALL + "churn: {horizon_days: 45}\n", r"key 'churn\.horizon_days'"),
        (SMALL + "churn: {prevention: {high: {top: x}}}\n", r"unknown key 'churn\.prevention\.high\.top'"),
        ("run: [x\nsource: y\n", r"line 2: not valid YAML"),
        ("", "empty, or not a mapping"),
        ("- a\n", "empty, or not a mapping"),
    ],
)
def test_a_mistake_is_one_message_with_file_line_and_key(file: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=rf"^{file}.*{said}") as error:
        loaded(file, text)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UserError, match=r"^params/none\.yaml: no such parameter file"):
        load_params("params/none.yaml")


def test_a_file_that_is_not_text_is_named(file: Path) -> None:
    file.write_bytes(b"run: caf\xe9\n")
    with pytest.raises(UserError, match="not UTF-8"):
        load_params(file)


def test_overrides_reach_nested_keys(file: Path) -> None:
    params = loaded(file, SMALL, "engine.threads=1", "source.events=20000", "period.from=2024-08-01")
    assert (params.engine.threads, params.source.events) == (1, 20_000)
    assert f"{params.period.from_}" == "2024-08-01"


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("engine.threads=1", "source.events=20000", "period.from=2024-08-01"),
        ('run="2024"', "filter=region = 'DE' AND price > 0", 'report.title="yes: it\'s"'),
        ("funnel={by: device}", 'basket.exclude_products=["1", b]', "propensity.cutoff=auto"),
    ],
)
def test_overrides_are_told_from_the_parameters_and_a_shell_reads_them_back(file: Path, given: tuple[str, ...]) -> None:
    params = loaded(file, SMALL, *given)
    words = shlex.split(variables.command(params))
    assert words[:3] == ["patternbook", "run", str(file)]
    assert set(words[3::2]) <= {"--set"}
    assert load_params(words[2], words[4::2]) == params
    assert len(words[4::2]) == len(given)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("engine.threads", "write key=value"),
        ("engine.threads=[", "not valid YAML"),
        ("run.x=1", "'run' is a value, not a section"),
        ("engine.thread=1", "unknown key 'engine.thread'"),
    ],
)
def test_a_wrong_override_is_named(file: Path, override: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        loaded(file, SMALL, override)


def test_event_codes_may_be_numbers(file: Path) -> None:
    assert loaded(file, LOG + "  event_names: {1: view, 4: purchase}\n").source.event_names["4"] == "purchase"


def test_files_are_found_from_the_root_and_from_home(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATTERNBOOK_ROOT", str(tmp_path / "project"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    wanted = [tmp_path / name for name in ("home/b.csv", "project/data/a1.csv", "project/data/a2.csv")]
    for one in wanted:
        one.parent.mkdir(parents=True, exist_ok=True)
        one.touch()
    params = loaded(file, "run: x\nsource: {kind: clickstream, folder: data, files: [~/b.csv, a*.csv, a1.csv]}\n")
    assert params.source.matches() == wanted


def test_a_pattern_without_a_file_is_named(file: Path) -> None:
    params = loaded(file, "run: x\nsource: {kind: clickstream, folder: data, files: [none*.csv]}\n")
    with pytest.raises(UserError, match=r"data/none\*\.csv: no such file; set source\.folder and source\.files"):
        params.source.matches()


def test_what_a_notebook_is_handed_reads_back_the_same(file: Path) -> None:
    params = loaded(file, SMALL + "period: {from: 2024-08-01}\nexpect: {eda.revenue: {min: 1}}\n")
    handed = params.to_notebook()
    assert params_from(handed, "manifest").to_notebook() == handed
    assert notebook_params({**handed, "In": [""], "pl": object()}).to_notebook() == handed


def test_a_notebook_without_parameters_reads_the_file_that_the_environment_names(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(file, SMALL)
    monkeypatch.setenv("PATTERNBOOK_PARAMS", str(file))
    assert notebook_params({"run": None, "source": None}).run == "small"


def test_an_unknown_parameter_of_a_notebook_is_an_error() -> None:
    cells = ["", '# Parameters\nrun = "x"\nengin = {"threads": 1}\n']
    with pytest.raises(UserError, match="unknown key 'engin'; did you mean 'engine'"):
        notebook_params({"run": "x", "engin": {}, "In": cells})
