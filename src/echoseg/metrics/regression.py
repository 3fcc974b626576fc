"""Errors of a regression, as tables of ejection fraction networks print them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from echoseg.errors import InputError


@dataclass(frozen=True)
class RegressionScores:
    """Prediction against reference.

    Attributes:
        mae: mean absolute error, in the unit of the input.
        rmse: root of the mean squared error.
        r2: coefficient of determination, 1 - sum (y - f)^2 / sum (y - mean y)^2; NaN where the reference does not vary. Not
            the square of a correlation: a biased prediction lowers it, and it may be negative.
    """

    mae: float
    rmse: float
    r2: float


def regression_scores(pred: ArrayLike, ref: ArrayLike) -> RegressionScores:
    """Scores of predictions, (n,), against references, (n,).

    Raises:
        InputError: nothing to compare, or different lengths.

    Example:
        >>> regression_scores([60.0, 50.0, 40.0], [58.0, 54.0, 38.0])
        RegressionScores(mae=2.6666666666666665, rmse=2.8284271247461903, r2=0.8928571428571429)
    """
    found, truth = np.asarray(pred, np.float64), np.asarray(ref, np.float64)
    if found.shape != truth.shape or found.ndim != 1 or not len(found):
        raise InputError(f"predictions of shape {found.shape} for references of {truth.shape}; give one for each")
    error = found - truth
    spread = float(((truth - truth.mean()) ** 2).sum())
    r2 = 1 - float((error**2).sum()) / spread if spread > 0 else math.nan
    return RegressionScores(float(np.abs(error).mean()), float(np.sqrt((error**2).mean())), r2)
