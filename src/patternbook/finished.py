"""Finished experiments: files that are read, or refused with one message, and the simulated market's own campaigns."""

from __future__ import annotations

import polars as pl
from polars.exceptions import PolarsError

from patternbook.analysis.period import Period
from patternbook.analysis.readout import Finished, campaign
from patternbook.errors import UserError
from patternbook.params import Params, Readout
from patternbook.paths import RunPaths
from patternbook.simulation import truth

FEWEST = 2  # people in an arm; with fewer nothing has a variance


def read(readout: Readout) -> Finished:
    """The experiment that a readout of the parameter file describes.

    Raises UserError that names the file and the column or line: a file that cannot be read, a column that it lacks, an
    arm that is missing or too small, a metric that is no number.
    """
    file = readout.path
    ratios = [column for pair in readout.ratios.values() for column in pair]
    numbers = list(dict.fromkeys([*readout.metrics, *readout.before.values(), *ratios]))
    texts = [readout.arm, *([readout.segment] if readout.segment else [])]
    frame = _frame(readout)
    missing = [column for column in [*texts, *numbers] if column not in frame.columns]
    if missing:
        raise UserError(f"{file}: no column {missing[0]!r}; it has {', '.join(frame.columns)}")
    people = frame.select(
        *(pl.col(column).cast(pl.String) for column in texts), *(_number(frame, column, readout) for column in numbers)
    )
    if people[readout.arm].null_count():
        line = people[readout.arm].is_null().arg_max() or 0
        raise UserError(f"{file}, line {line + 2}: column {readout.arm!r} is empty; every person belongs to an arm")
    sizes = dict(people[readout.arm].value_counts().iter_rows())
    if readout.control not in sizes:
        raise UserError(f"{file}: no arm is called {readout.control!r}; it has {', '.join(sorted(sizes))}")
    if len(sizes) < 2:
        raise UserError(f"{file}: all people are in the arm {readout.control!r}; there is nothing to compare")
    unknown = sorted(readout.shares.keys() - sizes.keys()) or sorted(sizes.keys() - (readout.shares or sizes).keys())
    if unknown:
        raise UserError(
            f"{file}: shares names the arms {', '.join(readout.shares)}, not those of the file: {unknown[0]!r}"
        )
    small = [arm for arm, size in sizes.items() if size < FEWEST]
    if small:
        raise UserError(f"{file}: arm {small[0]!r} has fewer than {FEWEST} people; nothing can be said of it")
    return Finished(
        readout.name,
        people,
        readout.arm,
        readout.control,
        readout.metrics,
        readout.before,
        readout.ratios,
        readout.segment,
        readout.shares,
    )


def campaigns(params: Params, orders: pl.DataFrame, period: Period) -> list[Finished]:
    """The randomised campaigns of a simulated market that the data cover whole; of other sources there are none.

    `orders` are those of `audiences.Log`.
    """
    if params.source.kind != "simulated":
        return []
    return [
        campaign(assigned, orders, begins, ends, name.replace("_", " ").capitalize())
        for name, begins, ends, assigned in truth.campaigns(RunPaths.of(params.run).raw)
        if period.first <= begins and ends <= period.last
    ]


def _frame(readout: Readout) -> pl.DataFrame:
    file = readout.path
    if not file.is_file():
        raise UserError(f"{file}: no such file; set experiments.readouts to where it lies")
    try:
        if file.suffix == ".parquet":
            return pl.read_parquet(file)
        return pl.read_csv(file, infer_schema=False)  # text, so that a bad number is named with its line
    except PolarsError as error:
        raise UserError(f"{file}: cannot be read as a table: {str(error).splitlines()[0]}") from None


def _number(frame: pl.DataFrame, column: str, readout: Readout) -> pl.Series:
    """A column as finite numbers; true and false are 1 and 0."""
    values = frame[column]
    if values.dtype == pl.String:
        words = {"true": "1", "false": "0"}
        values = values.str.strip_chars().str.to_lowercase().replace(words)
    numbers = values.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() | ~numbers.is_finite()).fill_null(True)
    if bad.any():
        row = bad.arg_max() or 0
        raise UserError(f"{readout.path}, line {row + 2}: column {column!r} is no number: {frame[column][row]!r}")
    return numbers.alias(column)
