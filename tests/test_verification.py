"""A run is computed again and compared: what is the same, what differs, and what is not as it was."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from test_pipeline import render, run_in_process
from throwaway import Project

from patternbook import execution, pipeline, report
from patternbook.digests import content_digest
from patternbook.errors import UserError
from patternbook.locks import alone
from patternbook.paths import RunPaths
from patternbook.pipeline import Notebook
from patternbook.runs import read_manifest
from patternbook.verification import Verification, verify
from patternbook.warehouse.contracts import MARTS

GRAPH = (Notebook("01_compact", reads=("source",)), Notebook("02_count", reads=("eda",), after=("01_compact",)))
OPEN = """
import os, pathlib
import polars as pl
from patternbook.findings import Recorder
from patternbook.params import load_params
root = pathlib.Path(os.environ["PATTERNBOOK_ROOT"])
params = load_params(root / "params/small.yaml")
"""
COMPACT = f"""
book = Recorder("01_compact", params)
if params.source.kind == "simulated":
    from patternbook.simulation import simulate
    simulate(params.source, book.paths.raw)
log = (root / "raw/log.csv").read_text()
for name in {list(MARTS)!r}:
    book.paths.marts.mkdir(parents=True, exist_ok=True)
    book.paths.mart(name).write_text(log)
for name in ("compaction.json", "products.parquet"):
    (book.paths.home / name).write_text("{{}}")
book.finding("compact.bytes", len(log), unit="bytes", label="Size", cell="tbl-x")
book.save()
"""
COUNT = """
book = Recorder("02_count", params)
words = pl.Series("word", book.paths.mart("daily").read_text().split())
book.finding("count.words", len(words), unit="count", label="Words", cell="tbl-y")
size = words.str.len_chars()
book.table("count.words", pl.DataFrame({"word": words, "size": size, "share": 1 / size}))
book.save()
"""
recompute = partial(pipeline.recompute, notebooks=GRAPH, console=Console(quiet=True))
check = partial(verify, "small", recompute=recompute)


@pytest.fixture
def finished(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A finished run of two notebooks, run in this process."""
    monkeypatch.setattr(execution, "execute_notebook", run_in_process)
    monkeypatch.setattr(report, "render_report", render, raising=False)
    project.values["engine"] = {"threads": 1}
    project.write("raw/log.csv", "to be or not to be")
    project.notebook("01_compact", OPEN, COMPACT)
    project.notebook("02_count", OPEN, COUNT)
    finish(project)
    return project


def finish(project: Project, **sections: Any) -> None:
    outcome = pipeline.run(project.params(**sections), notebooks=GRAPH, console=Console(quiet=True))
    assert outcome.exit_code == 0, outcome.failures


def everything(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def differences(verification: Verification) -> list[tuple[str, ...]]:
    return [tuple(one) for one in verification.differences]


def test_an_undisturbed_run_reproduces_and_is_left_alone(finished: Project) -> None:
    before = everything(finished.root)
    verification = check()
    assert verification.same
    assert (verification.findings, verification.tables, verification.differences) == (2, 1, [])
    assert verification.circumstances.changes == {}
    assert everything(finished.root) == before
    assert not (RunPaths.of("small").scratch / "verify").exists()


def test_a_finding_that_was_tampered_with_is_found(finished: Project) -> None:
    file = RunPaths.of("small").findings
    findings = json.loads(file.read_text())
    findings["count.words"] |= {"value": 7, "label": "Many words"}
    file.write_text(json.dumps(findings))
    verification = check()
    assert not verification.same
    assert verification.tampered == ["data/runs/small/findings.json"]
    assert differences(verification) == [("finding", "count.words", "7, label Many words", "6, label Words")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.with_columns(size=pl.lit(9, pl.UInt32)), "6 rows; differing: size in 6"),
        (lambda table: table.head(5), "6 rows"),
        (lambda table: table.drop("size"), "6 rows; other columns or types: size"),
        (lambda table: table.reverse(), "6 rows; differing: word in 6, size in 2, share in 2"),
    ],
    ids=["values", "rows", "columns", "order"],
)
def test_a_table_that_differs_is_found_and_described(finished: Project, change: Any, said: str) -> None:
    file = RunPaths.of("small").tables / "count.words.parquet"
    change(pl.read_parquet(file)).write_parquet(file)
    verification = check()
    assert verification.tampered == ["data/runs/small/tables/count.words.parquet"]
    (difference,) = verification.differences
    assert (difference.kind, difference.name, difference.again) == ("table", "count.words", said)


def test_a_table_that_is_gone_is_found(finished: Project) -> None:
    (RunPaths.of("small").tables / "count.words.parquet").unlink()
    assert differences(check()) == [("table", "count.words", "—", "6 rows")]


def test_a_table_written_in_another_way_is_the_same(finished: Project) -> None:
    file = RunPaths.of("small").tables / "count.words.parquet"
    before = file.read_bytes()
    pl.read_parquet(file).write_parquet(file, compression="uncompressed", row_group_size=2)
    assert file.read_bytes() != before
    assert check().same


def test_an_input_that_changed_is_told_even_where_no_finding_moves(finished: Project) -> None:
    finished.write("raw/log.csv", "to be or not to do")
    verification = check()
    (change,) = verification.circumstances.inputs
    assert change.what == "raw/log.csv"
    assert [difference.name for difference in verification.differences] == ["count.words"]
    assert verification.differences[0].kind == "table"
    assert not verification.same


def test_an_input_with_the_size_and_time_of_the_old_one_is_read_again(finished: Project) -> None:
    log = finished.root / "raw/log.csv"
    stat = log.stat()
    log.write_text("to be or not to do")
    os.utime(log, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [change.what for change in check().circumstances.inputs] == ["raw/log.csv"]


def test_an_input_that_is_gone_is_one_message(finished: Project) -> None:
    (finished.root / "raw/log.csv").unlink()
    with pytest.raises(UserError, match=r"run 'small' cannot be repeated, its input is gone: raw/log\.csv"):
        check()


def test_one_input_less_of_a_pattern_is_told(finished: Project) -> None:
    finished.write("raw/more.csv", "x")
    finish(finished, source={"kind": "clickstream", "files": ["raw/*.csv"]})
    (finished.root / "raw/more.csv").unlink()
    verification = check()
    assert [(change.what, change.after) for change in verification.circumstances.inputs] == [("raw/more.csv", "—")]
    assert not verification.same


def test_a_notebook_that_draws_lots_is_caught(finished: Project) -> None:
    finished.notebook("02_count", OPEN, "import time", COUNT.replace("len(words)", "time.time_ns()"))
    finish(finished)
    (difference,) = check().differences
    assert (difference.kind, difference.name) == ("finding", "count.words")
    assert difference.recorded != difference.again


def test_code_that_changed_is_named(finished: Project) -> None:
    finished.notebook("02_count", OPEN, COUNT, "# a remark")
    verification = check()
    assert [change.what for change in verification.circumstances.code] == ["notebooks/02_count.ipynb"]
    assert verification.same


def test_a_notebook_that_fails_now_is_told(finished: Project) -> None:
    finished.notebook("02_count", "1 / 0")
    verification = check()
    assert verification.failures == ["division by zero"]
    assert not verification.same


def test_a_simulated_market_is_simulated_again(finished: Project) -> None:
    finish(finished, source={"kind": "simulated", "events": 10_000, "months": 1})
    paths = RunPaths.of("small")
    (raw,) = paths.raw.glob("*.csv")
    assert check().same
    raw.write_text("spoilt")  # nothing that the repetition reads
    assert check().same
    manifest = read_manifest("small")
    manifest["inputs"]["data/raw/small/2024-07.csv"]["sha256"] = "0" * 64
    paths.manifest.write_text(json.dumps(manifest))
    assert [change.what for change in check().circumstances.inputs] == ["data/raw/small/2024-07.csv"]


def test_the_scratch_folder_goes_when_interrupted_and_stays_when_wanted(finished: Project) -> None:
    scratch = RunPaths.of("small").scratch / "verify"

    def interrupted(_: object) -> pipeline.Outcome:
        assert RunPaths.of("small").root == scratch
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify("small", recompute=interrupted)
    assert not scratch.exists()
    assert RunPaths.of("small").root == finished.root
    assert check(keep=True).kept == scratch
    assert (scratch / "data/runs/small/findings.json").exists()
    assert check().same
    assert not scratch.exists()


def test_not_while_the_run_is_computed(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patternbook.locks.PATIENCE_S", 0)
    with (
        alone(RunPaths.of("small").run_lock, ""),
        pytest.raises(UserError, match="is being computed by another process"),
    ):
        check()


def test_only_a_finished_run_can_be_verified(finished: Project) -> None:
    with pytest.raises(UserError, match="no finished run 'other'; finished runs: small"):
        verify("other", recompute=recompute)


def test_with_a_real_kernel_the_run_is_left_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "render_report", render, raising=False)
    project.notebook("01_compact", OPEN, COMPACT)
    project.notebook("02_count", OPEN, COUNT)
    project.write("raw/log.csv", "to be or not to be")
    finish(project)
    before = everything(project.root)
    assert check().same
    assert everything(project.root) == before


def test_a_table_s_digest_is_of_what_it_says() -> None:
    table = pl.DataFrame({"a": [1.0, None], "b": ["x", ""]})
    same = [table.with_columns(a=pl.col("a") + 1e-14), pl.concat([table.head(1), table.tail(1)], rechunk=False)]
    other = [
        table.with_columns(a=pl.col("a") + 1e-10), table.reverse(), table.rename({"a": "c"}), table.select("b", "a"),
        table.with_columns(pl.col("b").replace("", None)), table.with_columns(pl.col("a").cast(pl.Float32)),
    ]  # fmt: skip
    assert {content_digest(one) for one in same} == {content_digest(table)}
    assert len({content_digest(one) for one in [table, *other]}) == 1 + len(other)
