"""The saved forecast, and customers scored with it: the same as in the run, and clear messages for what is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from forecast_market import Market, market

from patternbook import bundle, scores
from patternbook.analysis import intent, propensity, scoring
from patternbook.analysis.propensity import Forecast
from patternbook.analysis.scoring import Scorer
from patternbook.errors import UserError
from patternbook.formats import Formats
from patternbook.params import Params
from patternbook.paths import RunPaths

FORMATS = Formats("USD", "en_US")


@pytest.fixture(scope="module")
def shop() -> Market:
    return market()


@pytest.fixture(scope="module")
def forecast(shop: Market) -> Forecast:
    return propensity.forecast(shop.panels, shop.at.horizon, every=False)


@pytest.fixture(scope="module")
def scorer(shop: Market, forecast: Forecast) -> Scorer:
    return scoring.scorer(forecast, shop.panels, intent.terms(shop.panels, 30, 0.3, 0.1, 0.25))


@pytest.fixture
def paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Market, forecast: Forecast, scorer: Scorer
) -> Iterator[RunPaths]:
    """A run with its bundle, and nothing else."""
    monkeypatch.setenv("PATTERNBOOK_ROOT", str(tmp_path))
    params = Params(run="small", source={"kind": "simulated"})
    monkeypatch.setattr(scores, "params_of", lambda run: params)
    made = RunPaths.of("small")
    bundle.save(made, scorer, forecast.evaluation, shop.panels)
    yield made


def test_the_bundle_scores_as_the_run_did_and_holds_no_pickle(paths: RunPaths, shop: Market, scorer: Scorer) -> None:
    ours = scoring.score(scorer, shop.now.customers.lazy(), FORMATS)
    assert scoring.score(bundle.load(paths), shop.now.customers.lazy(), FORMATS).equals(ours)
    assert {file.suffix for file in paths.model.iterdir()} == {".txt", ".json"}
    for file in paths.model.glob("*.json"):
        json.loads(file.read_text("utf-8"))
    manifest = json.loads((paths.model / "manifest.json").read_text("utf-8"))
    assert [one["customers"] for one in manifest["training"]] == [len(one.x) for one in shop.panels.training]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_of_features_is_scored(
    paths: RunPaths, shop: Market, scorer: Scorer, tmp_path: Path, suffix: str
) -> None:
    file, target = tmp_path / f"now{suffix}", tmp_path / f"scores{suffix}"
    features = shop.now.customers.head(50)
    features.write_csv(file) if suffix == ".csv" else features.write_parquet(file)
    found, written = scores.score("small", str(file), target)
    assert written == target
    ours = scoring.score(scorer, features.lazy(), FORMATS)
    assert found["customer_id"].to_list() == ours["customer_id"].to_list()
    assert found["probability"].to_list() == pytest.approx(ours["probability"].to_list())
    assert (pl.read_csv(target) if suffix == ".csv" else pl.read_parquet(target)).height == 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.rename({"views_7d": "view_7d"}), r"unknown column 'view_7d'; did you mean 'views_7d'"),
        (lambda frame: frame.drop("views_7d"), r"column 'views_7d' is missing"),
        (lambda frame: frame.with_columns(pl.lit(1).alias("zzz")), r"unknown column 'zzz'; leave it out"),
        (lambda frame: frame.head(0), r"holds no customer"),
        (
            lambda frame: frame.with_columns(pl.lit("many").alias("views")),
            r"row 1: column 'views': 'many' is not of type bigint",
        ),
        (lambda frame: frame.with_columns(pl.lit(None).alias("orders")), r"row 1: column 'orders' is empty"),
        (lambda frame: pl.concat([frame, frame]), r"row 2: customer \d+ is in the file more than once; give one row"),
    ],
)
def test_a_file_that_is_not_of_features_is_refused(
    paths: RunPaths, shop: Market, tmp_path: Path, change: object, message: str
) -> None:
    file = tmp_path / "now.csv"
    change(shop.now.customers.head(5)).write_csv(file)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        scores.score("small", str(file))
    assert not (paths.home / "customer").exists()


def test_what_is_not_there_is_said(paths: RunPaths, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"none\.csv: no such file; name a CSV or Parquet file of features, or a cutoff"
    ):
        scores.score("small", str(tmp_path / "none.csv"))
    with pytest.raises(UserError, match=r"scores are written as \.csv or \.parquet"):
        scores.score("small", "2024-05-01", tmp_path / "scores.xlsx")
    with pytest.raises(UserError, match="run 'small' has no events yet"):
        scores.score("small", "2024-05-01")
    (tmp_path / "bad.parquet").write_text("no parquet")
    with pytest.raises(UserError, match=r"bad\.parquet: cannot be read"):
        scores.score("small", str(tmp_path / "bad.parquet"))


def test_a_bundle_that_was_changed_is_refused(paths: RunPaths) -> None:
    booster = paths.model / "booster.txt"
    booster.write_text(booster.read_text("utf-8") + "\n", "utf-8")
    with pytest.raises(UserError, match=r"booster\.txt: missing, or not the file that was saved"):
        bundle.load(paths)
    bundle.remove(paths)
    with pytest.raises(UserError, match="run 'small' has no model to score with"):
        bundle.load(paths)
