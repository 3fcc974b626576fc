"""The U-Net of the baselines: shapes, names, frames that do not see each other."""

import dataclasses

import pytest
import torch
from torch import nn

from echoseg.errors import UsageError
from echoseg.methods.framewise import FrameWise, FrameWiseConfig
from echoseg.nn import UNet, UNetConfig
from echoseg.recipes import recipe

CONFIG = UNetConfig(backbone="resnet10t", stages=3, decoder=(24, 16, 8), channels=4)


@pytest.fixture
def net() -> UNet:
    torch.manual_seed(0)
    return UNet(CONFIG).eval()


def test_logits_have_the_size_of_the_frames_and_the_decoder_the_widths_asked_for(net):
    assert net.segment_frames(torch.randn(2, 1, 64, 48)).shape == (2, 4, 64, 48)
    assert [block[1][0].out_channels for block in net.decoder] == [24, 16, 8]
    # the coarse map beside the next finer one of the encoder
    assert net.decoder[0][0][0].in_channels == net.encoder.channels[-1] + net.encoder.channels[-2]


def test_a_clip_is_its_frames_one_by_one(net):
    clip = torch.randn(2, 3, 1, 64, 64)
    logits = net(clip)
    for b in range(2):
        for t in range(3):
            torch.testing.assert_close(logits[b, t], net.segment_frames(clip[b, t][None])[0], atol=1e-5, rtol=1e-5)


def test_only_the_encoders_stages_that_are_used_exist(net):
    full = UNet(dataclasses.replace(CONFIG, stages=4, decoder=(24, 24, 16, 8)))
    assert len(full.encoder.channels) == len(net.encoder.channels) + 1 == 5


def test_the_frame_wise_method_keeps_the_names_of_its_checkpoints():
    """Its parameters have no prefix: checkpoints were written before the network became a part of its own."""
    with torch.device("meta"):
        method, net = FrameWise(recipe("a4c").network), UNet(recipe("a4c").network)
    names = list(method.state_dict())
    assert names == list(net.state_dict())
    for expected in (
        "encoder.body.conv1.weight",
        "encoder.body.layer3.1.bn2.running_var",
        "decoder.0.0.0.weight",
        "decoder.2.1.1.num_batches_tracked",
        "classifier.bias",
    ):
        assert expected in names
    assert {name.partition(".")[0] for name in names} == {"encoder", "decoder", "classifier"}


def test_the_frame_wise_method_is_its_network():
    config = FrameWiseConfig(backbone="resnet10t", stages=3, decoder=(24, 16, 8), channels=4)
    torch.manual_seed(0)
    method = FrameWise(config).eval()
    torch.manual_seed(0)
    net: nn.Module = UNet(config).eval()
    clip = torch.randn(1, 2, 1, 32, 32)
    assert torch.equal(method(clip), net(clip))


@pytest.mark.parametrize("wrong", [{"channels": 2}, {"stages": 5}, {"stages": 3}, {"decoder": (8, 8, 8, 0)}])
def test_configuration_names_what_is_wrong(wrong):
    with pytest.raises(UsageError, match="decoder" if wrong == {"stages": 3} else next(iter(wrong))):
        UNetConfig(**wrong)
