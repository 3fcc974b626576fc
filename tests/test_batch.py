"""Which frames a frame-wise step looks at."""

import dataclasses

import pytest
import torch

from echoseg.batch import IGNORE, ClipBatch, frames_of_step


def numbered(clips: int, length: int, first: int = 0, labelled: tuple[int, ...] = ()) -> ClipBatch:
    """Frame t of clip b holds the number first + 100 b + t, in the weak view its negative."""
    number = first + 100.0 * torch.arange(clips)[:, None] + torch.arange(length)
    clip = number[..., None, None, None].expand(clips, length, 1, 4, 4).clone()
    masks = torch.full((clips, length, 4, 4), IGNORE, dtype=torch.uint8)
    flags = torch.zeros(clips, length, dtype=torch.bool)
    for t in labelled:
        masks[:, t], flags[:, t] = 1, True
    return ClipBatch(clip, -clip, masks, flags, tuple(f"case{b}" for b in range(clips)))


def numbers(frames: torch.Tensor) -> list[int]:
    return [int(x) for x in frames[:, 0, 0, 0]]


def test_without_a_draw_only_labelled_frames_are_seen():
    frames = frames_of_step(numbered(2, 6, labelled=(0, 5)), numbered(3, 6, 1000), 0, 3)
    assert numbers(frames.strong) == [0, 5, 100, 105]
    assert bool(frames.labelled.all())
    assert not bool(frames.drawn.any())


@pytest.mark.parametrize("step", range(8))
def test_so_many_frames_of_each_clip_are_drawn_and_none_is_seen_twice(step):
    frames = frames_of_step(numbered(2, 6, labelled=(0, 5)), numbered(2, 4, 1000), 3, step)
    seen = numbers(frames.strong)
    assert len(set(seen)) == len(seen)
    drawn = numbers(frames.strong[frames.drawn])
    assert sorted(n // 100 for n in drawn) == [0, 0, 0, 1, 1, 1, 10, 10, 10, 11, 11, 11]
    assert {0, 5, 100, 105} <= set(seen)
    # nothing else than labelled or drawn
    assert bool((frames.labelled | frames.drawn).all())


def test_views_masks_and_flags_belong_together():
    frames = frames_of_step(numbered(2, 6, labelled=(0, 5)), numbered(1, 6, 1000), 2, 1)
    assert torch.equal(frames.weak, -frames.strong)
    assert [n % 100 in (0, 5) and n < 1000 for n in numbers(frames.strong)] == frames.labelled.tolist()
    assert bool((frames.masks[frames.labelled] == 1).all())
    assert bool((frames.masks[~frames.labelled] == IGNORE).all())


def test_a_short_clip_gives_all_its_frames():
    frames = frames_of_step(numbered(1, 3, labelled=(0, 2)), None, 5, 0)
    assert numbers(frames.strong[frames.drawn]) == [0, 1, 2]


def test_every_frame_has_its_turn_and_a_step_draws_the_same_again():
    batch = numbered(2, 10, labelled=(0, 9))
    drawn = [tuple(numbers(f.strong[f.drawn])) for f in (frames_of_step(batch, None, 2, step) for step in range(200))]
    counts = torch.bincount(torch.tensor(drawn).flatten() % 100, minlength=10) / 400
    # 200 steps x 2 clips x 2 of 10 frames: 0.2 each, standard deviation 0.02
    assert float((counts - 0.2).abs().max()) < 0.08
    again = frames_of_step(batch, None, 2, 7)
    assert tuple(numbers(again.strong[again.drawn])) == drawn[7]


def test_clips_of_one_step_draw_different_frames():
    drawn = [frames_of_step(numbered(2, 10), None, 3, step).drawn.sum() for step in range(3)]
    assert [int(n) for n in drawn] == [6, 6, 6]
    frames = frames_of_step(numbered(2, 10), None, 3, 0)
    assert {n for n in numbers(frames.strong) if n < 100} != {n - 100 for n in numbers(frames.strong) if n >= 100}


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    frames_of_step(numbered(2, 10), None, 3, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_length_of_the_other_stream_is_no_obstacle():
    unlabelled = dataclasses.replace(numbered(2, 3, 1000), cases=("a", "b"))
    assert len(frames_of_step(numbered(1, 8, labelled=(0, 7)), unlabelled, 8, 0).masks) == 8 + 6
