"""The command line. Modules are imported where a command needs them, so that an unchanged run stays fast."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from patternbook import __version__
from patternbook.disk import check_writable, writing
from patternbook.errors import UserError
from patternbook.interruption import Interrupted, end_on_signals
from patternbook.locks import alone_in_warehouse
from patternbook.params import DEFAULT_FILE, Simulated, load_params
from patternbook.paths import RunPaths, project_root

if TYPE_CHECKING:
    from patternbook.params import Params
    from patternbook.pipeline import Outcome
    from patternbook.warehouse.sources import Preview

EXAMPLE_ROWS = 3

app = typer.Typer(
    help="From a raw e-commerce event log to an executive report that can be re-run, checked and believed.",
    epilog="Exit codes: 0 done, 1 a notebook failed or an `expect` is broken, 2 bad parameters or input.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 120)

ParamsFile = Annotated[Path, typer.Argument(metavar="PARAMS", help="Parameter file.", show_default=False)]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run.", show_default=False)]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override one key, dotted, such as engine.threads=4; may be repeated."
    ),
]


def main() -> None:
    """Entry point: a UserError becomes one message and exit code 2, an interruption one and 128 + the signal."""
    end_on_signals()
    try:
        with writing(project_root()):
            app()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except Interrupted as interruption:
        print(interruption, file=sys.stderr)
        sys.exit(interruption.exit_code)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"patternbook {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    params: ParamsFile = DEFAULT_FILE,
    overrides: Overrides = [],  # noqa: B006  Typer copies it
    until: Annotated[
        str | None, typer.Option(metavar="NOTEBOOK", help="Run only this notebook, such as 06, and those it needs.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say what would run and why; run nothing.")] = False,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write steps and expectations as JUnit XML, also of a failed run."),
    ] = None,
) -> None:
    """Run everything that is not current, report included. Without PARAMS: params/sample.yaml."""
    from patternbook import pipeline

    loaded = load_params(params, overrides)
    if explain:
        _show_reasons(pipeline.explain(loaded, until=until))
        return
    try:
        outcome = pipeline.run(loaded, until=until)
    except UserError as error:
        _write_junit(junit, loaded, pipeline.Outcome(failures=[pipeline.Failure("start", str(error), by_user=True)]))
        raise
    _write_junit(junit, loaded, outcome)
    _show_outcome(outcome)
    raise typer.Exit(outcome.exit_code)


@app.command()
def check(
    params: Annotated[Path, typer.Argument(metavar="PARAMS", help="Parameter file.", show_default=False)],
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Validate a parameter file and the first rows of each input; say what will run and what will be left out."""
    from patternbook.finished import read as read_finished
    from patternbook.pipeline import NOTEBOOKS, written_to
    from patternbook.warehouse.sources import preview

    loaded = load_params(params, overrides)
    check_writable(written_to(loaded))
    out.print(f"{params}: valid; run {loaded.run!r}, source {loaded.source.kind}")
    if isinstance(loaded.source, Simulated):
        out.print(f"A market of about {loaded.source.events:,} events will be simulated.")
    for one in preview(loaded):
        _show_preview(one)
    for readout in loaded.experiments.readouts:
        finished = read_finished(readout)
        out.print(f"experiment {readout.name!r}: {finished.people.height:,} people, {len(finished.arms) + 1} arms")
    out.print("\nWill run:")
    for notebook in NOTEBOOKS:
        reason = notebook.left_out.get(loaded.source.kind)
        out.print(f"  {notebook.name}" + (f" [yellow]leaves out {reason}[/]" if reason else ""))
    out.print("  report")


@app.command()
def init(file: Annotated[Path, typer.Argument(metavar="FILE", help="Data file.", show_default=False)]) -> None:
    """Look at a data file and write a parameter file with a proposed mapping."""
    from patternbook.findings import write_aside
    from patternbook.warehouse.sources import propose

    target = project_root() / "params" / f"{file.name.split('.')[0] or 'run'}.yaml"
    if target.exists():
        raise UserError(f"{_near(target)} exists already; rename or delete it first")
    proposal = propose(file.expanduser().resolve())
    write_aside(target, proposal)
    out.print(f"wrote {_near(target)}: look through it, then `patternbook check {_near(target)}`")


@app.command()
def simulate(
    params: ParamsFile = DEFAULT_FILE,
    events: Annotated[int | None, typer.Option(metavar="N", help="About how many events.")] = None,
) -> None:
    """Write the raw CSV of a simulated market, and its truth beside it."""
    from rich.progress import Progress

    from patternbook.printing import bytes_text
    from patternbook.simulation import simulate as simulate_market

    loaded = load_params(params, [] if events is None else [f"source.events={events}"])
    if not isinstance(loaded.source, Simulated):
        raise UserError(f"{params}: source.kind is {loaded.source.kind}; only a simulated market can be simulated")
    paths = RunPaths.of(loaded.run)
    check_writable([paths.raw])
    with alone_in_warehouse(paths), Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=1.0)
        files = simulate_market(loaded.source, paths.raw, lambda done: bar.update(task, completed=done))
    for file in files:
        out.print(f"{_near(file)}  {bytes_text(file.stat().st_size)}")


@app.command()
def report(
    run: RunName,
) -> None:
    """Publish and render an executed run again, with the parameters that it was run with."""
    from patternbook import pipeline
    from patternbook.runs import params_of

    outcome = pipeline.rerender(params_of(run))
    _show_outcome(outcome)
    raise typer.Exit(outcome.exit_code)


@app.command()
def verify(
    run: RunName,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what was computed, to look into a difference; `clean` deletes it.")
    ] = False,
) -> None:
    """Compute a run again in a scratch folder and compare every finding and table. Exit code 1 where they differ.

    It takes as long as the run without its report did, and for that time the disk of its events, marts and simulated
    raw files. The run itself is not touched.
    """
    from patternbook.printing import show_verification
    from patternbook.verification import verify as verify_run

    verification = verify_run(run, keep=keep)
    show_verification(out, verification, run)
    raise typer.Exit(0 if verification.same else 1)


@app.command()
def compare(
    run: RunName,
    other: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="The later run. Without it: the first one since its findings changed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Say which findings moved from one run to another, by how much, and whether beyond their intervals."""
    from patternbook.comparison import compare_states
    from patternbook.printing import show_comparison
    from patternbook.runs import read_previous, read_state

    later = read_state(other or run)
    earlier = read_state(run) if other else read_previous(run)
    if earlier is None:
        raise UserError(f"run {run!r} has no earlier findings to compare with; name a second run")
    comparison = compare_states(earlier, later)
    if as_json:
        print(json.dumps(comparison.as_json(), indent=1, ensure_ascii=False))
    else:
        show_comparison(out, comparison)


@app.command()
def score(
    run: RunName,
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|CUTOFF",
            help="A CSV or Parquet file with the columns of marts/features.parquet, or the first day not looked at.",
            show_default=False,
        ),
    ],
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write, .csv or .parquet.")
    ] = None,
) -> None:
    """Score customers with the run's saved forecast: probability, score, tier, confidence and reasons.

    Without --out, data/runs/<run>/customer/scores_<cutoff or file>.csv. Results by customer are never published.
    """
    from patternbook.scores import score as score_customers

    scores, target = score_customers(run, what, out_file)
    table = Table(box=None, pad_edge=False)
    for heading in ("tier", "customers", "expected buyers"):
        table.add_column(heading, justify="left" if heading == "tier" else "right")
    for tier in ("high", "medium", "low"):
        inside = scores.filter(scores["tier"] == tier)["probability"]
        table.add_row(tier, f"{len(inside):,}", f"{inside.sum():,.1f}")
    out.print(table)
    out.print(f"wrote {_near(target)}", markup=False)


@app.command()
def clean(
    run: RunName, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")] = False
) -> None:
    """Delete what a run has computed: its folder, its report, the raw files of a simulated market."""
    from patternbook import cleaning
    from patternbook.printing import show_cleaning

    planned = cleaning.plan(run)
    show_cleaning(out, planned)
    if not yes:
        typer.confirm("Delete?", abort=True)
    cleaning.clean(planned)
    out.print(f"run {run!r} is deleted")


@app.command()
def runs() -> None:
    """List the runs, the latest first."""
    from patternbook.runs import list_runs

    table = Table(box=None, pad_edge=False)
    for heading in ("run", "finished", "data"):
        table.add_column(heading)
    for heading in ("events", "revenue", "seconds"):
        table.add_column(heading, justify="right")
    table.add_column("commit")
    for one in list_runs():
        if one.finished_at is None:
            table.add_row(one.run, f"[yellow]{one.state}[/]")
            continue
        table.add_row(
            one.run,
            f"{one.finished_at.astimezone():%Y-%m-%d %H:%M}",
            f"{one.first_event[:10]} – {one.last_event[:10]}" if one.first_event and one.last_event else "",
            "" if one.events is None else f"{one.events:,}",
            "" if one.revenue is None else f"{one.revenue:,.2f} {one.currency}",
            f"{one.seconds:.0f}",
            (one.commit or "")[:9],
        )
    out.print(table if table.rows else "no runs yet; `patternbook run` makes the sample run")


def _show_reasons(steps: dict[str, list[str]]) -> None:
    for name, reasons in steps.items():
        out.print(f"{name}: {'would run' if reasons else 'current'}")
        for reason in reasons:
            out.print(f"  - {reason}")


def _show_outcome(outcome: Outcome) -> None:
    for note in outcome.notes:
        out.print(note, markup=False)
    for message in [*(failure.message for failure in outcome.failures), *outcome.broken.values()]:
        print(message, file=sys.stderr)
    if outcome.html and outcome.pdf:
        out.print(f"HTML  {_near(outcome.html)}\nPDF   {_near(outcome.pdf)}", markup=False)


def _write_junit(file: Path | None, params: Params, outcome: Outcome) -> None:
    if file:
        from patternbook.junit import write_junit

        write_junit(file.expanduser().absolute(), params.run, outcome, params.expect)


def _show_preview(preview: Preview) -> None:
    from patternbook.printing import bytes_text

    table = Table(box=None, pad_edge=False, title=f"{preview.file} ({bytes_text(preview.bytes)})", title_justify="left")
    for heading in ("column", "in the file", *("" for _ in preview.rows[:EXAMPLE_ROWS])):
        table.add_column(heading, overflow="ellipsis", no_wrap=True, max_width=28)
    for ours, theirs in preview.columns.items():
        table.add_row(ours, theirs, *(_cell(row.get(theirs)) for row in preview.rows[:EXAMPLE_ROWS]))
    out.print()
    out.print(table)
    if preview.missing:
        out.print(f"not in the file: {', '.join(preview.missing)}", style="dim")
    for note in preview.notes:
        out.print(note, markup=False, style="yellow")


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("[", r"\[")


def _near(path: Path) -> Path:
    """The path from where the user stands, when it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    main()
