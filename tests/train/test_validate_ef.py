"""Validation of ejection fraction networks."""

import numpy as np
import pytest
import torch
from torch import nn

from echoseg.data import EfCine, EfClips
from echoseg.errors import InputError
from echoseg.train import EfValidator


class MeanGray(nn.Module):
    """100 x mean gray of a clip."""

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return 100 * clip[:, :, 0].mean((1, 2, 3))


def cine(name: str, grays: range, ef: float | None) -> EfCine:
    frames = np.stack([np.full((16, 16), g, np.uint8) for g in grays])
    return EfCine(name, frames, None, ef)


def validator(*cines: EfCine, seeds: int = 3) -> EfValidator:
    return EfValidator(cines, EfClips(2, 0.04, 0.0, 1.0), seeds)


def test_errors_by_hand():
    """Two still cines of gray 51 and 102 (20 and 40 points), truths 26 and 32."""
    still = [cine("a", range(51, 52), 26.0), cine("b", range(102, 103), 32.0)]
    still = [EfCine(c.name, np.repeat(c.frames, 4, 0), None, c.ef_percent) for c in still]
    scores = validator(*still)(MeanGray().train(), torch.device("cpu"))
    assert scores["val_mse"] == pytest.approx((36 + 64) / 2, rel=1e-5)
    assert scores["val_mae"] == pytest.approx(7, rel=1e-5)
    assert scores["val_rmse"] == pytest.approx(50**0.5, rel=1e-5)
    assert scores["val_r2"] == pytest.approx(1 - 100 / 18, rel=1e-5)


def test_the_same_clips_at_every_validation_and_others_for_every_seed():
    cines = [cine(f"c{i}", range(200), 50.0) for i in range(11)]
    one, again = (validator(*cines)(MeanGray(), torch.device("cpu")) for _ in range(2))
    assert {k: v for k, v in one.items() if k != "val_r2"} == {k: v for k, v in again.items() if k != "val_r2"}
    assert one["val_mse"] != validator(*cines, seeds=1)(MeanGray(), torch.device("cpu"))["val_mse"]


def test_the_mode_is_restored():
    method = MeanGray().train()
    validator(cine("a", range(9), 50.0))(method, torch.device("cpu"))
    assert method.training


def test_nothing_to_validate_on_is_said_before_the_training():
    with pytest.raises(InputError, match="no validation cine has an ejection fraction"):
        validator()
