"""Reading a finished experiment: what each arm changed against the control, and how sure that is.

Every metric is brought to one value a person whose mean is the metric: as it is; for a ratio of totals such as revenue
an order the linearised value R + (y − R·x)/x̄, whose variance is that of the delta method (Deng, Knoblich & Lu 2018);
with what the person did before, y − θ(x − x̄) (CUPED, Deng et al. 2013). Differences then have normal intervals with
each arm's own variance (Welch). Each arm is compared with the control alone, never with the rest.

Beside the interval for one look at the end stands a confidence sequence that holds however often one has looked
(Robbins 1970; Howard et al. 2021): the differences that the mixture test of `trials` would not reject.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.stats import chi2, chisquare, false_discovery_control, norm

from patternbook.analysis.corrections import Flags
from patternbook.analysis.experiments import Design
from patternbook.analysis.intervals import CONFIDENCE, Floats
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.trials import log_mixture
from patternbook.formats import Formats
from patternbook.markup import escaped

MISMATCH = 0.001  # of the sample-ratio test: below it arms were not assigned as planned (Fabijan et al. 2019)
Z = float(norm.ppf((1 + CONFIDENCE) / 2))


@dataclass(frozen=True)
class Finished:
    """A finished experiment, one row a person in `people`.

    `arm` and `segment` name columns of text, `metrics` columns of numbers (truth values count as 0 and 1), `before` the
    column of the same metric before the experiment, `ratios` numerator and denominator. `shares` are the planned parts
    of the arms, equal where none are given.
    """

    name: str
    people: pl.DataFrame
    arm: str
    control: str
    metrics: tuple[str, ...]
    before: Mapping[str, str] = field(default_factory=dict)
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    segment: str | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def arms(self) -> list[str]:
        """The treated arms, by name."""
        return sorted(set(self.people[self.arm].to_list()) - {self.control})


class Read(NamedTuple):
    """Finished experiments and what they showed: the tables of `arms`, `effects` and `by_segment`, with a column
    `experiment` before theirs."""

    experiments: tuple[Finished, ...]
    arms: pl.DataFrame
    effects: pl.DataFrame
    segments: pl.DataFrame | LeftOut


class Mean(NamedTuple):
    """A metric's mean in one arm, the variance of that mean, and how many people it is of."""

    value: float
    variance: float
    n: int


def campaign(assigned: pl.DataFrame, orders: pl.DataFrame, begins: object, ends: object, name: str) -> Finished:
    """A campaign of this run's own customers: who was assigned (customer_id, arm, segment) and what they did.

    `orders` has customer_id, day, units and revenue; the campaign runs from `begins` to `ends`, both included. What
    counts is whether a person buys in it, the orders, their revenue, and revenue an order; before it as long counts.
    """
    first, last = pl.lit(begins), pl.lit(ends)
    length = last - first + pl.duration(days=1)
    during = pl.col("day").is_between(first, last)
    earlier = pl.col("day").is_between(first - length, first, closed="left")
    order = pl.col("units") > 0
    sums = orders.group_by("customer_id").agg(
        (during & order).sum().cast(pl.Float64).alias("orders"),
        pl.col("revenue").filter(during).sort().sum().alias("revenue"),
        (earlier & order).sum().cast(pl.Float64).alias("orders before"),
        pl.col("revenue").filter(earlier).sort().sum().alias("revenue before"),
    )
    people = (
        assigned.drop_nulls("arm")
        .join(sums, on="customer_id", how="left", maintain_order="left")
        .with_columns(pl.col("orders", "revenue", "orders before", "revenue before").fill_null(0.0))
        .with_columns((pl.col("orders") > 0).cast(pl.Float64).alias("buys"))
    )
    return Finished(
        name=name,
        people=people,
        arm="arm",
        control="control",
        metrics=("orders", "buys", "revenue"),
        before={"orders": "orders before", "revenue": "revenue before"},
        ratios={"revenue an order": ("revenue", "orders")},
        segment="segment",
    )


def arms(finished: Finished) -> pl.DataFrame:
    """People by arm against the plan: arm, people, all_people, share, planned, p (of the sample-ratio test).

    `all_people` and `p` are alike in all rows.
    """
    counts = finished.people.group_by(finished.arm).agg(pl.len().cast(pl.Int64).alias("people"))
    table = counts.sort(finished.arm).rename({finished.arm: "arm"})
    even = 1 / table.height
    planned = np.array([finished.shares.get(name, even) for name in table["arm"]])
    planned = planned / planned.sum()
    p = float(chisquare(table["people"].to_numpy(), planned * finished.people.height).pvalue)
    return table.with_columns(
        pl.lit(finished.people.height).alias("all_people"),
        (pl.col("people") / finished.people.height).alias("share"),
        pl.Series("planned", planned),
        pl.lit(p).alias("p"),
    )


def effects(finished: Finished, design: Design) -> pl.DataFrame:
    """One row an arm and metric, ratios last; see `meanings`. The p-values of all rows are corrected together."""
    rows = []
    for arm in finished.arms:
        pair = finished.people.filter(pl.col(finished.arm).is_in([arm, finished.control]))
        for metric in (*finished.metrics, *finished.ratios):
            rows.append({"arm": arm, "metric": metric, **_compared(finished, pair, arm, metric, design)})
    return _corrected(pl.DataFrame(rows, infer_schema_length=None))


def by_segment(finished: Finished, metric: str, design: Design, minimum_group: int) -> pl.DataFrame | LeftOut:
    """Effects on one metric by arm and segment, corrected together: segment and the columns of `effects`.

    `differ` is the p-value of the hypothesis that an arm's relative effect is the same in all segments (Cochran's Q).
    Segments with fewer than `minimum_group` people in an arm are left out.
    """
    if finished.segment is None:
        return LeftOut(f"{finished.name} has no segments.")
    rows = []
    sizes = finished.people.group_by(finished.segment, finished.arm).len()
    small = set(sizes.filter(pl.col("len") < minimum_group)[finished.segment].to_list())
    every = len(finished.arms) + 1
    absent = set(sizes.group_by(finished.segment).len().filter(pl.col("len") < every)[finished.segment].to_list())
    shown = sorted(set(finished.people[finished.segment].drop_nulls().to_list()) - small - absent)
    for arm in finished.arms:
        for segment in shown:
            inside = finished.people.filter(pl.col(finished.segment) == segment)
            pair = inside.filter(pl.col(finished.arm).is_in([arm, finished.control]))
            rows.append(
                {"arm": arm, "segment": segment, "metric": metric, **_compared(finished, pair, arm, metric, design)}
            )
    if not rows:
        return LeftOut(f"No segment of {finished.name} has {minimum_group} people in every arm.")
    table = _corrected(pl.DataFrame(rows, infer_schema_length=None))
    return table.with_columns(
        pl.col("arm").replace_strict(_heterogeneity(table), return_dtype=pl.Float64).alias("differ")
    )


def _heterogeneity(table: pl.DataFrame) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for (arm,), rows in table.group_by("arm", maintain_order=True):
        known = rows.drop_nulls("relative")
        logs = np.log1p(known["relative"].to_numpy())
        errors = (np.log1p(known["relative_high"].to_numpy()) - logs) / Z
        if len(logs) < 2 or np.any(errors <= 0):
            found[str(arm)] = None
            continue
        weights = 1 / errors**2
        q = float((weights * (logs - np.average(logs, weights=weights)) ** 2).sum())
        found[str(arm)] = float(chi2.sf(q, len(logs) - 1))
    return found


def _compared(
    finished: Finished, pair: pl.DataFrame, arm: str, metric: str, design: Design
) -> dict[str, float | int | None]:
    """One arm against the control on one metric."""
    treated_rows = (pair[finished.arm] == arm).to_numpy()
    values = _values(finished, pair, treated_rows, metric)
    control, treated = _mean(values[~treated_rows]), _mean(values[treated_rows])
    difference, variance = treated.value - control.value, treated.variance + control.variance
    half = Z * math.sqrt(variance)
    relative = _relative(control, treated)
    before = finished.before.get(metric)
    adjusted = None
    if before is not None:
        adjusted = _adjusted(values, pair[before].cast(pl.Float64).to_numpy(), treated_rows)
    scale = ((design.z_level + design.z_power) ** 2) * variance
    always = _always_valid(variance, scale, design.alpha)
    evidence = float(log_mixture(np.array(difference), np.array(variance), scale)) if variance > 0 else 0.0
    return {
        "control_people": control.n,
        "treated_people": treated.n,
        "control": control.value,
        "treated": treated.value,
        "difference": difference,
        "difference_low": difference - half,
        "difference_high": difference + half,
        **relative,
        "p": float(2 * norm.sf(abs(difference) / math.sqrt(variance))) if variance > 0 else 1.0,
        "always_low": difference - always,
        "always_high": difference + always,
        "always_p": min(1.0, math.exp(-evidence)),
        "cuped": adjusted and adjusted[0],
        "cuped_low": adjusted and adjusted[0] - Z * adjusted[1],
        "cuped_high": adjusted and adjusted[0] + Z * adjusted[1],
        "variance_left": adjusted and (adjusted[1] ** 2 / variance if variance > 0 else None),
    }


def _values(finished: Finished, pair: pl.DataFrame, treated_rows: Flags, metric: str) -> Floats:
    """One value a person whose mean in each arm is the metric."""
    if metric not in finished.ratios:
        values: Floats = pair[metric].cast(pl.Float64).to_numpy()
        return values
    above, below = (pair[column].cast(pl.Float64).to_numpy() for column in finished.ratios[metric])
    linear = np.zeros(len(above))
    for rows in (treated_rows, ~treated_rows):
        y, x = above[rows], below[rows]
        if x.sum() > 0:
            ratio = y.sum() / x.sum()
            linear[rows] = ratio + (y - ratio * x) / x.mean()
    return linear


def _mean(values: Floats) -> Mean:
    variance = float(values.var(ddof=1)) / len(values) if len(values) > 1 else math.inf
    return Mean(float(values.mean()), variance, len(values))


def _relative(control: Mean, treated: Mean) -> dict[str, float | None]:
    """Treated ÷ control − 1, its interval by the delta method on the log scale; null where a mean is not positive."""
    if control.value <= 0 or treated.value <= 0:
        return {"relative": None, "relative_low": None, "relative_high": None}
    ratio = math.log(treated.value / control.value)
    error = math.sqrt(treated.variance / treated.value**2 + control.variance / control.value**2)
    half = Z * error
    return {
        "relative": math.expm1(ratio),
        "relative_low": math.expm1(ratio - half),
        "relative_high": math.expm1(ratio + half),
    }


def _adjusted(values: Floats, before: Floats, treated_rows: Flags) -> tuple[float, float] | None:
    """Difference and standard error with CUPED; θ from within the arms, so that the effect does not enter it."""
    arms_of = (treated_rows, ~treated_rows)
    inside = [(values[rows] - values[rows].mean(), before[rows] - before[rows].mean()) for rows in arms_of]
    spread = sum(float(x @ x) for _, x in inside)
    if spread == 0:
        return None
    theta = sum(float(y @ x) for y, x in inside) / spread
    treated, control = (_mean((values - theta * (before - before.mean()))[rows]) for rows in arms_of)
    return treated.value - control.value, math.sqrt(treated.variance + control.variance)


def _always_valid(variance: float, scale: float, alpha: float) -> float:
    """Half-width of the confidence sequence: where the mixture test reaches 1/α."""
    if not 0 < variance < math.inf:
        return math.inf if variance else 0.0
    both = variance + scale
    return math.sqrt(2 * variance * both / scale * (math.log(1 / alpha) + 0.5 * math.log(both / variance)))


def _corrected(table: pl.DataFrame) -> pl.DataFrame:
    """With `p_adjusted`: Benjamini–Hochberg over all rows."""
    return table.with_columns(pl.Series("p_adjusted", false_discovery_control(table["p"].to_numpy())))


def read(found: Sequence[Finished], design: Design, minimum_group: int) -> Read | LeftOut:
    """All finished experiments; segments are read by each one's first metric."""
    if not found:
        return LeftOut("There is no finished experiment to read: `experiments.readouts` names none.")
    segments = [(one.name, by_segment(one, one.metrics[0], design, minimum_group)) for one in found]
    tables = [_named(name, table) for name, table in segments if isinstance(table, pl.DataFrame)]
    return Read(
        tuple(found),
        pl.concat([_named(one.name, arms(one)) for one in found]),
        pl.concat([_named(one.name, effects(one, design)) for one in found], how="vertical_relaxed"),
        pl.concat(tables, how="vertical_relaxed") if tables else LeftOut("No finished experiment has segments."),
    )


def answer(found: Read | LeftOut, design: Design, formats: Formats) -> str:
    """What finished experiments showed, in Markdown, a paragraph each."""
    if isinstance(found, LeftOut):
        return found.reason
    return "\n\n".join(_showed(found, one, design, formats) for one in found.experiments)


def _showed(found: Read, finished: Finished, design: Design, formats: Formats) -> str:
    def own(table: pl.DataFrame) -> pl.DataFrame:
        return table.filter(pl.col("experiment") == finished.name)

    table, mismatch = own(found.effects), float(own(found.arms)["p"][0])
    clear = _clear(table, design)
    sentences = [
        f"**{escaped(finished.name)}.** With {formats.count(finished.people.height)} people, {clear} of {table.height} "
        f"{'comparisons' if table.height > 1 else 'comparison'} with the control {'is' if clear == 1 else 'are'} clear "
        f"at a rate of false discoveries of {formats.share(design.alpha)}, {_always(table)} even to those who looked "
        "before the end."
    ]
    if mismatch < MISMATCH:
        sentences.append(
            f"The arms are not as large as planned ({formats.p_value(mismatch)}): assignment went wrong, and no effect "
            "here can be trusted."
        )
    if not isinstance(found.segments, LeftOut):
        tests = own(found.segments)["differ"].drop_nulls()
        if tests.len():
            differ = int((tests.unique() < design.alpha).sum())
            sentences.append(
                "The effect differs between segments."
                if differ
                else "That the effect is the same in all segments cannot be ruled out."
            )
    return " ".join(sentences)


def measures(found: Read | LeftOut, design: Design) -> list[Measure]:
    """What 07 records of all finished experiments: comparisons with a control, and how many of them are clear."""
    labels = {
        "comparisons_read": "Comparisons in finished experiments",
        "comparisons_clear": "Clear comparisons in finished experiments",
    }
    if isinstance(found, LeftOut):
        return [measured(name, label, "count", None, found.reason) for name, label in labels.items()]
    counts = {"comparisons_read": found.effects.height, "comparisons_clear": _clear(found.effects, design)}
    return [Measure(name, label, "count", counts[name]) for name, label in labels.items()]


def _clear(table: pl.DataFrame, design: Design) -> int:
    return table.filter(pl.col("p_adjusted") < design.alpha).height


def _named(name: str, table: pl.DataFrame) -> pl.DataFrame:
    return table.select(pl.lit(name).alias("experiment"), pl.all())


def _always(table: pl.DataFrame) -> int:
    return table.filter((pl.col("always_low") > 0) | (pl.col("always_high") < 0)).height
