"""Tables of planned and simulated experiments."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.experiments import FORMULAS
from patternbook.analysis.trials import Plan, Trials
from patternbook.formats import Formats
from patternbook.tables import Column, table


def sizes(frame: pl.DataFrame, planned: Plan, formats: Formats) -> GT:
    """What the likely effect takes, by metric."""
    columns = {
        "metric": Column("Metric"),
        "correlation": Column(
            "Correlation with before (95% interval)", "number", ("correlation_low", "correlation_high")
        ),
        "per_group": Column("Control group", "count"),
        "people": Column("People", "count"),
        "days": Column("Days", "count"),
        "detectable": Column("Detectable as planned", "share"),
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


def designs(frame: pl.DataFrame, formats: Formats) -> GT:
    """The same experiment designed otherwise."""
    columns = {
        "design": Column("Design"),
        "level": Column("Level of a test", "share"),
        "per_group": Column("Control group", "count"),
        "people": Column("People in all", "count"),
        "days": Column("Days", "count"),
    }
    note = "Several treated arms or metrics share the level evenly (Bonferroni). Treated arms are equally large."
    return table("experiment-designs", frame, columns, formats, note)


def scenarios(frame: pl.DataFrame, trials: Trials, formats: Formats) -> GT:
    """What each plan earns and how often it errs."""
    columns = {
        "plan": Column("Plan"),
        "profit": Column("Net profit (95% interval of the mean)", "currency", ("profit_low", "profit_high")),
        "loss": Column("Loses money", "share"),
        "wrong": Column("Wrong decision", "share"),
        "days": Column("Days", "count"),
        "type1": Column("False positives", "share", ("type1_low", "type1_high")),
        "power": Column("Power", "share", ("power_low", "power_high")),
    }
    note = (
        f"{formats.count(trials.mean('fixed').n)} simulated experiments; intervals are those of the simulation. Wrong "
        "decision: goes on although it loses, or stops although it would earn. False positives: with no effect at all; "
        "power: with the likely one."
    )
    return table("experiment-scenarios", frame, columns, formats, note)


def readout(effects: pl.DataFrame, arms: pl.DataFrame, formats: Formats) -> GT:
    """What each arm changed, on every metric."""
    columns = {
        "experiment": Column("Experiment"),
        "arm": Column("Arm"),
        "metric": Column("Metric"),
        "control": Column("Control", "number"),
        "treated": Column("Arm's", "number"),
        "difference": Column("Difference (95% interval)", "number", ("difference_low", "difference_high")),
        "always": Column("Always valid"),
        "cuped": Column("With CUPED", "number", ("cuped_low", "cuped_high")),
        "p_adjusted": Column("p, corrected", "number"),
    }
    shown = effects.with_columns(
        pl.Series(
            "always",
            [
                f"{formats.value(low, 'number')} to {formats.value(high, 'number')}"
                for low, high in effects.select("always_low", "always_high").iter_rows()
            ],
        )
    )
    if effects["cuped"].null_count() == effects.height:
        del columns["cuped"]
    note = (
        f"{formats.count(arms['people'].sum())} people. Ratios by the delta method. Always valid: holds however often "
        "one has looked. CUPED: with what each person did before. p: corrected for all rows of an experiment "
        "(Benjamini–Hochberg)."
    )
    return table("experiment-readout", shown, columns, formats, note)
