"""Tables of planned and simulated experiments."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.corrections import READINGS, Correction
from patternbook.analysis.experiments import FORMULAS
from patternbook.analysis.multiplicity import People
from patternbook.analysis.trials import Plan, Trials
from patternbook.formats import Formats
from patternbook.tables import Column, table


def sizes(frame: pl.DataFrame, planned: Plan, formats: Formats) -> GT:
    """What the likely effect takes, by metric."""
    columns = {
        "metric": Column("Metric"),
        "correlation": Column("ρ before", "number", ("correlation_low", "correlation_high")),
        "per_group": Column("Control group", "count"),
        "people": Column("People", "count"),
        "days": Column("Days", "count"),
        "detectable": Column("Detectable", "share"),
    }
    design, horizon = planned.design, planned.case.audience.horizon
    note = (
        f"To find a relative effect of {formats.change(planned.case.action.likely)}, two-sided level "
        f"{formats.share(design.level)}, power {formats.share(design.power)}. Buys: {FORMULAS['pooled']}. Spend: "
        f"z test of two means. Days hold the {horizon} that every outcome takes. CUPED: with what the same people did "
        "before, 1 − ρ² of the variance is left (Deng et al. 2013). Detectable: relative effect that "
        f"{formats.count(planned.control)} people in the control group find."
    )
    return table("experiment-sizes", frame, columns, formats, note)


def designs(frame: pl.DataFrame, correction: Correction, formats: Formats) -> GT:
    """The same experiment designed otherwise."""
    columns = {
        "design": Column("Design"),
        "level": Column("Level of a test", "share"),
        "per_group": Column("Control group", "count"),
        "people": Column("People in all", "count"),
        "days": Column("Days", "count"),
    }
    note = (
        "Several treated arms or metrics are planned at the level that the correction grants each "
        f"({READINGS[correction]}). Treated arms are equally large."
    )
    return table("experiment-designs", frame, columns, formats, note)


def comparisons(frame: pl.DataFrame, people: People, formats: Formats) -> GT:
    """What several arms and metrics do to errors and power, by correction; `frame` holds the rows of one or both."""
    several = [
        f"{_counted(arms, 'arm')}, {_counted(metrics, 'metric')}"
        for arms, metrics in frame.select("arms", "metrics").iter_rows()
    ]
    first = [not row or several[row - 1] != name for row, name in enumerate(several)]
    written = frame.with_columns(
        pl.Series("family", [name if new else "" for name, new in zip(several, first, strict=True)])
    )
    columns = {
        "family": Column("Experiment"),
        "correction": Column("Read with"),
        "familywise": Column("False alarm: none works", "share", ("familywise_low", "familywise_high")),
        "partly": Column("False alarm: one works", "share", ("partly_low", "partly_high")),
        "any": Column("Any found", "share", ("any_low", "any_high")),
        "all": Column("All found", "share", ("all_low", "all_high")),
    }
    note = (
        f"{formats.count(frame['experiments'][0])} simulated experiments each, groups as large as the likely effect on "
        "the first metric takes, or as the audience allows; intervals are those of the simulation. Arms: treated "
        "ones. None works: no arm has an effect. One works: the first arm has it, and one is found elsewhere. "
        "Any, all: every arm has it. "
        f"Metrics: {'; '.join(people.names)}; one person's go together with ρ = "
        f"{', '.join(formats.value(rho, 'number') for rho in people.correlation[0, 1:])} to the first. Dunnett is for "
        "arms; metrics divide its level."
    )
    return table("experiment-comparisons", written, columns, formats, note)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def scenarios(frame: pl.DataFrame, trials: Trials, formats: Formats) -> GT:
    """What each plan earns and how often it errs."""
    columns = {
        "plan": Column("Plan"),
        "profit": Column("Net profit", "currency", ("profit_low", "profit_high")),
        "loss": Column("Loss", "share"),
        "wrong": Column("Wrong", "share"),
        "days": Column("Days", "count"),
        "type1": Column("False alarm", "share", ("type1_low", "type1_high")),
        "power": Column("Power", "share", ("power_low", "power_high")),
    }
    note = (
        f"{formats.count(trials.mean('fixed').n)} simulated experiments; intervals are those of the simulation. Loss: "
        "its probability. Wrong: goes on although it loses, or stops although it would earn. False alarm: an effect "
        "found where there is none; power: the likely one found."
    )
    return table("experiment-scenarios", frame, columns, formats, note)


def readout(effects: pl.DataFrame, arms: pl.DataFrame, formats: Formats) -> GT:
    """What each arm changed, on every metric."""
    told = [name for name in ("experiment", "arm") if effects[name].n_unique() > 1]
    always = [
        f"{formats.value(low, 'number')} to {formats.value(high, 'number')}"
        for low, high in effects.select("always_low", "always_high").iter_rows()
    ]
    p_values = [formats.p_value(p).removeprefix("p ").removeprefix("= ") for p in effects["p_adjusted"]]
    shown = effects.with_columns(
        pl.concat_str([*told, "metric"], separator=": ").alias("what"),
        pl.Series("always", always, dtype=pl.String),
        pl.Series("corrected", p_values, dtype=pl.String),
    )
    columns = {
        "what": Column("Metric"),
        "control": Column("Control", "number"),
        "difference": Column("Difference", "number", ("difference_low", "difference_high")),
        "cuped": Column("With CUPED", "number", ("cuped_low", "cuped_high")),
        "always": Column("Always valid", align="right"),
        "corrected": Column("p", align="right"),
    }
    if effects["cuped"].null_count() == effects.height:
        del columns["cuped"]
    note = (
        f"{formats.count(arms['people'].sum())} people; differences with 95% interval, ratios by the delta method. "
        "Always valid: holds however often one has looked. CUPED: with what each person did before. p: corrected for "
        "all rows of an experiment (Benjamini–Hochberg)."
    )
    return table("experiment-readout", shown, columns, formats, note)
