"""How sure a network may be: temperature, and the confidence below which a frame is doubtful."""

import math

import pytest
import torch

from echoseg.train.calibration import HOTTEST, calibrate, fit_temperature


def drawn(true_logits: torch.Tensor) -> torch.Tensor:
    """Labels of which the logits tell the exact probabilities."""
    generator = torch.Generator().manual_seed(1)
    if true_logits.shape[1] == 1:
        return torch.bernoulli(true_logits[:, 0].sigmoid(), generator=generator).long()
    return torch.multinomial(true_logits.softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_the_factor_by_which_a_network_is_too_sure_is_found(channels, factor):
    honest = 2 * torch.randn(40_000, channels, generator=torch.Generator().manual_seed(0))
    assert fit_temperature(factor * honest, drawn(honest)) == pytest.approx(factor, rel=0.03)


def test_a_network_that_is_never_wrong_gets_the_lowest_that_is_tried():
    logits = torch.tensor([[3.0], [-3.0]]).repeat(10, 1)
    assert fit_temperature(logits, (logits[:, 0] > 0).long()) == pytest.approx(1 / HOTTEST, rel=0.01)


def test_other_structures_are_background_for_one_channel():
    logits = torch.tensor([[2.0], [-2.0], [-2.0]]).repeat(5, 1)
    labels = torch.tensor([1, 2, 3]).repeat(5)
    assert math.isclose(fit_temperature(logits, labels), fit_temperature(logits, (labels == 1).long()))


@pytest.mark.parametrize("channels", [1, 4])
def test_one_frame_of_twenty_is_less_sure_than_a_frame_may_be(channels):
    """The frames differ in how sharp their edge is; the calibrated confidence of each is compared with the limit."""
    sharpness = torch.linspace(1, 30, 40)
    distance = (8 - torch.linspace(-16, 16, 32).abs()).expand(32, 32)
    lv = sharpness[:, None, None] * distance / 8
    logits = lv[:, None] if channels == 1 else torch.stack([-lv / 2, lv / 2, lv * 0 - 40, lv * 0 - 40], 1)
    masks = (distance > 0).long().expand(40, 32, 32).clone()
    masks[:, ::7] = 0
    found = calibrate(logits, masks)
    p = torch.sigmoid(lv / found.temperature)
    inside = distance > 0
    confidence = 2 * (p * inside).sum((1, 2)) / (p.sum((1, 2)) + inside.sum())
    assert (confidence < found.doubtful_below).sum() == 2
