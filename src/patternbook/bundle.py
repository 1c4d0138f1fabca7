"""The saved forecast of a run, in `model/`: text and JSON alone, nothing that runs when it is read.

booster.txt (LightGBM's own text), scorer.json (calibration, what was learned before the trees, terms of contact),
features.json (columns with types and reference percentiles), metrics.json (what the test found) and manifest.json
(what it was trained on, and the digests of the others; written last).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from patternbook import __version__
from patternbook.errors import UserError
from patternbook.findings import rounded, write_aside

if TYPE_CHECKING:
    from patternbook.analysis.evaluation import Evaluation
    from patternbook.analysis.propensity import Panels
    from patternbook.analysis.scoring import Scorer
    from patternbook.paths import RunPaths

BOOSTER, SCORER, FEATURES, METRICS, MANIFEST = (
    "booster.txt", "scorer.json", "features.json", "metrics.json", "manifest.json",
)  # fmt: skip
FORMAT = 1


def save(paths: RunPaths, scorer: Scorer, evaluation: Evaluation, panels: Panels) -> None:
    """Write the bundle aside and put it in the place of an earlier one."""
    from patternbook.analysis.predictors import NAMES, PREDICTORS

    folder = paths.scratch / "model"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model, terms = scorer.model, scorer.terms
    (folder / BOOSTER).write_text(model.booster.model_to_string(num_iteration=model.booster.best_iteration), "utf-8")
    _write(
        folder / SCORER,
        {
            "horizon_days": model.horizon,
            "calibrator": {"slope": model.calibrator.slope, "intercept": model.calibrator.intercept},
            "preparation": scorer.preparation.as_json(),
            "terms": {
                "value": terms.value,
                "incremental_share": terms.incremental_share,
                "contact_cost": terms.contact_cost,
            },
            "ranks": scorer.ranks.tolist(),
            "trusted": scorer.trusted,
        },
    )
    _write(
        folder / FEATURES,
        [
            {
                "name": one.name,
                "family": one.family,
                "type": "name" if one.name in NAMES else "number",
                "why": one.why,
                "percentiles": None if np.isnan(known).any() else known.tolist(),
            }
            for one in PREDICTORS
            if (known := scorer.reference[one.name]) is not None
        ],
    )
    found = {name: one._asdict() for name, one in evaluation.of_model.items()}
    gains = {name: one._asdict() for name, one in evaluation.gains.items()}
    _write(folder / METRICS, {"model": _plain(found), "gain": _plain(gains), "best_baseline": evaluation.best})
    made_of = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _parts()}
    _write(
        folder / MANIFEST,
        {
            "format": FORMAT,
            "patternbook": __version__,
            "lightgbm": metadata.version("lightgbm"),
            "run": paths.run,
            "training": [
                {
                    "cutoff": one.cutoff.isoformat(),
                    "customers": len(one.x),
                    "buyers": int(one.bought(model.horizon).sum()),
                }
                for one in panels.training
            ],
            "calibration": panels.calibration.cutoff.isoformat(),
            "test": panels.test.cutoff.isoformat(),
            "sha256": made_of,
        },
    )
    remove(paths)
    folder.rename(paths.model)


def _plain(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: rounded(value) for key, value in one.items()} for name, one in found.items()}


def _parts() -> tuple[str, ...]:
    return BOOSTER, SCORER, FEATURES, METRICS


def _write(file: Path, content: Any) -> None:
    write_aside(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def remove(paths: RunPaths) -> None:
    """Delete the bundle of an earlier run, where there is one."""
    shutil.rmtree(paths.model, ignore_errors=True)


def load(paths: RunPaths) -> Scorer:
    """The scorer of a run's bundle. Raises UserError where there is none, or where its files are not those saved."""
    import lightgbm

    from patternbook.analysis.classification import Calibrator
    from patternbook.analysis.intent import Terms
    from patternbook.analysis.predictors import COLUMNS, Preparation
    from patternbook.analysis.propensity import Model
    from patternbook.analysis.scoring import Scorer

    if not (paths.model / MANIFEST).exists():
        raise UserError(f"run {paths.run!r} has no model to score with; `patternbook run` trains one where data allow")
    manifest = json.loads((paths.model / MANIFEST).read_text("utf-8"))
    for name in _parts():
        file = paths.model / name
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != manifest["sha256"].get(name):
            raise UserError(f"{file}: missing, or not the file that was saved; run `patternbook run` to train again")
    kept = json.loads((paths.model / SCORER).read_text("utf-8"))
    listed = json.loads((paths.model / FEATURES).read_text("utf-8"))
    if manifest["format"] != FORMAT or tuple(one["name"] for one in listed) != COLUMNS:
        raise UserError(f"{paths.model}: saved by another version of patternbook; run `patternbook run` to train again")
    nothing = np.full(len(kept["ranks"]), np.nan)
    return Scorer(
        Model(
            kept["horizon_days"],
            lightgbm.Booster(model_str=(paths.model / BOOSTER).read_text("utf-8")),
            Calibrator(**kept["calibrator"]),
        ),
        Preparation.from_json(kept["preparation"]),
        Terms(**kept["terms"]),
        np.array(kept["ranks"]),
        {
            one["name"]: nothing if one["percentiles"] is None else np.array(one["percentiles"], dtype=float)
            for one in listed
        },
        tuple((low, high) for low, high in kept["trusted"]),
    )
