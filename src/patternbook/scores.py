"""`patternbook score`: customers of a file, or those known at a cutoff, scored with a run's saved forecast."""

from __future__ import annotations

import difflib
from datetime import date
from pathlib import Path

import polars as pl

from patternbook import bundle
from patternbook.disk import aside
from patternbook.errors import UserError
from patternbook.formats import Formats
from patternbook.params import Params
from patternbook.paths import RunPaths
from patternbook.runs import params_of
from patternbook.warehouse.contracts import MARTS

FEATURES = MARTS["features"]
TYPES: dict[str, pl.DataType] = {
    "BIGINT": pl.Int64(),
    "DOUBLE": pl.Float64(),
    "DATE": pl.Date(),
    "VARCHAR": pl.String(),
    "DECIMAL(18,4)": pl.Float64(),
    "DECIMAL(38,4)": pl.Float64(),
}


def score(run: str, what: str, target: Path | None = None) -> tuple[pl.DataFrame, Path]:
    """Scores (see `analysis.scoring.score`), and the file that they are written to, CSV or Parquet.

    `what` is a cutoff (2025-06-01: customers as known before that day) or a file with the columns of the mart
    `features`. Raises UserError naming file, column or cutoff.
    """
    from patternbook.analysis import scoring

    params, paths = params_of(run), RunPaths.of(run)
    target = target or paths.per_customer(f"scores_{Path(what).stem}").with_suffix(".csv")
    if target.suffix not in (".csv", ".parquet"):
        raise UserError(f"{target}: scores are written as .csv or .parquet; name the file so")
    scorer = bundle.load(paths)
    cutoff = _as_date(what)
    features = read_features(Path(what).expanduser()) if cutoff is None else _at(params, cutoff)
    scores = scoring.score(scorer, features.lazy(), Formats(params.currency.code, params.currency.locale))
    with aside(target) as file:
        if target.suffix == ".csv":
            scores.write_csv(file)
        else:
            scores.write_parquet(file)
    return scores, target


def _as_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _at(params: Params, cutoff: date) -> pl.DataFrame:
    from patternbook.warehouse.marts import features_at

    return features_at(params, cutoff)


def read_features(file: Path) -> pl.DataFrame:
    """Rows of the mart `features` from a CSV or Parquet file, with the contract's columns and types.

    Raises UserError for a column too many or too few, a value of another type or a missing one that must be there.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file; name a CSV or Parquet file of features, or a cutoff such as 2025-06-01")
    try:
        frame = pl.read_parquet(file) if file.suffix == ".parquet" else pl.read_csv(file, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from None
    wanted = FEATURES.column_names()
    for name in frame.columns:
        if name not in wanted:
            close = difflib.get_close_matches(name, wanted, n=1)
            raise UserError(
                f"{file}: unknown column {name!r}" + (f"; did you mean {close[0]!r}?" if close else "; leave it out")
            )
    for name in wanted:
        if name not in frame.columns:
            raise UserError(f"{file}: column {name!r} is missing; the features are those of marts/features.parquet")
    if frame.is_empty():
        raise UserError(f"{file}: holds no customer")
    for column in FEATURES.columns:
        given = frame[column.name]
        typed = _typed(given, TYPES[column.type])
        lost = typed.is_null() & given.is_not_null() & (given.cast(pl.String, strict=False) != "")
        if lost.any():
            row = int(lost.arg_true()[0])
            raise UserError(
                f"{file}, row {row + 1}: column {column.name!r}: {given[row]!r} is not of type {column.type.lower()}"
            )
        if not column.nullable and typed.null_count():
            row = int(typed.is_null().arg_true()[0])
            raise UserError(f"{file}, row {row + 1}: column {column.name!r} is empty")
        frame = frame.with_columns(typed.alias(column.name))
    twice = frame["customer_id"].is_duplicated()
    if twice.any():
        row = int(twice.arg_true()[1])
        raise UserError(
            f"{file}, row {row + 1}: customer {frame['customer_id'][row]} is in the file more than once; give one row "
            "a customer, of one cutoff"
        )
    return frame.select(wanted)


def _typed(given: pl.Series, kind: pl.DataType) -> pl.Series:
    """Values as `kind`, null where they are not."""
    if kind == pl.Date and given.dtype == pl.String:
        return given.str.to_date("%Y-%m-%d", strict=False)
    return given.cast(kind, strict=False)
