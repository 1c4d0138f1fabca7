"""Killed, run twice, out of disk or time: the next run continues, and nothing half-written bears a final name."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from polars.testing import assert_frame_equal
from rich.console import Console
from throwaway import Project

from patternbook import disk, locks, pipeline
from patternbook.digests import Digests
from patternbook.errors import UserError
from patternbook.execution import NotebookFailed, execute_notebook
from patternbook.findings import write_aside
from patternbook.kernel import PARENT
from patternbook.params import Params, load_params
from patternbook.paths import RunPaths
from patternbook.simulation import simulate
from patternbook.warehouse.compaction import compact
from patternbook.warehouse.duckdb import DuckEngine
from patternbook.warehouse.marts import build_marts

PROJECT = Path(__file__).parents[1]
KILL_AT = "KILL_AT"
# Python imports this module when it starts: it kills the run, and the kernel if it is in one, just before the renaming
# of a finished file or folder to a name, or the start of a program, that ends with KILL_AT.
KILLER = f"""
import os, signal, sys
point = os.environ.get({KILL_AT!r})
target = {{"os.rename": 1, "subprocess.Popen": 0}}
def kill(event, arguments):
    if event in target and str(arguments[target[event]]).endswith(point):
        for process in (int(os.environ.get({PARENT!r}, os.getpid())), os.getpid()):
            os.kill(process, signal.SIGKILL)
if point:
    sys.addaudithook(kill)
"""
NOTEBOOKS = [notebook.name for notebook in pipeline.NOTEBOOKS]
FIRST = NOTEBOOKS[0]
SECOND, THIRD = [notebook.name for notebook in pipeline.NOTEBOOKS if notebook.after == (FIRST,)][:2]  # may run at once
# One a stage, in their order: compaction, a mart, a notebook, merging, rendering, swapping in, the manifest.
POINTS = (
    "small/compaction.json",
    "marts/hourly.parquet",
    "tables/eda.daily.parquet",
    "small/findings.json",
    "pandoc",
    "reports/latest",
    "small/manifest.json",
)
COMPACTED = """
import json, os, pathlib
from patternbook.warehouse.contracts import MARTS
home = pathlib.Path(os.environ["PATTERNBOOK_ROOT"]) / "data/runs/small"
for name in ("compaction.json", "products.parquet", *(f"marts/{name}.parquet" for name in MARTS)):
    (home / name).parent.mkdir(exist_ok=True)
    (home / name).write_text("{}")
"""
RECORDED = """
(home / "findings").mkdir(exist_ok=True)
(home / f"findings/{notebook}.json").write_text("{}")
"""
OPEN = 'import os, pathlib\nhome = pathlib.Path(os.environ["PATTERNBOOK_ROOT"]) / "data/runs/small"\n'
HANG = '(home / f"pid-{os.getpid()}").touch()\nimport time; time.sleep(120)'


# -- the command line as a process of its own ---------------------------------------------------------------------


class Terminal:
    """`patternbook` in a project at `root`, with a folder for temporary files that no one else uses."""

    def __init__(self, root: Path, temporary: Path) -> None:
        self.root, self.temporary = root, temporary

    def start(self, *arguments: str, kill_at: str = "", **options: Any) -> subprocess.Popen[str]:
        """The command, just started."""
        environment = os.environ | {
            "PATTERNBOOK_ROOT": str(self.root),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(self.temporary),
            KILL_AT: kill_at,
        }
        command = [sys.executable, "-m", "patternbook.cli", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def call(self, *arguments: str, **options: Any) -> tuple[int, str]:
        """Exit code of the command, and what it said on stderr."""
        with self.start(*arguments, **options) as process:
            try:
                _, said = process.communicate(timeout=60)
            finally:
                process.kill()
        return process.returncode, said

    def processes(self) -> list[int]:
        """Processes of the project: the command, its kernels, browsers and what else they started."""
        mark = f"TMPDIR={self.temporary}".encode()
        return [int(file.parent.name) for file in Path("/proc").glob("[0-9]*/environ") if mark in _bytes(file)]

    def kernel_folders(self) -> list[Path]:
        """Folders of kernels' sockets."""
        return list(self.temporary.glob("patternbook-kernel-*"))


@pytest.fixture
def terminal(project: Project) -> Iterator[Terminal]:
    """The command line in the throw-away project."""
    with tempfile.TemporaryDirectory(prefix="pb-") as folder:  # short: a socket's path may have 107 characters
        Path(folder, "sitecustomize.py").write_text(KILLER)
        yield Terminal(project.root, Path(folder))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def hanging_kernel(project: Project) -> int:
    """Process id of a kernel that has come to the cell HANG."""
    home = project.root / "data/runs/small"
    wait_until(lambda: list(home.glob("pid-*")))
    return int(next(home.glob("pid-*")).name.removeprefix("pid-"))


def is_alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def hang_in_the_first(project: Project) -> str:
    """Let the first notebook hang; returns the parameter file."""
    for name in NOTEBOOKS:
        project.notebook(name, OPEN, HANG)
    project.params()
    return str(project.params_file)


# -- kill -9 ------------------------------------------------------------------------------------------------------


def finished_files(root: Path) -> Iterator[Path]:
    """Files under their final names: not in scratch, not named as partial or hidden."""
    for folder in ("data", "reports"):
        for file in (root / folder).rglob("*"):
            parts = file.relative_to(root).parts
            aside = any(part.startswith(".") or ".partial" in part or part in {"scratch", "pipeline"} for part in parts)
            if file.is_file() and not aside:
                yield file


def check_whole(file: Path) -> None:
    """Raise what a reader of the file would, if it were half-written."""
    if file.suffix == ".parquet":
        pq.ParquetFile(file)
    elif file.suffix in {".json", ".ipynb"}:
        json.loads(file.read_text("utf-8"))
    elif file.suffix == ".html":
        assert file.read_text("utf-8").rstrip().endswith("</html>")
    elif file.suffix == ".pdf":
        assert file.read_bytes().rstrip().endswith(b"%%EOF")
    elif file.suffix == ".xlsx":
        assert zipfile.ZipFile(file).testzip() is None
    elif file.suffix == ".csv":
        assert file.read_bytes().endswith(b"\n")


def done_files(paths: RunPaths) -> dict[Path, int]:
    """When what takes long was made; not of the last second, whose end may not have been noted any more."""
    files = [paths.raw / "simulation.json", paths.compaction, paths.marts / "marts.json", paths.findings]
    files += [paths.notebook(name) for name in NOTEBOOKS]
    made = {file: file.stat().st_mtime_ns for file in files if file.exists()}
    return {file: moment for file, moment in made.items() if moment < time.time_ns() - 1e9}


def undisturbed(root: Path, source: dict[str, Any]) -> RunPaths:
    """The same run, in another project and not interrupted."""
    shutil.copytree(PROJECT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".*"))
    (root / "params.yaml").write_text(yaml.safe_dump(source), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATTERNBOOK_ROOT", str(root))
        outcome = pipeline.recompute(load_params(root / "params.yaml"), console=Console(quiet=True))
    assert outcome.exit_code == 0, outcome.failures
    return RunPaths("small", root)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="leftover processes are looked for in /proc")
def test_a_run_that_is_killed_again_and_again_ends_as_if_undisturbed(
    project: Project, terminal: Terminal, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for folder in ("notebooks", "reports/theme", "reports/filters"):
        shutil.copytree(PROJECT / folder, project.root / folder, ignore=shutil.ignore_patterns(".*"))
    for file in ("reports/executive.qmd", "_quarto.yml"):
        shutil.copy(PROJECT / file, project.root / file)
    source = {"run": "small", "source": {"kind": "simulated", "events": 10_000, "months": 2}}
    project.params(**source)
    paths = RunPaths("small", project.root)
    done: dict[Path, int] = {}
    for point in POINTS:
        code, said = terminal.call("run", str(project.params_file), kill_at=point)
        assert code == -signal.SIGKILL, f"{point} was not reached:\n{said}"
        for file in finished_files(project.root):
            check_whole(file)
        assert done.items() <= done_files(paths).items(), f"done again before {point}"
        done = done_files(paths)
        assert not paths.manifest.exists()
        wait_until(lambda: not terminal.processes(), seconds=5)
    code, said = terminal.call("run", str(project.params_file))
    assert code == 0, said
    assert done == done_files(paths)
    assert paths.manifest.exists()
    assert [file.name for file in project.root.rglob("*") if ".partial" in file.name or file.suffix == ".old"] == []
    assert list(paths.scratch.glob("*")) == []
    assert list(paths.pipeline.glob("*.progress")) == terminal.kernel_folders() == []

    other = undisturbed(tmp_path_factory.mktemp("undisturbed"), source)
    assert paths.findings.read_bytes() == other.findings.read_bytes()
    tables = {file.name: pl.read_parquet(file) for file in other.tables.iterdir()}
    assert tables.keys() == {file.name for file in paths.tables.iterdir()}
    for name, table in tables.items():
        assert_frame_equal(pl.read_parquet(paths.tables / name), table)


def test_a_simulation_that_is_killed_leaves_no_market_and_is_done_again(project: Project, terminal: Terminal) -> None:
    project.params(source={"kind": "simulated", "events": 10_000, "months": 1})
    raw = RunPaths("small", project.root).raw
    assert terminal.call("simulate", str(project.params_file), kill_at="raw/small")[0] == -signal.SIGKILL
    assert not raw.exists()
    assert terminal.call("simulate", str(project.params_file))[0] == 0
    for file in raw.iterdir():
        check_whole(file)
    assert [folder.name for folder in raw.parent.iterdir()] == ["small"]


def test_a_kernel_ends_with_the_run_that_was_killed(project: Project, terminal: Terminal) -> None:
    file = hang_in_the_first(project)
    with terminal.start("run", file) as process:
        kernel = hanging_kernel(project)
        assert terminal.kernel_folders()
        process.kill()
        process.communicate()
    wait_until(lambda: not is_alive(kernel), seconds=5)
    project.notebook(FIRST, "1 / 0")
    assert terminal.call("run", file)[0] == 1
    assert terminal.kernel_folders() == []


def test_a_kernel_that_outlives_its_run_keeps_the_next_one_out(project: Project, terminal: Terminal) -> None:
    file = hang_in_the_first(project)
    with terminal.start("run", file) as process:
        kernel = hanging_kernel(project)
        os.kill(kernel, signal.SIGSTOP)  # it cannot see that its parent has ended
        process.kill()
        process.wait()
    code, said = terminal.call("run", file)
    os.kill(kernel, signal.SIGKILL)
    assert (code, said.strip()) == (2, "run 'small' is being computed by another process; wait for it")


# -- Ctrl-C and SIGTERM -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_at_once_with_one_message(
    project: Project, terminal: Terminal, signum: signal.Signals
) -> None:
    file = hang_in_the_first(project)
    with terminal.start("run", file) as process:
        kernel = hanging_kernel(project)
        sent = time.monotonic()
        process.send_signal(signum)
        _, said = process.communicate(timeout=15)
    assert time.monotonic() - sent < 5
    assert process.returncode == 128 + signum
    assert said.splitlines()[-1] == (
        "interrupted; what was complete is kept, the next `patternbook run` continues from there"
    )
    assert "Traceback" not in said
    wait_until(lambda: not is_alive(kernel), seconds=5)
    assert list(project.root.rglob("*.partial*")) == terminal.kernel_folders() == []


def test_a_signal_in_the_middle_of_the_simulation_leaves_no_market(project: Project, terminal: Terminal) -> None:
    project.params(source={"kind": "simulated", "events": 20_000_000})
    raw = project.root / "data/raw"
    with terminal.start("simulate", str(project.params_file)) as process:
        wait_until((raw / "small.partial").exists)
        process.terminate()
        _, said = process.communicate(timeout=15)
    assert process.returncode == 143
    assert "Traceback" not in said
    assert not (raw / "small").exists()


# -- notebooks that hang or die -----------------------------------------------------------------------------------


def test_a_notebook_that_hangs_is_stopped_at_its_limit(project: Project, terminal: Terminal) -> None:
    for name in NOTEBOOKS:
        project.notebook(name, "import time", "#| label: fig-slow\ntime.sleep(120)")
    project.params()
    code, said = terminal.call("run", str(project.params_file), "--set", "execution.minutes_per_notebook=0.1")
    assert code == 1
    assert (
        f"{FIRST}: cell In [4] (fig-slow): stopped after 0.1 minutes (execution.minutes_per_notebook); if it needs "
        "longer, raise that, for example --set execution.minutes_per_notebook=0.2" in " ".join(said.split())
    )
    assert "Traceback" not in said


def test_a_limit_that_is_over_before_the_first_cell_is_told_the_same_way(project: Project) -> None:
    project.notebook("01_one", "1")
    source, target = project.root / "notebooks/01_one.ipynb", project.root / "executed/01_one.ipynb"
    progress = project.root / "progress"
    with pytest.raises(NotebookFailed, match=r"01_one: .*stopped after 0\.0005 minutes"):
        execute_notebook(source, target, {}, threads=1, progress=progress, minutes=0.0005)
    assert [file.name for file in target.parent.iterdir()] == ["01_one.failed.ipynb"]


def test_what_does_not_depend_on_a_dead_kernel_completes_and_the_next_run_continues(
    project: Project, terminal: Terminal
) -> None:
    for name in NOTEBOOKS:
        project.notebook(name, COMPACTED if name == FIRST else OPEN, f"notebook = {name!r}", RECORDED)
    project.notebook(SECOND, OPEN, "#| label: tbl-deadly\nos._exit(1)")
    project.params()
    code, said = terminal.call("run", str(project.params_file))
    assert code == 1
    assert f"{SECOND}: cell In [4] (tbl-deadly): the kernel died" in said
    executed = {file.name for file in RunPaths("small", project.root).notebooks.iterdir()}
    assert executed == {f"{name}{'.failed' if name == SECOND else ''}.ipynb" for name in NOTEBOOKS}
    assert pipeline.explain(load_params(project.params_file))[THIRD] == []


# -- two at once --------------------------------------------------------------------------------------------------


def test_a_second_run_of_a_name_is_refused_and_the_first_goes_on(project: Project, terminal: Terminal) -> None:
    file = hang_in_the_first(project)
    with terminal.start("run", file) as first:
        hanging_kernel(project)
        code, said = terminal.call("run", file)
        assert first.poll() is None
        first.kill()
        first.communicate()
    assert (code, said.strip()) == (2, "run 'small' is being computed by another process; wait for it")


@pytest.mark.parametrize("build", [compact, build_marts])
def test_events_and_marts_are_built_by_one_process_at_a_time(
    shop: Params, monkeypatch: pytest.MonkeyPatch, build: Callable[[Params], object]
) -> None:
    if build is build_marts:
        compact(shop)
    monkeypatch.setattr(locks, "PATIENCE_S", 0.1)
    lock = RunPaths.of("small").warehouse_lock
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="events and marts of run 'small' are being built by another process"):
            build(shop)
    build(shop)


# -- a full disk --------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(project: Project) -> Params:
    """Parameters of a log of 20,000 events."""
    number = pl.int_range(20_000, eager=True)
    kind = pl.Series(["view", "cart", "purchase"]).gather(number % 3)
    pl.DataFrame(
        {
            "event_time": pl.from_epoch(1_700_000_000 + number * 60, time_unit="s").dt.strftime(
                "%Y-%m-%d %H:%M:%S UTC"
            ),
            "event_type": kind,
            "product_id": number * 7919 % 1009,
            "category_id": number % 10,
            "category_code": pl.repeat("a.b", len(number), eager=True),
            "brand": pl.repeat("acme", len(number), eager=True),
            "price": number % 97 + 0.5,
            "user_id": number * 6101 % 4001,
            "user_session": (number * 6101 % 4001).cast(pl.String),
        }
    ).write_csv(project.root / "raw/log.csv")
    return project.params()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the system refuses to write on, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def content(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_full_disk_costs_no_events_of_an_earlier_run(shop: Params, project: Project) -> None:
    compact(shop)
    paths = RunPaths.of("small")
    before = content(paths.home)
    with (project.root / "raw/log.csv").open("a") as log:
        log.write("2023-12-01 00:00:00 UTC,view,1,1,a.b,acme,1.5,1,1\n")
    with largest_file(30_000), pytest.raises(UserError, match=r"^data/runs/small.*: no space left on the disk"):
        compact(shop)
    assert content(paths.home) == before
    assert compact(shop).total("rows_kept") == 20_001


def test_a_full_disk_costs_no_marts_of_an_earlier_run(shop: Params, project: Project) -> None:
    compact(shop)
    build_marts(shop)
    marts = RunPaths.of("small").marts
    before = content(marts)
    with largest_file(30_000), pytest.raises(UserError, match=r"^data/runs/small.*: no space left on the disk"):
        build_marts(project.params(filter="price > 1"))
    assert content(marts) == before
    build_marts(project.params(filter="price > 1"))
    assert content(marts).keys() == before.keys()
    assert content(marts) != before


def test_a_full_disk_costs_no_simulated_market(project: Project) -> None:
    source = {"kind": "simulated", "events": 10_000, "months": 1}
    raw = RunPaths.of("small").raw
    simulate(project.params(source=source).source, raw)
    before = content(raw.parent)
    other = project.params(source={**source, "seed": 2}).source
    with largest_file(100_000), pytest.raises(UserError, match=r"^data/raw: no space left on the disk"):
        simulate(other, raw)
    assert content(raw.parent) == before


def test_a_full_disk_is_one_message_and_exit_code_2(project: Project, terminal: Terminal) -> None:
    for name in NOTEBOOKS:
        project.notebook(name, "'x' * 200_000")
    project.params()
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))}
    code, said = terminal.call("run", str(project.params_file), **limit)
    assert code == 2
    assert "data/runs/small/notebooks: no space left on the disk" in " ".join(said.split())
    assert "Traceback" not in said
    assert list(project.root.rglob("*.partial*")) == list((project.root / "data/runs/small/notebooks").iterdir()) == []


def test_no_room_to_spill_is_a_full_disk_too(shop: Params, project: Project) -> None:
    scratch = project.root / "spilling"
    with (
        pytest.raises(UserError, match=r"^spilling: no space left on the disk"),
        DuckEngine(shop.engine, scratch) as engine,
    ):
        engine.execute("SET memory_limit = '50MB'")
        engine.execute("SET max_temp_directory_size = '1MB'")
        engine.execute("CREATE TABLE wide AS SELECT range AS n, hash(range) AS h FROM range(20_000_000)")


def test_too_little_memory_names_the_key(project: Project) -> None:
    engine_params = project.params(engine={"memory_limit": "50MB", "threads": 1}).engine
    too_small = pytest.raises(UserError, match=r"^engine\.memory_limit \(50MB\) is too small")
    with too_small, DuckEngine(engine_params, project.root / "scratch") as engine:
        engine.execute("SELECT list(range) FROM range(50_000_000)")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_what_is_written_aside_replaces_nothing_unless_it_is_whole(
    project: Project, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    target = project.write("data/found.json", "{}")

    def write_half(file: Path, text: str, encoding: str) -> None:
        file.write_bytes(text.encode(encoding)[:3])
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write_half)
        with pytest.raises(UserError, match=r"^data: no space left on the disk \([\d,]+ MB free now\): make room"):
            write_aside(target, '{"value": 1}')
    assert content(target.parent) == {target: b"{}"}


def test_other_errors_are_not_taken_for_a_full_disk(project: Project) -> None:
    with pytest.raises(ZeroDivisionError), disk.aside(project.root / "file"):
        raise ZeroDivisionError
    elsewhere = PermissionError(errno.EACCES, "Permission denied", "/etc/shadow")
    with pytest.raises(PermissionError), disk.writing(project.root):
        raise elsewhere


# -- a folder that is closed to writing ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("folder", ["data", "reports"])
def test_a_folder_that_cannot_be_written_to_is_named_before_any_work(
    project: Project, terminal: Terminal, command: str, folder: str
) -> None:
    for name in NOTEBOOKS:
        project.notebook(name)
    project.params()
    project.write(folder, "a file where the folder should be")
    code, said = terminal.call(command, str(project.params_file))
    assert code == 2
    assert said.strip() == f"{folder}: cannot be written to (not a directory): give this user the right to write there"
    assert not (project.root / "data/runs/small/pipeline").exists()


@pytest.mark.parametrize("code", sorted(disk.CLOSED))
def test_a_read_only_folder_is_named(project: Project, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    (project.root / "data").mkdir()
    for name in NOTEBOOKS:
        project.notebook(name)

    def refuse(dir: Path) -> None:
        raise OSError(code, os.strerror(code), str(dir / "x"))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(UserError, match=rf"^data: cannot be written to \({os.strerror(code).lower()}\)"):
        pipeline.run(project.params(), console=Console(quiet=True))


def test_notes_of_digests_survive_what_comes_between(project: Project) -> None:
    """A digest cache that was cut off in the middle is one that knows nothing."""
    cache = project.write("digests.json", '{"a": [1, 2,')
    file = project.write("file", "x")
    digests = Digests(cache)
    assert digests.of(file)
    digests.save()
    assert list(json.loads(cache.read_text())) == [str(file)]
