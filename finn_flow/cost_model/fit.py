"""Coefficients of the cost model: non-negative least squares of relative errors, op by op."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from finn_flow.cost_model.structure import Structure, Terms
from finn_flow.resource_counts import RESOURCE_NAMES, Resources

FITTED = ("lut", "ff")  # the others are counted
FLOOR = {"lut": 50, "ff": 50, "bram18": 2, "uram": 1, "dsp": 4}  # below, errors are taken of this many
Coefficients = dict[str, dict[str, float]]  # "lut" or "ff", with the variant behind a slash -> term -> weight


@dataclass(frozen=True)
class Measurement:
    """A synthesised layer. held_out: not fitted to."""

    structure: Structure
    resources: Resources
    held_out: bool


def fit(measurements: Sequence[Measurement]) -> Coefficients:
    """Of one op."""
    result: Coefficients = {}
    for variant in sorted({m.structure.variant for m in measurements}):
        chosen = [m for m in measurements if m.structure.variant == variant and not m.held_out]
        for name in FITTED:
            result[_key(name, variant)] = _solve(
                [getattr(m.structure, name) for m in chosen],
                [getattr(m.resources, name) - getattr(m.structure.counted, name) for m in chosen],
                [max(getattr(m.resources, name), FLOOR[name]) for m in chosen],
            )
    return result


def _solve(terms: Sequence[Terms], targets: Sequence[float], scales: Sequence[float]) -> Terms:
    names = list(terms[0])
    scale = np.array(scales, float)
    matrix = np.array([[row[name] for name in names] for row in terms], float) / scale[:, None]
    weights, _ = nnls(matrix, np.array(targets, float) / scale)
    return {
        name: float(f"{weight:.5g}") for name, weight in zip(names, weights, strict=True) if weight > 1e-9
    }


def predict(structure: Structure, coefficients: Coefficients) -> Resources:
    """The cost of a layer."""
    fitted = {}
    for name in FITTED:
        weights, terms = coefficients[_key(name, structure.variant)], getattr(structure, name)
        fitted[name] = round(sum(weight * terms[term] for term, weight in weights.items()))
    return structure.counted + Resources(**fitted)


def _key(name: str, variant: str) -> str:
    return f"{name}/{variant}" if variant else name


def errors(measurements: Iterable[Measurement], coefficients: Coefficients) -> dict[str, list[float]]:
    """Relative errors by resource, where it is predicted or measured."""
    found: dict[str, list[float]] = {name: [] for name in RESOURCE_NAMES}
    for m in measurements:
        prediction = predict(m.structure, coefficients)
        for name in RESOURCE_NAMES:
            guess, truth = getattr(prediction, name), getattr(m.resources, name)
            if guess or truth:
                found[name].append(abs(guess - truth) / max(truth, FLOOR[name]))
    return found
