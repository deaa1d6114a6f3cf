"""The committed measurements and coefficients, and the costs that follow from them."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from finn_flow.cost_model.fit import Coefficients, predict
from finn_flow.cost_model.structure import Structure
from finn_flow.resource_counts import Resources

DATA = Path(__file__).with_name("data.json")


@functools.cache
def committed() -> dict[str, Any]:
    """`yosys`, its version; `measurements` and `coefficients`, each by op."""
    return dict(json.loads(DATA.read_text()))


def coefficients(op: str) -> Coefficients:
    """Of one op, as committed."""
    return dict(committed()["coefficients"][op])


def predict_layer(op: str, structure: Structure) -> Resources:
    """The cost of a layer by its structure."""
    return predict(structure, coefficients(op))
