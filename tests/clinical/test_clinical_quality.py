"""The whole chain from masks to numbers, and when it says not to trust them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from echoseg.cine import CineMeta, MaskStack, Segmentation, Spacing, View
from echoseg.clinical import Context, QualityFlag, area_jitter, measure_cine
from echoseg.errors import InputError

FPS = 25.0
PASS, REVIEW, FAIL = QualityFlag.PASS, QualityFlag.REVIEW, QualityFlag.FAIL


def _masks(
    n: int = 60, *, periods: tuple[float, ...] = (0.8,) * 8, swing: float = 0.18, fps: float = FPS
) -> np.ndarray:
    """A beating bullet, 112 x 112; its volume runs as a cosine from ED to ED."""
    starts = np.concatenate([[0], np.cumsum(periods)])
    t = np.arange(n) / fps
    beat = np.clip(np.searchsorted(starts, t, side="right") - 1, 0, len(periods) - 1)
    phase = (t - starts[beat]) / np.array(periods)[beat]
    size = 1 - swing * (0.5 - 0.5 * np.cos(2 * np.pi * phase))
    y, x = np.mgrid[0:112, 0:112]
    inside = [((y - 95) / (72 * s)) ** 2 + ((x - 56) / (25 * s)) ** 2 <= 1 for s in size]
    return (np.stack(inside) & (y <= 95)).astype(np.uint8)


def _segmentation(masks: np.ndarray, confidence: np.ndarray | None = None, **known) -> Segmentation:
    known = {"fps": FPS, "spacing": Spacing(1.0, 1.0), "view": View.A4C} | known
    meta = CineMeta("a.dcm", 112, 112, len(masks), **known)
    return Segmentation(meta, MaskStack.from_array(masks), confidence, "test")


def _reasons(masks: np.ndarray, confidence: np.ndarray | None = None, **known) -> tuple[QualityFlag, str]:
    quality = measure_cine(_segmentation(masks, confidence, **known)).quality
    return quality.flag, "; ".join(quality.reasons)


def test_a_clean_cine_passes_with_its_numbers():
    indices = measure_cine(_segmentation(_masks(), np.full(60, 0.95, np.float32)))
    assert (indices.quality.flag, indices.quality.reasons, indices.warnings) == (PASS, (), ())
    assert indices.summary is not None
    assert indices.summary.edv == pytest.approx(2 / 3 * np.pi * 72 * 25**2 / 1000, rel=0.02)
    assert indices.summary.ef_percent == pytest.approx(100 * (1 - 0.82**3), abs=1.5)
    assert indices.summary.heart_rate_bpm == pytest.approx(75, rel=0.03)
    assert indices.summary.n_beats == len(indices.beats) == len(indices.ejections) == 3


@pytest.mark.parametrize("fps", [12.0, 50.0, 100.0])
def test_a_clean_cine_passes_at_every_frame_rate(fps):
    masks = _masks(round(2.4 * fps), fps=fps)
    assert _reasons(masks, fps=fps)[0] is PASS


def test_an_unknown_view_is_said_but_does_not_downgrade():
    flag, reasons = _reasons(_masks(), view=View.UNKNOWN)
    assert flag is PASS
    assert "view unknown" in reasons


def test_without_spacing_or_frame_rate_the_numbers_come_with_warnings():
    indices = measure_cine(_segmentation(_masks(), spacing=None, fps=None))
    assert indices.curve.unit == "px3"
    assert indices.summary is not None
    assert indices.summary.unit == "px3"
    assert indices.summary.heart_rate_bpm is None
    assert [w.split(";")[1] for w in indices.warnings] == [
        " give the frame rate with --fps",
        " give the pixel size with --spacing-mm",
    ]
    assert len(indices.beats) == 3


def test_two_stills_need_no_frame_rate():
    indices = measure_cine(_segmentation(_masks()[[0, 10]], fps=None))
    assert indices.warnings == ()
    (beat,) = indices.beats
    assert (beat.ed_frame, beat.es_frame, beat.complete) == (0, 1, False)
    assert indices.quality.flag is REVIEW
    assert "no full beat" in indices.quality.reasons[0]


def test_warnings_of_the_cine_are_kept():
    assert measure_cine(_segmentation(_masks(), warnings=("stale calibration",))).warnings == ("stale calibration",)


def test_what_a_warning_of_the_cine_asks_for_is_not_asked_for_again():
    no_size = "the file holds no calibration; give the pixel size with --spacing-mm"
    no_rate = "the file does not say its frame rate; give it with --fps"

    def warnings(*said: str) -> tuple[str, ...]:
        return measure_cine(_segmentation(_masks(), spacing=None, fps=None, warnings=said)).warnings

    assert warnings(no_size, no_rate) == (no_size, no_rate)
    assert [w.rpartition(" ")[2] for w in warnings(no_size)] == ["--spacing-mm", "--fps"]
    assert [w.rpartition(" ")[2] for w in warnings(no_rate)] == ["--fps", "--spacing-mm"]


def test_anisotropic_pixels_without_spacing_are_refused():
    with pytest.raises(InputError, match=r"^a\.dcm.*--spacing-mm$"):
        measure_cine(_segmentation(_masks(), spacing=None, aspect=2.0))


def test_empty_masks_on_some_frames():
    masks = _masks()
    masks[[5, 6, 30]] = 0
    indices = measure_cine(_segmentation(masks))
    assert np.flatnonzero(np.isnan(indices.curve.values)).tolist() == [5, 6, 30]
    assert indices.quality.flag is REVIEW
    assert "empty masks: 3 of 60 frames" in indices.quality.reasons
    assert len(indices.beats) == 3


def test_a_cine_without_any_mask_fails_and_has_no_numbers():
    indices = measure_cine(_segmentation(0 * _masks(), np.zeros(60, np.float32)))
    assert (indices.summary, indices.beats, indices.ejections) == (None, (), ())
    assert indices.quality.flag is FAIL
    assert any("no ventricle" in reason for reason in indices.quality.reasons)


def test_a_still_ventricle_fails():
    flag, reasons = _reasons(np.repeat(_masks(1), 60, axis=0))
    assert flag is FAIL
    assert "no beat" in reasons


@pytest.mark.parametrize(
    ("level", "share", "flag", "reason"),
    [
        (0.95, 0.0, PASS, ""),
        (0.5, 1.0, FAIL, "low confidence: median 0.50"),
        (0.7, 0.3, REVIEW, "low confidence: 30% of frames below 0.80"),
    ],
)
def test_confidence(level, share, flag, reason):
    confidence = np.full(60, 0.95, np.float32)
    confidence[: round(60 * share)] = level
    found, reasons = _reasons(_masks(), confidence)
    assert found is flag
    assert reason in reasons


def test_doubt_at_ed_or_es_counts_even_if_it_is_a_single_frame():
    confidence = np.full(60, 0.95, np.float32)
    confidence[10] = 0.6  # end-systole of the first beat
    assert _reasons(_masks(), confidence) == (REVIEW, "low confidence at ED or ES: frames 10")


def test_a_model_may_say_what_is_doubtful():
    confidence = np.full(60, 0.91, np.float32)
    sure = _segmentation(_masks(), confidence)
    assert measure_cine(sure).quality.flag is PASS
    quality = measure_cine(replace(sure, doubtful_below=0.92)).quality
    assert quality.flag is REVIEW
    assert quality.reasons[0] == "low confidence: 100% of frames below 0.92"


def test_a_model_that_is_never_sure_is_not_trusted_for_it():
    unsure = replace(_segmentation(_masks(), np.full(60, 0.7, np.float32)), doubtful_below=0.5)
    quality = measure_cine(unsure).quality
    assert (quality.flag, quality.reasons[0]) == (REVIEW, "low confidence: 100% of frames below 0.80")


def test_several_components():
    masks = _masks()
    masks[:20, 2:12, 2:12] = 1
    flag, reasons = _reasons(masks)
    assert flag is REVIEW
    assert "several components: 20 of 60 frames" in reasons
    masks[:, 2:12, 2:12] = 0
    masks[:, 2, 2] = 1  # specks do not matter
    assert _reasons(masks)[0] is PASS


def test_a_ventricle_cut_by_the_edge():
    masks = _masks()
    cropped = np.zeros_like(masks)
    cropped[:, :82] = masks[:, 30:]
    flag, reasons = _reasons(cropped)
    assert flag is REVIEW
    assert "apex cut off by the edge of the image or sector: 33 of 60 frames" in reasons


def test_area_jumps():
    masks = _masks()
    masks[33, :60] = 0
    flag, reasons = _reasons(masks)
    assert flag is REVIEW
    assert "area jumps: 1 of 60 frames" in reasons


def test_jitter():
    masks = _masks()
    rng = np.random.default_rng(0)
    for mask in masks:
        mask[:, : 56 - int(rng.integers(8, 26))] = 0  # one wall wanders
    flag, reasons = _reasons(masks)
    assert flag is REVIEW
    assert "temporal jitter" in reasons


def test_irregular_rhythm():
    flag, reasons = _reasons(_masks(90, periods=(0.6, 1.1, 0.7, 1.0, 0.8)))
    assert flag is REVIEW
    assert "irregular rhythm" in reasons


def test_implausible_volume_in_ml_only():
    flag, reasons = _reasons(_masks(), spacing=Spacing(3.0, 3.0))
    assert flag is REVIEW
    assert "implausible EDV" in reasons
    assert _reasons(_masks(), spacing=None) == (PASS, "")


def test_implausible_ef():
    flag, reasons = _reasons(_masks(swing=0.6))
    assert flag is FAIL
    assert "implausible EF" in reasons


def test_reasons_are_sorted_by_gravity():
    masks = np.repeat(_masks(1), 60, axis=0)
    masks[:20, 2:12, 2:12] = 1
    quality = measure_cine(_segmentation(masks, view=View.UNKNOWN)).quality
    assert [reason.split(":")[0] for reason in quality.reasons] == ["no beat", "several components", "view unknown"]


def test_r_waves_of_the_cine_are_used():
    segmentation = _segmentation(_masks())
    anchored = replace(segmentation, meta=replace(segmentation.meta, r_waves_s=(0.0, 0.8)))
    assert len(measure_cine(anchored).beats) == 1


def test_jitter_of_white_noise_is_its_standard_deviation():
    areas = 1000 + 20 * np.random.default_rng(0).normal(size=4000)
    assert area_jitter(areas) == pytest.approx(0.02, rel=0.08)
    assert area_jitter(np.array([1.0, 2.0])) == 0


def test_a_ventricle_cut_off_beside_its_apex():
    flag, reasons = _reasons(np.pad(_masks()[:, :, 40:], ((0, 0), (0, 0), (0, 40))))
    assert flag is REVIEW
    assert reasons == "ventricle cut off by the edge of the image or sector: 60 of 60 frames"


def _sector(top: int) -> np.ndarray:
    """All of the image below a row."""
    return np.arange(112)[:, None] * np.ones(112) >= top


def test_a_ventricle_at_the_edge_of_the_sector():
    masks = _masks()
    quality = measure_cine(_segmentation(masks), context=Context(sector=_sector(10))).quality
    assert quality.flag is PASS
    masks[:, :45] = 0
    reasons = measure_cine(_segmentation(masks), context=Context(sector=_sector(10))).quality.reasons
    assert not any("sector" in reason for reason in reasons)
    quality = measure_cine(_segmentation(masks), context=Context(sector=_sector(45))).quality
    assert quality.flag is REVIEW
    assert any("apex cut off by the edge of the image or sector: 60 of 60" in reason for reason in quality.reasons)


def test_a_sector_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"a\.dcm: sector of shape \(5, 5\)"):
        measure_cine(_segmentation(_masks()), context=Context(sector=np.ones((5, 5), bool)))


@pytest.mark.parametrize("rows", [34, 40, 46])
def test_an_apex_that_was_cut_off(rows):
    masks = _masks()
    masks[:, :rows] = 0
    flag, reasons = _reasons(masks)
    assert flag is REVIEW
    assert "probably cut off" in reasons


def test_a_round_ventricle_is_no_apical_view():
    y, x = np.mgrid[0:112, 0:112]
    radii = 32 + 6 * np.cos(2 * np.pi * np.arange(60) / 20)
    masks = np.stack([(y - 56) ** 2 + (x - 56) ** 2 <= r**2 for r in radii]).astype(np.uint8)
    flag, reasons = _reasons(masks)
    assert flag is REVIEW
    assert "no apical view" in reasons


def test_what_lies_beyond_the_training_data_calls_for_a_review():
    segmentation = replace(_segmentation(_masks()), beyond_training=("12 frames per second, learned on 30 or more",))
    quality = measure_cine(segmentation).quality
    assert quality.flag is REVIEW
    assert quality.reasons == ("beyond the training data: 12 frames per second, learned on 30 or more",)
