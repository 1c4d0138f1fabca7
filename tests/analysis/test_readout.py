"""Finished experiments against statsmodels, a known experiment, planted uplift, and files that are none."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from patternbook import finished as files
from patternbook.analysis import readout
from patternbook.analysis.experiments import Design
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.readout import Finished
from patternbook.errors import UserError
from patternbook.formats import Formats
from patternbook.params import Readout, params_from, project_root

DESIGN = Design()
US = Formats("USD", "en_US")
HILLSTROM = project_root() / "../shared/data/hillstrom_email.csv"


def experiment(n: int = 3000, seed: int = 0, lift: float = 1.0) -> Finished:
    rng = np.random.default_rng(seed)
    arm = np.where(rng.random(n) < 0.5, "mail", "none")
    before = rng.gamma(2, 10, n)
    spend = 0.8 * before + rng.gamma(2, 5, n) + lift * (arm == "mail")
    orders = 1 + rng.poisson(1, n)
    frame = pl.DataFrame(
        {
            "arm": arm,
            "spend": spend,
            "before": before,
            "orders": orders,
            "revenue": orders * rng.gamma(2, 15, n),
            "segment": rng.choice(["new", "old", "rare"], n, p=[0.5, 0.499, 0.001]),
        }
    )
    ratios = {"revenue an order": ("revenue", "orders")}
    return Finished("test", frame, "arm", "none", ("spend",), {"spend": "before"}, ratios, "segment")


def test_a_difference_of_means_is_that_of_statsmodels() -> None:
    one = experiment()
    row = readout.effects(one, DESIGN).row(0, named=True)
    treated, control = (one.people.filter(pl.col("arm") == arm)["spend"].to_numpy() for arm in ("mail", "none"))
    theirs = CompareMeans(DescrStatsW(treated), DescrStatsW(control))
    low, high = theirs.zconfint_diff(usevar="unequal")
    assert (row["difference_low"], row["difference_high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["p"] == pytest.approx(theirs.ztest_ind(usevar="unequal")[1])
    assert row["relative"] == pytest.approx(treated.mean() / control.mean() - 1)


def test_cuped_is_the_regression_on_what_was_before() -> None:
    one = experiment()
    row = readout.effects(one, DESIGN).row(0, named=True)
    treated = (one.people["arm"] == "mail").to_numpy().astype(float)
    design = sm.add_constant(np.column_stack([treated, one.people["before"].to_numpy()]))
    fit = sm.OLS(one.people["spend"].to_numpy(), design).fit(cov_type="HC2")
    assert row["cuped"] == pytest.approx(fit.params[1], rel=1e-9)
    assert (row["cuped_high"] - row["cuped"]) / 1.959964 == pytest.approx(fit.bse[1], rel=0.01)
    assert row["variance_left"] < 0.4


def test_a_ratio_has_the_variance_of_the_delta_method() -> None:
    differences, errors = [], []
    for seed in range(150):
        row = readout.effects(experiment(400, seed), DESIGN).row(1, named=True)
        differences.append(row["difference"])
        errors.append((row["difference_high"] - row["difference"]) / 1.959964)
    assert np.std(differences) == pytest.approx(np.mean(errors), rel=4 / math.sqrt(300))
    one = experiment(400)
    treated = one.people.filter(pl.col("arm") == "mail")
    assert readout.effects(one, DESIGN)["treated"][1] == pytest.approx(
        treated["revenue"].sum() / treated["orders"].sum()
    )


def test_the_confidence_sequence_holds_at_every_look() -> None:
    """The half-width for n people, with the scale of the last look, as anyone who looks on the way would have it."""
    rng, runs, looks = np.random.default_rng(1), 600, np.arange(20, 2001, 20)
    means = rng.standard_normal((runs, 2000)).cumsum(axis=1)[:, looks - 1] / looks
    last = 1 / looks[-1]
    scale = (DESIGN.z_level + DESIGN.z_power) ** 2 * last
    widths = np.array([readout._always_valid(1 / n, scale, 0.05) for n in looks])
    naive = 1.959964 / np.sqrt(looks)
    outside = (np.abs(means) > widths).any(axis=1).mean()
    assert outside < 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    assert (np.abs(means) > naive).any(axis=1).mean() > 0.2


def test_p_values_are_corrected_as_by_statsmodels() -> None:
    table = readout.effects(experiment(lift=0.6), DESIGN)
    theirs = multipletests(table["p"].to_numpy(), method="fdr_bh")[1]
    np.testing.assert_allclose(table["p_adjusted"].to_numpy(), theirs)


def test_a_lopsided_assignment_is_seen() -> None:
    one = experiment()
    assert readout.arms(one)["p"][0] > readout.MISMATCH
    lost = replace(one, people=one.people.filter((pl.col("arm") == "none") | (pl.col("spend") > 20)))
    assert readout.arms(lost)["p"][0] < readout.MISMATCH
    assert "assignment went wrong" in readout.answer(readout.read([lost], DESIGN, 10), DESIGN, US)
    assert "assignment" not in readout.answer(readout.read([one], DESIGN, 10), DESIGN, US)
    planned = replace(lost, shares=dict(readout.arms(lost).select("arm", "share").iter_rows()))
    assert readout.arms(planned)["p"][0] == pytest.approx(1)


def test_several_experiments_are_read_side_by_side() -> None:
    first, second = experiment(), replace(experiment(seed=1), name="*other* <b>")
    found = readout.read([first, second], DESIGN, 10)
    assert isinstance(found, readout.Read)
    assert found.effects.group_by("experiment").len()["len"].to_list() == [2, 2]
    text = readout.answer(found, DESIGN, US)
    assert "<b>" not in text
    assert text.count("people") == 2
    counts = {measure.name: measure.value for measure in readout.measures(found, DESIGN)}
    rejected = [
        multipletests(own["p"].to_numpy(), 0.05, "fdr_bh")[0].sum() for _, own in found.effects.group_by("experiment")
    ]
    assert counts == {"comparisons_read": 4, "comparisons_clear": sum(rejected)}
    none = readout.read([], DESIGN, 10)
    assert isinstance(none, LeftOut)
    assert {measure.reason for measure in readout.measures(none, DESIGN)} == {none.reason}


def test_small_segments_are_left_out() -> None:
    found = readout.by_segment(experiment(), "spend", DESIGN, 10)
    assert isinstance(found, pl.DataFrame)
    assert found["segment"].to_list() == ["new", "old"]
    assert isinstance(readout.by_segment(replace(experiment(), segment=None), "spend", DESIGN, 10), LeftOut)
    assert isinstance(readout.by_segment(experiment(), "spend", DESIGN, 10_000), LeftOut)


def test_segments_differ_where_they_do_and_not_by_chance() -> None:
    rng, alike = np.random.default_rng(2), 0
    for seed in range(100):
        found = readout.by_segment(experiment(600, seed), "spend", DESIGN, 10)
        assert isinstance(found, pl.DataFrame)
        alike += found["differ"][0] > 0.05
    assert alike >= 86  # 95 % less four standard errors
    one = experiment()
    helped = (one.people["segment"] == "new") & (one.people["arm"] == "mail")
    changed = one.people.with_columns(spend=pl.col("spend") + 4 * helped.cast(pl.Float64) + rng.random())
    found = readout.by_segment(replace(one, people=changed), "spend", DESIGN, 10)
    assert isinstance(found, pl.DataFrame)
    assert found["differ"][0] < 1e-3


# A known experiment ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not HILLSTROM.exists(), reason="the MineThatData e-mail experiment is not here")
def test_each_email_of_hillstrom_against_no_email_alone() -> None:
    one = files.read(hillstrom())
    arms = readout.arms(one)
    assert dict(arms.select("arm", "people").iter_rows()) == {
        "Mens E-Mail": 21307,
        "No E-Mail": 21306,
        "Womens E-Mail": 21387,
    }
    assert arms["p"][0] > 0.5
    assert one.people["visit"].sum() == 9394
    assert one.people["conversion"].sum() == 578
    assert one.people["spend"].mean() == pytest.approx(1.0509, abs=5e-5)
    table = readout.effects(one, DESIGN)
    frame = pl.read_csv(HILLSTROM, infer_schema_length=70_000)
    for arm, metric, control, difference in table.select("arm", "metric", "control", "difference").iter_rows():
        if metric in one.metrics:
            means = [frame.filter(pl.col("segment") == name)[metric].mean() for name in ("No E-Mail", arm)]
            assert (control, difference) == (pytest.approx(means[0]), pytest.approx(means[1] - means[0]))  # type: ignore[operator]
    women = table.filter((pl.col("arm") == "Womens E-Mail") & (pl.col("metric") == "conversion")).row(0, named=True)
    assert women["relative"] == pytest.approx(0.543, abs=0.001)
    assert women["p_adjusted"] < 0.01


def hillstrom(**changed: object) -> Readout:
    plain: dict[str, object] = {
        "name": "E-mail",
        "file": str(HILLSTROM),
        "arm": "segment",
        "control": "No E-Mail",
        "metrics": ("visit", "conversion", "spend"),
        "before": {"spend": "history"},
        "segment": "channel",
    }
    return Readout(**(plain | changed))  # type: ignore[arg-type]


# Files that are none -----------------------------------------------------------------------------------------------


def file(tmp_path: Path, text: str) -> Readout:
    (tmp_path / "test.csv").write_text(text, "utf-8")
    return Readout(name="x", file=str(tmp_path / "test.csv"), arm="arm", control="none", metrics=("spend",))


def test_a_small_file_is_read(tmp_path: Path) -> None:
    one = files.read(file(tmp_path, "arm,spend\nmail,1\nmail,true\nnone, 2.5\nnone,0\n"))
    assert one.people["spend"].to_list() == [1, 1, 2.5, 0]
    assert one.arms == ["mail"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arm,money\nmail,1\n", r"no column 'spend'; it has arm, money"),
        ("arm,spend\nmail,1\nmail,2\n", r"no arm is called 'none'; it has mail"),
        ("arm,spend\nnone,1\nnone,2\n", r"nothing to compare"),
        ("arm,spend\nnone,1\nnone,2\nmail,x\n", r"line 4: column 'spend' is no number: 'x'"),
        ("arm,spend\nnone,1\nnone,\nmail,1\n", r"line 3: column 'spend' is no number: None"),
        ("arm,spend\nnone,1\n,2\nmail,1\n", r"line 3: column 'arm' is empty"),
        ("arm,spend\nnone,1\nnone,inf\nmail,1\n", r"line 3"),
        ("arm,spend\nnone,1\nnone,2\nmail,1\n", r"arm 'mail' has fewer than 2 people"),
        ("", r"cannot be read as a table"),
    ],
)
def test_what_is_no_experiment_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=rf"test\.csv.*{words}"):
        files.read(file(tmp_path, text))


def test_shares_must_be_those_of_the_arms(tmp_path: Path) -> None:
    one = file(tmp_path, "arm,spend\nmail,1\nmail,1\nnone,2\nnone,0\n").model_copy(update={"shares": {"mail": 0.5}})
    with pytest.raises(UserError, match="shares names the arms mail"):
        files.read(one)


def test_a_missing_file_and_a_wrong_key_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        files.read(Readout(name="x", file=str(tmp_path / "no.csv"), arm="a", control="b", metrics=("c",)))
    readouts = [{"name": "x", "file": "f", "arm": "a", "control": "b", "metrics": ["c"], "before": {"d": "e"}}]
    with pytest.raises(UserError, match="'d' is none of the metrics c"):
        params_from({"run": "x", "source": {"kind": "simulated"}, "experiments": {"readouts": readouts}}, "p.yaml")
