"""Clips for ejection fraction networks: absent frames, the crop, the mask channel, what unlabelled cines may tell."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from tests.data.conftest import SIDE, stored_cine

from echoseg.data import EfCine, EfClips, EfStream, ef_cines, mask_channel
from echoseg.engine import ClipPlan
from echoseg.errors import InputError, UsageError

CLIPS = EfClips(length=4, step_s=0.04, mean=0.25, std=0.5)


def cine(name: str = "a", n_frames: int = 30, ef: float | None = 60.0, masks: bool = True, **more) -> EfCine:
    """Frame t is gray t + 1 all over; its mask is certain in the upper half."""
    frames = np.broadcast_to(np.arange(1, n_frames + 1, dtype=np.uint8)[:, None, None], (n_frames, SIDE, SIDE))
    probability = np.zeros((n_frames, SIDE, SIDE), np.uint8)
    probability[:, : SIDE // 2] = 255
    return EfCine(name, np.ascontiguousarray(frames), 50.0, ef, probability if masks else None, **more)


def numbers(clip: torch.Tensor) -> list[int]:
    """Frame numbers of a clip, from the gray of its middle pixel; -1 where it is absent (gray 0 after normalisation)."""
    gray = clip[:, 0, SIDE // 2, SIDE // 2]
    return [-1 if float(x) == 0 else round((float(x) * 0.5 + 0.25) * 255) - 1 for x in gray]


def test_a_clip_holds_every_second_frame_of_a_fiftieth_of_a_second():
    for seed in range(20):
        found = numbers(CLIPS.cut(cine(), np.random.default_rng(seed)))
        assert np.diff(found).tolist() == [2, 2, 2]
        assert 0 <= found[0] <= 30 - 7


def test_starts_are_those_of_a_cine_padded_to_length_times_step():
    """Eight frames of 50 a second: a clip may start at 0 or 1; a cine of 12 allows 6 places."""
    starts = {
        n: {numbers(CLIPS.cut(cine(n_frames=n), np.random.default_rng(s)))[0] for s in range(99)} for n in (8, 12)
    }
    assert starts == {8: {0, 1}, 12: set(range(6))}


def test_absent_frames_are_mean_gray_and_certainly_not_lv():
    clip = CLIPS.cut(cine(n_frames=3), np.random.default_rng(0))
    found = numbers(clip)
    assert found in ([0, 2, -1, -1], [1, -1, -1, -1])
    for place, number in enumerate(found):
        if number < 0:
            assert bool((clip[place, 0] == 0).all()) and bool((clip[place, 1] == -1).all())


def test_the_mask_channel_is_between_minus_one_and_one_with_both_ends_exact():
    steps = mask_channel(torch.arange(256, dtype=torch.uint8))
    assert (float(steps[0]), float(steps[255])) == (-1.0, pytest.approx(1.0, abs=1e-6))
    probability = torch.linspace(0, 1, 999)
    rounded = mask_channel((probability * 255).round().to(torch.uint8))
    assert float((rounded - (2 * probability - 1)).abs().max()) <= 1 / 255 + 1e-6


def test_gray_and_masks_are_cropped_together_and_the_border_is_black_of_lv():
    clips = dataclasses.replace(CLIPS, pad=12)
    offsets = set()
    for seed in range(30):
        clip = clips.cut(cine(), np.random.default_rng(seed))
        assert clip.shape == (4, 2, SIDE, SIDE)
        outside = (clip[0, 0] == 0).sum(1)
        rows_outside = outside == SIDE
        assert bool((clip[0, 1][rows_outside] == -1).all())
        lower_half = clip[0, 1, :, SIDE // 2] == 1
        offsets.add(int(lower_half.nonzero().max()))
    # the lower end of the mask moves with the crop by up to 12 either way
    assert min(offsets) >= SIDE // 2 - 1 - 12 and max(offsets) <= SIDE // 2 - 1 + 12
    assert len(offsets) > 5


@pytest.mark.parametrize("traced", [0, 5, 17, 29])
def test_a_clip_can_be_asked_to_hold_a_traced_frame(traced):
    for seed in range(10):
        assert traced in numbers(CLIPS.cut(cine(traced=(traced,)), np.random.default_rng(seed)))


@pytest.mark.parametrize("n_frames", [1, 3, 7, 8, 9, 30])
def test_every_frame_of_every_cine_can_be_held(n_frames):
    plan = ClipPlan(n_frames, 4, 2)
    for frame in range(n_frames):
        assert frame in plan.frames(plan.random(np.random.default_rng(frame), (frame,)))


def test_a_batch_is_a_pure_function_of_seed_and_step():
    cines = [cine(f"c{i}", ef=50.0 + i) for i in range(5)]
    stream, other = EfStream(cines, CLIPS, 2, seed=1), EfStream(cines, CLIPS, 2, seed=2)
    for step in (3, 0, 4):
        one, two = stream.batch(step), EfStream(cines, CLIPS, 2, seed=1).batch(step)
        assert torch.equal(one.clip, two.clip) and one.cases == two.cases
    assert any(stream.batch(i).cases != other.batch(i).cases for i in range(4))
    seen = [case for step in range(5) for case in stream.batch(step).cases]
    assert sorted(seen[:5]) == sorted(seen[5:]) == [f"c{i}" for i in range(5)]


def test_targets_are_the_ejection_fractions_of_the_cines():
    batch = EfStream([cine("a", ef=61.5)], CLIPS, 3, seed=0).batch(0)
    assert batch.ef_percent.tolist() == [61.5] * 3
    assert batch.to("meta").clip.device.type == "meta"


def with_ef(name: str, ef: float | None):
    stored = stored_cine(name)
    return dataclasses.replace(stored, case=dataclasses.replace(stored.case, ef_percent=ef))


def test_the_ejection_fraction_of_an_unlabelled_cine_is_forgotten():
    stored = [with_ef("a", 60.0), with_ef("b", None)]
    assert [c.ef_percent for c in ef_cines(stored, labelled=False)] == [None, None]
    assert [c.name for c in ef_cines(stored, labelled=True)] == ["a"]
    batch = EfStream(ef_cines(stored, labelled=False), CLIPS, 2, seed=0).batch(0)
    assert all(math.isnan(x) for x in batch.ef_percent.tolist())
    assert batch.clip.shape[2] == 1


def test_traced_frames_are_known_only_where_they_are_asked_for():
    stored = [with_ef("a", 60.0)]
    assert ef_cines(stored, labelled=True)[0].traced == ()
    assert ef_cines(stored, labelled=True, traced=True)[0].traced == (2, 9)
    assert ef_cines([stored[0].without_labels()], labelled=False, traced=True)[0].traced == ()


def test_masks_stay_with_their_cine_when_one_without_a_label_is_left_out():
    stored = [with_ef("a", None), with_ef("b", 50.0)]
    masks = [np.full((12, SIDE, SIDE), value, np.uint8) for value in (7, 9)]
    (found,) = ef_cines(stored, masks, labelled=True)
    assert (found.name, int(found.probability[0, 0, 0])) == ("b", 9)


def test_a_stream_needs_a_cine():
    with pytest.raises(InputError, match="ejection fraction in its table"):
        EfStream([], CLIPS, 1, 0)


@pytest.mark.parametrize("wrong", [{"length": 0}, {"step_s": 0.0}, {"pad": -1}])
def test_clips_say_what_is_wrong(wrong):
    with pytest.raises(UsageError, match="must be positive"):
        dataclasses.replace(CLIPS, **wrong)
