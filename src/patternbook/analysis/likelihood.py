"""Maximum likelihood for models of a few positive parameters: on their logarithms, from several starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.stats import chi2
from threadpoolctl import threadpool_limits

from patternbook.analysis.intervals import CONFIDENCE, Floats

Objective = Callable[[Floats], tuple[float, Floats]]

STEP = 1e-4  # of the logarithms, for the Hessian from differences of the gradient
FARTHEST = 12.0  # logarithms beyond ±12 are a boundary, not an estimate
DROP = float(chi2.ppf(CONFIDENCE, 1)) / 2  # of the log-likelihood, within which parameters are not rejected
LARGEST_ERROR = 5.0  # standard error of a logarithm: a factor of e¹⁰ either way says nothing


class NotIdentified(ValueError):
    """The data do not determine the parameters. The message is one sentence that says what to do."""


class Maximum(NamedTuple):
    """Estimates of the logarithms, their covariance and the log-likelihood."""

    logs: Floats
    covariance: Floats
    log_likelihood: float


def maximise(objective: Objective, starts: Sequence[Floats], names: Sequence[str], advice: str) -> Maximum:
    """Largest log-likelihood over the logarithms of positive parameters.

    `objective` gives log-likelihood and gradient at the logarithms. Raises NotIdentified, with `names` of the
    parameters concerned and `advice`, where the optimum lies on the boundary or its curvature is not that of one.
    """
    with threadpool_limits(1):  # vectors of four: threads would only wait for each other
        best = min((_from(objective, start) for start in starts), key=lambda result: float(result.fun))
    far = [
        f"{name} → {'0' if value < 0 else '∞'}"
        for name, value in zip(names, best.x, strict=True)
        if abs(value) > FARTHEST - 0.01
    ]
    if far or not np.isfinite(best.fun):
        raise NotIdentified(f"The likelihood has no maximum ({', '.join(far) or 'it is not finite'}); {advice}.")
    information = -_hessian(objective, best.x)
    values, vectors = np.linalg.eigh(information)
    if values[0] <= 0:
        worst = names[int(np.abs(vectors[:, 0]).argmax())]
        raise NotIdentified(f"The likelihood is flat in {worst}, so that it cannot be told from the data; {advice}.")
    covariance: Floats = np.linalg.inv(information).astype(float)
    vague = [name for name, variance in zip(names, np.diag(covariance), strict=True) if variance > LARGEST_ERROR**2]
    if vague:
        raise NotIdentified(f"The data hardly determine {', '.join(vague)}; {advice}.")
    return Maximum(best.x, covariance, -float(best.fun))


def profile_ends(
    objective: Objective, best: Floats, quantity: Callable[[Floats], float], highest: Floats
) -> tuple[Floats, Floats] | None:
    """Where `quantity` is smallest and largest among the logarithms of parameters that the data do not reject.

    Those are the ends of its profile-likelihood interval (Venzon & Moolgavkar 1988, Applied Statistics 37, 87–94),
    which holds where a parameter is hardly told from zero and no standard error means anything. `best` is the
    maximum, `highest` the largest logarithms looked at. None where no end is found.
    """
    peak = objective(best)[0]

    def slope(logs: Floats) -> Floats:
        steps = np.eye(len(logs)) * STEP
        return np.array([(quantity(logs + step) - quantity(logs - step)) / (2 * STEP) for step in steps])

    kept = {
        "type": "ineq",
        "fun": lambda logs: (objective(logs)[0] - peak) / DROP + 1,
        "jac": lambda logs: objective(logs)[1] / DROP,
    }

    def farthest(sign: int) -> Any:
        return minimize(
            lambda logs: sign * quantity(logs),
            best,
            jac=lambda logs: sign * slope(logs),
            method="SLSQP",
            bounds=[(-FARTHEST, max(high, at)) for high, at in zip(highest, best, strict=True)],
            constraints=[kept],
            options={"maxiter": 300, "ftol": 1e-6},
        )

    with threadpool_limits(1):
        ends = [farthest(sign) for sign in (1, -1)]
    return (ends[0].x, ends[1].x) if all(end.success for end in ends) else None


def _from(objective: Objective, start: Floats) -> Any:
    def negative(logs: Floats) -> tuple[float, Floats]:
        value, gradient = objective(logs)
        return -value, -gradient

    bounds = [(-FARTHEST, FARTHEST)] * len(start)
    options = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-6}
    return minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)


def _hessian(objective: Objective, logs: Floats) -> Floats:
    """Second derivatives by central differences of the gradient."""
    rows = [(objective(logs + step)[1] - objective(logs - step)[1]) / (2 * STEP) for step in np.eye(len(logs)) * STEP]
    hessian: Floats = np.array(rows)
    return (hessian + hessian.T) / 2
