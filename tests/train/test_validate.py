"""Validation: Dice on ED and ES of a store."""

import numpy as np
import pytest
import torch
from tests.data.conftest import stored_cine
from tests.train.conftest import Toy

from echoseg.data import CineStore
from echoseg.errors import InputError
from echoseg.train import Validator, predicted_lv


class Threshold(Toy):
    """Bright is LV: exact on the stored cines, whose disc is gray 200 and whose ground is at most 60."""

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return clip * 100


class BlindAtTheEnd(Threshold):
    """Finds nothing on the last frame of a clip."""

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        logits = super().forward(clip)
        logits[:, -1] = -1
        return logits


def validator(*cines) -> Validator:
    return Validator(CineStore(cines), clip_length=4, mean=0.5, std=0.2)


def test_a_perfect_method_scores_one_also_in_reversed_cines():
    store = stored_cine("a"), stored_cine("b", ed_frame=9, es_frame=1)
    scores = validator(*store)(Threshold(), torch.device("cpu"))
    assert scores == {"val_dice": 1.0, "val_dice_ed": 1.0, "val_dice_es": 1.0}


def test_ed_and_es_are_told_apart():
    scores = validator(stored_cine())(BlindAtTheEnd(), torch.device("cpu"))
    assert scores == {"val_dice": 0.5, "val_dice_ed": 1.0, "val_dice_es": 0.0}


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_restored_and_statistics_stay(training):
    torch.manual_seed(0)
    method = Toy().train(training)
    before = method.net[1].running_mean.clone()
    validator(stored_cine())(method, torch.device("cpu"))
    assert method.training is training
    assert torch.equal(method.net[1].running_mean, before)


def test_cines_without_both_labels_are_passed_over():
    one = validator(stored_cine("a"), stored_cine("b", ed_frame=None, es_frame=None))
    assert one(Threshold(), torch.device("cpu"))["val_dice"] == 1.0


def test_nothing_to_validate_on_is_said_before_the_training_and_not_after_it():
    """A mean over nothing is NaN, no checkpoint was ever the best, and the run failed at its last step."""
    with pytest.raises(InputError, match="no validation cine has both ED and ES labelled"):
        validator(stored_cine(ed_frame=None, es_frame=None))


def test_lv_of_one_channel_is_a_positive_logit_and_of_four_the_largest():
    one = torch.tensor([[[[0.1, -0.1]]]])
    assert predicted_lv(one).tolist() == [[[True, False]]]
    four = torch.tensor([[2.0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 2, 0]]).T.reshape(1, 4, 1, 3)
    assert predicted_lv(four).tolist() == [[[False, True, False]]]
    assert predicted_lv(four).dtype == np.bool_


class OftenWrong(Threshold):
    """Equally sure of all pixels, and wrong at one of eight."""

    sureness = 1.0

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        logits = self.sureness * super().forward(clip).sign()
        logits[..., ::8] *= -1
        return logits


def test_the_temperature_is_what_a_network_is_too_sure_by():
    """Right at 7 of 8 pixels: the honest logit is log 7."""
    check, method = validator(stored_cine("a"), stored_cine("b", ed_frame=9, es_frame=1)), OftenWrong()
    method.sureness = 3.0
    assert check.calibrate(method).temperature == pytest.approx(3 / np.log(7), rel=0.01)
    method.sureness = 1.0
    assert check.calibrate(method, cines=1).temperature == pytest.approx(1 / np.log(7), rel=0.01)
