"""Counts against hand-counted layers."""

import pytest
import torch
from torch import nn

from echoseg.nn.cost import gmacs, parameters


def test_a_convolution_by_hand():
    """8 -> 16 channels, 3x3, stride 2: 7 x 9 outputs of 16 channels, 72 products each, two images; the bias is no product."""
    layer = nn.Conv2d(8, 16, 3, stride=2, padding=1)
    assert parameters(layer) == 16 * 8 * 9 + 16
    assert gmacs(layer, torch.randn(2, 8, 13, 17)) * 1e9 == pytest.approx(2 * 16 * 7 * 9 * 72)


def test_a_depthwise_convolution_by_hand():
    layer = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
    assert parameters(layer) == 72
    assert gmacs(layer, torch.randn(1, 8, 10, 10)) * 1e9 == pytest.approx(8 * 9 * 100)


def test_linear_layers_add_up_and_activations_are_free():
    net = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.LayerNorm(7), nn.Linear(7, 3))
    assert parameters(net) == 5 * 7 + 7 + 14 + 7 * 3 + 3
    assert gmacs(net, torch.randn(4, 5)) * 1e9 == pytest.approx(4 * (35 + 21))


def test_shared_weights_count_once_as_parameters_and_each_time_as_work():
    layer = nn.Linear(4, 4, bias=False)
    net = nn.Sequential(layer, layer)
    assert parameters(net) == 16
    assert gmacs(net, torch.randn(1, 4)) * 1e9 == pytest.approx(32)


def test_the_meta_device_gives_the_same_numbers_without_memory():
    real = nn.Conv2d(3, 4, 5)
    with torch.device("meta"):
        ghost, image = nn.Conv2d(3, 4, 5), torch.empty(1, 3, 20, 20)
    assert gmacs(ghost, image) == gmacs(real, torch.randn(1, 3, 20, 20))


def test_counting_leaves_no_gradient_and_no_change():
    layer = nn.BatchNorm2d(2).eval()
    before = layer.running_mean.clone()
    gmacs(layer, torch.ones(1, 2, 3, 3))
    assert torch.equal(layer.running_mean, before)


def test_a_parameter_that_is_passed_on_as_an_argument_does_no_harm():
    """torch's counter failed on it while gradients were off."""

    class Passes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.layer = nn.Parameter(torch.ones(1, 4)), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.layer(self.token)

    net = Passes()
    assert gmacs(net, torch.ones(2, 4)) * 1e9 == pytest.approx(16)
    assert net.token.requires_grad
