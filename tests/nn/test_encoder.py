"""Encoders: scales, gray stems, and weights that come from a file."""

import pytest
import timm
import torch

from echoseg.errors import ModelError, UsageError
from echoseg.nn import Encoder

BACKBONE = "resnet10t"


@pytest.fixture(scope="module")
def colour_state() -> dict[str, torch.Tensor]:
    """State dict of a plain classifier with a three-channel stem, as ImageNet weights come."""
    torch.manual_seed(3)
    return timm.create_model(BACKBONE).state_dict()


@pytest.mark.parametrize(("stride", "strides"), [(32, [4, 8, 16, 32]), (16, [4, 8, 16, 16]), (8, [4, 8, 8, 8])])
def test_feature_maps_have_the_channels_and_strides_that_are_promised(stride, strides):
    encoder = Encoder(BACKBONE, output_stride=stride).eval()
    assert encoder.strides == strides
    maps = encoder(torch.randn(2, 1, 64, 96))
    expected = [(2, c, 64 // s, 96 // s) for c, s in zip(encoder.channels, strides, strict=True)]
    assert [tuple(m.shape) for m in maps] == expected


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_the_plain_encoder_keeps_what_it_promises(levels):
    encoder = Encoder("plain", levels=tuple(range(levels))).eval()
    assert encoder.strides == [4, 8, 16, 32][:levels]
    expected = [(2, c, 64 // s, 96 // s) for c, s in zip(encoder.channels, encoder.strides, strict=True)]
    assert [tuple(m.shape) for m in encoder(torch.randn(2, 1, 64, 96))] == expected


def test_a_residual_block_without_its_branch_is_a_relu():
    encoder = Encoder("plain", levels=(0, 1))
    block = encoder.body.levels[1][-1].eval()
    torch.nn.init.zeros_(block.second[0].weight)
    x = torch.randn(1, 64, 5, 5)
    torch.testing.assert_close(block(x), x.relu())


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"weights": "hub"}, "weights=hub: there are none for backbone=plain"),
        ({"output_stride": 16}, "has strides 4, 8, 16, 32 alone"),
        ({"levels": (0, 1, 2, 3, 4)}, "has strides 4, 8, 16, 32 alone; use one stage fewer"),
        ({"levels": (1, 2)}, "has strides 4, 8, 16, 32 alone"),
    ],
)
def test_the_plain_encoder_says_what_it_cannot(asked, says):
    with pytest.raises(UsageError, match=says):
        Encoder("plain", **{"levels": (0, 1)} | asked)


def test_levels_choose_the_maps():
    encoder = Encoder(BACKBONE, levels=(0, 2))
    assert encoder.strides == [2, 8]


def test_a_colour_stem_sees_gray_as_three_equal_channels(colour_state, tmp_path):
    torch.save(colour_state, tmp_path / "imagenet.pt")
    gray = Encoder(BACKBONE, weights=str(tmp_path / "imagenet.pt")).eval()
    colour = timm.create_model(BACKBONE, features_only=True, out_indices=(1, 2, 3, 4)).eval()
    colour.load_state_dict({k: v for k, v in colour_state.items() if not k.startswith("fc.")})
    frames = torch.randn(2, 1, 64, 64)
    for ours, theirs in zip(gray(frames), colour(frames.expand(-1, 3, -1, -1)), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_file_that_lacks_weights_is_refused_with_the_name_of_one(colour_state, tmp_path):
    torch.save({k: v for k, v in colour_state.items() if k != "layer3.0.conv1.weight"}, tmp_path / "part.pt")
    with pytest.raises(ModelError, match=r"part\.pt: 1 weights .* missing, layer3\.0\.conv1\.weight"):
        Encoder(BACKBONE, weights=str(tmp_path / "part.pt"))


def test_weights_of_another_width_are_refused(colour_state, tmp_path):
    wide = colour_state | {"layer1.0.bn1.weight": torch.ones(65)}
    torch.save(wide, tmp_path / "wide.pt")
    with pytest.raises(ModelError, match=r"wide\.pt: layer1\.0\.bn1\.weight is \(65,\), the backbone's \(64,\)"):
        Encoder(BACKBONE, weights=str(tmp_path / "wide.pt"))


@pytest.mark.parametrize("content", [b"", b"not weights", "object"])
def test_a_file_that_is_no_state_dict_is_refused(content, tmp_path):
    path = tmp_path / "odd.pt"
    if content == "object":
        torch.save(torch.ones(3), path)
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"odd\.pt"):
        Encoder(BACKBONE, weights=str(path))


def test_a_missing_file_names_the_alternatives(tmp_path):
    with pytest.raises(UsageError, match="none, hub or a state dict"):
        Encoder(BACKBONE, weights=str(tmp_path / "absent.pt"))


def test_an_unreachable_hub_names_the_alternatives(monkeypatch):
    def unreachable(*_args, **_options):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(ModelError, match=f"{BACKBONE}: no route to host.*weights=none, the path of a file"):
        Encoder(BACKBONE, weights="hub")
