"""Finding beats in synthetic volume curves."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.clinical import Beat, VolumeCurve, ejections, find_beats, heart_rate
from echoseg.errors import InputError

RATES = (12.0, 25.0, 50.0, 100.0)


def _curve(values) -> VolumeCurve:
    values = np.asarray(values, np.float64)
    return VolumeCurve(values, "mL", "simpson_single_plane", np.ones_like(values), values, "mm2")


@dataclass(frozen=True)
class Rhythm:
    """A cine of beats: isovolumic start, ejection, isovolumic end at ES, rapid filling, rest, atrial kick."""

    starts_s: tuple[float, ...]
    edv: tuple[float, ...]
    esv: tuple[float, ...]

    @classmethod
    def regular(cls, period_s: float, n: int, *, edv: float = 120.0, esv: float = 50.0, start_s: float = 0.0) -> Rhythm:
        return cls(tuple(start_s + period_s * np.arange(n + 1)), (edv,) * (n + 1), (esv,) * n)

    def volume(self, t: np.ndarray) -> np.ndarray:
        knots_t, knots_v = [], []
        for i, (start, end) in enumerate(zip(self.starts_s[:-1], self.starts_s[1:], strict=True)):
            period, low, high = end - start, self.esv[i], self.edv[i + 1]
            systole = min(0.32, 0.55 * period)
            rest = low + 0.75 * (high - low)
            still = 0.05 * min(1, period / 0.8)
            knots_t += [start, start + still, start + systole - still / 2, start + systole + still / 2]
            knots_v += [self.edv[i], self.edv[i], low, low]
            knots_t += [start + systole + 0.4 * (period - systole), end - 0.25 * (period - systole), end - still / 2]
            knots_v += [rest, rest, high]
        return np.interp(t, [*knots_t, self.starts_s[-1]], [*knots_v, self.edv[-1]])

    def cine(self, fps: float, duration_s: float, noise: float = 0.0, seed: int = 0) -> np.ndarray:
        t = np.arange(round(duration_s * fps)) / fps
        return self.volume(t) * (1 + noise * np.random.default_rng(seed).normal(size=len(t)))


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("period_s", [0.5, 0.8, 1.2])
def test_every_full_beat_is_found_at_every_frame_rate(fps, noise, period_s):
    rhythm = Rhythm.regular(period_s, 6, start_s=-0.3 * period_s)
    values = rhythm.cine(fps, 4.5 * period_s, noise)
    beats = find_beats(_curve(values), fps)
    starts = [s for s in rhythm.starts_s if 0 < s < 4.5 * period_s]
    assert len(beats) == len(starts) - 1 == 3
    for beat, start, end in zip(beats, starts[:-1], starts[1:], strict=True):
        assert beat.complete
        assert beat.ed_frame / fps == pytest.approx(start, abs=0.1 + 0.5 / fps)
        assert beat.next_ed_frame / fps == pytest.approx(end, abs=0.1 + 0.5 / fps)
        assert beat.es_frame / fps == pytest.approx(start + min(0.32, 0.55 * period_s), abs=0.1 + 0.5 / fps)
    assert heart_rate(beats, fps) == pytest.approx(60 / period_s, rel=0.12)


@pytest.mark.parametrize("fps", RATES)
def test_ef_read_off_the_curve_has_no_bias_from_noise_or_smoothing(fps):
    errors = []
    for seed in range(40):
        rhythm = Rhythm.regular(0.9, 7, start_s=-0.011 * seed)
        curve = _curve(rhythm.cine(fps, 5.0, 0.01, seed))
        errors += [e.ef_percent - 100 * (1 - 50 / 120) for e in ejections(curve, find_beats(curve, fps))]
    assert len(errors) > 100
    assert np.mean(errors) == pytest.approx(0, abs=1.0)


def test_the_same_curve_gives_the_same_beats_without_a_frame_rate():
    values = Rhythm.regular(0.8, 5, start_s=-0.2).cine(30.0, 3.5, 0.01)
    assert [b.complete for b in find_beats(_curve(values), None)] == [True] * 3


@pytest.mark.parametrize("fps", RATES)
def test_partial_beats_at_both_ends_are_dropped(fps):
    values = Rhythm.regular(1.0, 4, start_s=-0.15).cine(fps, 2.6)  # mid-systole to early filling
    beats = find_beats(_curve(values), fps)
    assert [round(b.ed_frame / fps, 1) for b in beats] == pytest.approx([0.85], abs=0.11)


@pytest.mark.parametrize("fps", RATES)
def test_a_low_first_peak_counts_if_the_cine_shows_its_rise(fps):
    rhythm = Rhythm((-0.75, 0.05, 1.4, 2.2), (120, 90, 125, 120), (50, 60, 50))  # a premature beat comes first
    values = rhythm.cine(fps, 2.1)
    shown = np.interp(np.arange(len(values)) / fps, [0, 0.05, 0.1], [75, 90, 90])
    values = np.where(np.arange(len(values)) / fps <= 0.1, shown, values)
    beats = find_beats(_curve(values), fps)
    assert [round(b.ed_frame / fps, 1) for b in beats] == pytest.approx([0.1], abs=0.11)
    assert beats[0].complete


@pytest.mark.parametrize("fps", RATES)
def test_a_clip_triggered_from_ed_to_ed_is_one_full_beat(fps):
    beats = find_beats(_curve(Rhythm.regular(0.9, 1).cine(fps, 0.9 + 1 / fps)), fps)
    assert len(beats) == 1
    assert beats[0].complete
    assert beats[0].ed_frame <= 0.05 * fps


@pytest.mark.parametrize("fps", [25.0, 50.0, 100.0, None])
@pytest.mark.parametrize("backwards", [False, True])
def test_half_a_beat_is_one_incomplete_beat_in_either_direction(fps, backwards):
    values = Rhythm.regular(0.9, 1).cine(fps or 40.0, 0.33)
    values = values[::-1] if backwards else values
    (beat,) = find_beats(_curve(values), fps)
    assert (beat.complete, beat.next_ed_frame) == (False, None)
    assert (beat.ed_frame > beat.es_frame) == backwards
    assert {beat.ed_frame, beat.es_frame} <= {0, 1, len(values) - 2, len(values) - 1}


@pytest.mark.parametrize("fps", RATES)
def test_a_clip_from_ed_over_es_to_early_filling_is_incomplete(fps):
    (beat,) = find_beats(_curve(Rhythm.regular(0.9, 1).cine(fps, 0.55)), fps)
    assert not beat.complete
    assert beat.ed_frame < beat.es_frame


@pytest.mark.parametrize("values", [(120.0, 50.0), (50.0, 120.0)])
@pytest.mark.parametrize("fps", [None, 50.0])
def test_two_stills_are_one_incomplete_beat(values, fps):
    (beat,) = find_beats(_curve(values), fps)
    assert (values[beat.ed_frame], values[beat.es_frame], beat.complete) == (120.0, 50.0, False)


@pytest.mark.parametrize(
    "values",
    [[100.0], [100.0, 100.0], [100.0, 97.0], np.full(80, 100.0), [np.nan, np.nan], [np.nan, 100.0], np.zeros(30)],
)
def test_a_flat_or_unmeasured_curve_has_no_beat(values):
    assert find_beats(_curve(values), 50.0) == ()


@pytest.mark.parametrize("fps", [25.0, 50.0, 100.0])
@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2])
def test_noise_alone_is_no_beat(fps, noise):
    for seed in range(20):
        values = 100 * np.abs(1 + noise * np.random.default_rng(seed).normal(size=round(3 * fps)))
        assert find_beats(_curve(values), fps) == ()


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("esv", [105.0, 110.0])
def test_a_weak_heart_still_beats(fps, esv):
    values = Rhythm.regular(0.8, 6, esv=esv, start_s=-0.2).cine(fps, 4.0, 0.01, seed=1)
    assert len(find_beats(_curve(values), fps)) in (3, 4)


@pytest.mark.parametrize("fps", RATES)
def test_atrial_fibrillation_keeps_every_beat_with_its_own_length(fps):
    periods = np.array([0.8, 0.6, 1.1, 0.5, 0.9, 0.7, 1.2, 0.8])
    starts = tuple(np.concatenate([[0], periods.cumsum()]) - 0.4)
    rhythm = Rhythm(starts, (115, 110, 118, 108, 112, 115, 120, 112, 115), (52, 50, 48, 55, 50, 52, 50, 51))
    beats = find_beats(_curve(rhythm.cine(fps, starts[-1] - 0.4, 0.01)), fps)
    lengths = [(b.next_ed_frame - b.ed_frame) / fps for b in beats]
    assert lengths == pytest.approx(periods[1:-1], abs=0.1 + 1 / fps)


@pytest.mark.parametrize("fps", RATES)
def test_a_premature_beat_is_a_beat_of_its_own(fps):
    starts = (-0.2, 0.6, 1.4, 1.85, 3.0, 3.8)  # coupled early, followed by the pause
    rhythm = Rhythm(starts, (120, 120, 120, 95, 122, 120), (50, 50, 50, 65, 48))
    beats = find_beats(_curve(rhythm.cine(fps, 4.0, 0.01)), fps)
    assert len(beats) == 4
    assert beats[1].next_ed_frame / fps == pytest.approx(1.85, abs=0.1 + 0.5 / fps)


def test_r_waves_decide_where_beats_begin():
    values = Rhythm.regular(0.8, 5).cine(50.0, 4.0, 0.02, seed=3)
    beats = find_beats(_curve(values), 50.0, r_waves_s=(0.8, 1.6, 2.4))
    assert len(beats) == 2
    for beat, r_wave in zip(beats, (0.8, 1.6), strict=True):
        assert beat.ed_frame / 50 == pytest.approx(r_wave, abs=0.1)


@pytest.mark.parametrize("r_waves", [(), (0.8,), (0.8, 0.82), (-5.0, 99.0)])
def test_too_few_r_waves_leave_it_to_the_curve(r_waves):
    curve = _curve(Rhythm.regular(0.8, 5).cine(50.0, 4.0))
    assert find_beats(curve, 50.0, r_waves_s=r_waves) == find_beats(curve, 50.0)


def test_r_waves_need_a_frame_rate():
    curve = _curve(Rhythm.regular(0.8, 5).cine(50.0, 4.0))
    assert find_beats(curve, None, r_waves_s=(0.8, 1.6, 2.4)) == find_beats(curve, None)


@pytest.mark.parametrize("fps", RATES)
def test_frames_that_could_not_be_measured_are_bridged_and_never_chosen(fps):
    values = Rhythm.regular(0.8, 5, start_s=-0.2).cine(fps, 3.5)
    whole = find_beats(_curve(values), fps)
    values[whole[0].ed_frame] = values[whole[1].es_frame] = np.nan
    beats = find_beats(_curve(values), fps)
    assert len(beats) == len(whole)
    assert np.isfinite([values[f] for b in beats for f in (b.ed_frame, b.es_frame, b.next_ed_frame)]).all()


def test_a_single_wild_frame_neither_makes_nor_hides_a_beat():
    values = Rhythm.regular(0.8, 5, start_s=-0.2).cine(50.0, 3.5)
    values[60] *= 4
    values[90] = 1.0
    assert len(find_beats(_curve(values), 50.0)) == 3


@pytest.mark.parametrize("fps", [25.0, 50.0, 100.0])
@pytest.mark.parametrize("factor", [0.1, 2.5])
def test_a_wild_frame_where_ed_or_es_would_be_is_not_chosen(fps, factor):
    values = Rhythm.regular(0.8, 5, start_s=-0.2).cine(fps, 3.5)
    whole = find_beats(_curve(values), fps)
    wild = [whole[0].ed_frame, whole[1].es_frame, whole[2].ed_frame]
    values[wild] *= factor
    beats = find_beats(_curve(values), fps)
    assert len(beats) == len(whole)
    for beat, before in zip(beats, whole, strict=True):
        assert not {beat.ed_frame, beat.es_frame, beat.next_ed_frame} & set(wild)
        assert abs(beat.ed_frame - before.ed_frame) <= 0.06 * fps
        assert 50 <= values[beat.es_frame] < 55
        assert 114 < values[beat.ed_frame] <= 120


@pytest.mark.parametrize("fps", [25.0, 50.0, 100.0])
def test_a_wild_first_frame_is_no_end_diastole(fps):
    values = Rhythm.regular(0.8, 5, start_s=-0.4).cine(fps, 3.5)
    whole = find_beats(_curve(values), fps)
    assert whole[0].ed_frame > 0
    values[0] = 180.0
    assert find_beats(_curve(values), fps) == whole


@pytest.mark.parametrize("fps", [20.0, 25.0, 50.0])
@pytest.mark.parametrize("rate", [150, 200])
def test_the_narrow_peaks_of_a_fast_heart_are_no_wild_frames(fps, rate):
    t = np.arange(round(2 * fps)) / fps
    values = 80 + 35 * np.cos(2 * np.pi * t * rate / 60)
    beats = find_beats(_curve(values), fps)
    assert abs(len(beats) - (2 - 1 / fps) * rate / 60) <= 1
    assert all(values[b.ed_frame] == max(values[max(0, b.ed_frame - 1) : b.ed_frame + 2]) for b in beats)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.floats(0, 500), st.just(float("nan"))), min_size=1, max_size=60),
    st.sampled_from([None, 5.0, 30.0, 120.0]),
    st.lists(st.floats(-1, 3), max_size=4),
)
def test_any_curve_gives_valid_beats(values, fps, r_waves):
    curve = _curve(values)
    beats = find_beats(curve, fps, r_waves)
    for beat in beats:
        assert max(beat.ed_frame, beat.es_frame, beat.next_ed_frame or 0) < len(values)
        assert np.isfinite(curve.values[[beat.ed_frame, beat.es_frame]]).all()
    for one, two in pairwise(beats):
        assert one.next_ed_frame is not None
        assert one.next_ed_frame <= two.ed_frame
    for ejection in ejections(curve, beats):
        assert 0 <= ejection.ef_percent <= 100


def test_beats_are_validated():
    with pytest.raises(InputError, match="two frames"):
        Beat(3, 3, None, complete=False)
    with pytest.raises(InputError, match="exactly when"):
        Beat(3, 5, None, complete=True)
    with pytest.raises(InputError, match="runs ED, ES, next ED"):
        Beat(3, 5, 4, complete=True)
