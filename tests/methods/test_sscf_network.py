"""SSCF's network: size, triplets, encoders, decoder."""

import dataclasses

import pytest
import torch

from echoseg.errors import ModelError, UsageError
from echoseg.methods.sscf import SSCF, SSCFConfig
from echoseg.methods.sscf.network import BLOCKS, DecoderBlock, SSCFNet, Trunk, clip_triplets
from echoseg.nn.cost import gmacs, parameters

TINY = SSCFConfig(width=8)


def build(**changes: object) -> SSCFNet:
    """A tiny network in evaluation mode whose normalisations have seen images."""
    torch.manual_seed(0)
    net = SSCFNet(dataclasses.replace(TINY, **changes))
    net(clip(seed=9))
    return net.eval()


def clip(batch: int = 2, length: int = 5, side: int = 48, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, length, 1, side, side, generator=torch.Generator().manual_seed(seed))


def paper_net(**changes: object) -> SSCFNet:
    with torch.device("meta"):
        return SSCFNet(dataclasses.replace(SSCFConfig.paper(1), **changes)).eval()


def test_paper_preset_has_the_parameters_of_the_public_model():
    net = paper_net()
    assert parameters(net) == 53_700_417
    assert parameters(net) == pytest.approx(53.70e6, rel=0.01)
    assert parameters(net.encoders) == 33_510_720  # TCE: 33.5 M
    assert parameters(net.fusions) == 19_850_880  # 19.9 M
    motion = [p.numel() for name, p in net.named_parameters() if name.endswith("motion")]
    assert sum(motion) == 2 * 9 * (64**2 + 128**2 + 256**2 + 512**2) == 6_266_880  # G: 6.27 M


def test_paper_preset_has_the_cost_of_the_public_model():
    triplet = torch.empty(1, 1, 1, 256, 256, device="meta")
    published = gmacs(paper_net(calibration="kernels"), triplet)
    assert published == pytest.approx(44.741787648)
    assert published == pytest.approx(44.7, rel=0.01)
    assert gmacs(paper_net(), triplet) == pytest.approx(42.51828224)


def test_lite_preset_is_a_sixteenth_of_the_paper():
    with torch.device("meta"):
        lite, paper = SSCF(SSCFConfig.lite(1)), SSCF(SSCFConfig.paper(1))
    assert lite.inference_parameters() == 3_365_121
    assert paper.inference_parameters() == 53_700_417
    assert lite.inference_parameters() < paper.inference_parameters() / 15


def test_triplets_replicate_the_ends_of_each_clip():
    assert clip_triplets(2, 3) == [(0, 0, 1), (0, 1, 2), (1, 2, 2), (3, 3, 4), (3, 4, 5), (4, 5, 5)]
    assert clip_triplets(1, 1, first=7) == [(7, 7, 7)]


def test_every_frame_of_a_clip_is_predicted_from_its_triplet_alone():
    net, frames = build(), clip(1)
    logits = net(frames)[0]
    for t, wanted in enumerate([(0, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 4)]):
        alone = net.segment(frames[0, list(wanted)], [(0, 1, 2)])
        torch.testing.assert_close(alone[0], logits[t], atol=1e-4, rtol=1e-4)


def test_direct_neighbours_count_and_frames_further_away_do_not():
    net, frames = build(), clip(1)
    before = net(frames)
    for changed in range(5):
        other = frames.clone()
        other[:, changed] = 3 * torch.randn(48, 48, generator=torch.Generator().manual_seed(5))
        moved = (net(other) - before).abs().amax((0, 2, 3, 4)) > 1e-6
        assert moved.tolist() == [abs(t - changed) <= 1 for t in range(5)]


@pytest.mark.parametrize(("tce", "seen"), [(True, [8, 10, 8]), (False, [10])])
def test_a_frame_passes_each_encoder_once(tce, seen):
    net, sizes = build(tce=tce), []
    for encoder in net.encoders:
        encoder.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    net(clip(2, 5))
    assert sizes == seen


def test_a_single_frame_is_its_own_neighbour():
    net, frame = build(), clip(1, 1)
    torch.testing.assert_close(net(frame)[0, 0], net(frame.expand(1, 3, 1, 48, 48))[0, 1], atol=1e-5, rtol=1e-5)


def test_swapping_the_neighbours_with_their_weights_changes_nothing():
    net, mirrored = build(), build()
    state = dict(net.state_dict())
    for name in list(state):
        if name.startswith("encoders.0."):
            other = name.replace("encoders.0.", "encoders.2.")
        elif "from_previous" in name:
            other = name.replace("from_previous", "from_following")
        else:
            continue
        state[name], state[other] = state[other], state[name]
    for name in [n for n in state if n.endswith("mix.weight")]:
        state[name] = torch.cat(state[name].chunk(3, 1)[::-1], 1)
    mirrored.load_state_dict(state)
    frames = clip(1, 3)
    there, back = net(frames)[:, 1], mirrored(frames.flip(1))[:, 1]
    torch.testing.assert_close(there, back, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(there, net(frames.flip(1))[:, 1], atol=1e-3)


def test_encoders_share_no_storage():
    pointers = [{p.data_ptr() for p in encoder.state_dict().values()} for encoder in build().encoders]
    assert len(pointers) == 3
    assert not pointers[0] & pointers[1] | pointers[1] & pointers[2] | pointers[0] & pointers[2]


def test_a_trunk_halves_once_and_then_at_each_later_stage():
    maps = Trunk((1, 1, 1, 1), (8, 16, 24, 32))(torch.zeros(2, 1, 64, 48))
    assert [tuple(m.shape[1:]) for m in maps] == [(8, 32, 24), (16, 16, 12), (24, 8, 6), (32, 4, 3)]


def test_full_width_trunks_are_timms_resnet_without_its_maximum():
    """Same names, same maps once timm's max-pooling is taken out."""
    from echoseg.nn import Encoder

    theirs = Encoder("resnet18").eval()
    theirs.body.maxpool = torch.nn.Identity()
    ours = Trunk(BLOCKS["resnet18"], (64, 128, 256, 512)).eval()
    ours.load_state_dict(theirs.body.state_dict())
    frames = clip(1, 2, 32)[0]
    for mine, other in zip(ours(frames), theirs(frames), strict=True):
        torch.testing.assert_close(mine, other)


def test_a_decoder_block_doubles_the_size_through_a_quarter_of_the_channels():
    block = DecoderBlock(16, 8)
    assert block(torch.randn(2, 16, 5, 3)).shape == (2, 8, 10, 6)
    narrow = (16 + 1) * 4 + 2 * 4 + (9 * 4 + 1) * 4 + 2 * 4 + (4 + 1) * 8 + 2 * 8
    assert parameters(block) == narrow


@pytest.mark.parametrize("channels", [1, 4])
def test_logits_have_the_size_of_the_frames(channels):
    assert build(channels=channels)(torch.randn(1, 2, 1, 64, 48)).shape == (1, 2, channels, 64, 48)


@pytest.mark.parametrize("side", [40, 32])
def test_a_size_that_does_not_fit_is_answered_with_one_that_does(side):
    with pytest.raises(ValueError, match=rf"frames of {side}x{side} pixels; choose a multiple of 16, at least 48"):
        SSCFNet(TINY)(torch.zeros(1, 2, 1, side, side))


def test_ablations_remove_their_modules():
    full, shared, plain = build(), build(tce=False), build(bssf=False)
    assert parameters(full) - parameters(shared) == 2 * parameters(full.encoders[0])
    assert not [name for name, _ in plain.named_parameters() if "from_" in name]
    both = build(tce=False, bssf=False)
    assert torch.isfinite(both(clip())).all()


def test_all_encoders_start_from_the_same_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "resnet18.pt"
    torch.save(Trunk(BLOCKS["resnet18"], (64, 128, 256, 512)).state_dict() | {"fc.weight": torch.zeros(1)}, path)
    net = SSCFNet(SSCFConfig(weights=str(path), bssf=False))
    wanted = torch.load(path, weights_only=True)["layer4.1.conv2.weight"]
    assert all(torch.equal(encoder.layer4[1].conv2.weight, wanted) for encoder in net.encoders)


def test_a_damaged_file_of_weights_is_named(tmp_path):
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"broken\.pt: cannot be read"):
        SSCFNet(SSCFConfig(weights=str(tmp_path / "broken.pt")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": 2},
        {"width": 10},
        {"width": 4},
        {"dilations": ()},
        {"dilations": (0,)},
        {"weight": -1.0},
        {"ramp": 0},
        {"unsupervised": 0},
        {"decay": 1.0},
        {"noise": -0.1},
        {"predict": "teacher", "weight": 0.0},
        {"weights": "hub", "width": 16},
    ],
)
def test_configuration_names_what_is_wrong(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        SSCFConfig(**wrong)
