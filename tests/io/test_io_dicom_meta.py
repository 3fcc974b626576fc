"""Calibration, time and view: what of an ultrasound header is believed."""

from __future__ import annotations

from pathlib import Path

import pydicom.examples
import pytest
from pydicom.dataset import Dataset
from tests.io.sample_files import SHAPE, dicom, noise, region, save_dicom

from echoseg.cine import CineMeta, Spacing, View
from echoseg.io import open_cine, read_cine

HEIGHT, WIDTH = SHAPE


def meta_of(tmp_path: Path, *regions: Dataset, **elements: object) -> CineMeta:
    header = dicom(noise().shape, **elements)
    if regions:
        header.SequenceOfUltrasoundRegions = list(regions)
    return open_cine(save_dicom(tmp_path / "a.dcm", header, noise())).meta


def millimetres(meta: CineMeta) -> tuple[float, float]:
    """(row, col) size of a pixel."""
    assert meta.spacing is not None
    return meta.spacing.row_mm, meta.spacing.col_mm


def test_region_in_centimetres_gives_millimetres(tmp_path):
    meta = meta_of(tmp_path, region(WIDTH, HEIGHT))
    assert millimetres(meta) == pytest.approx((0.308, 0.154))
    assert meta.warnings == ()


def test_sign_of_the_deltas_does_not_matter(tmp_path):
    meta = meta_of(tmp_path, region(WIDTH, HEIGHT, PhysicalDeltaX=-0.02, PhysicalDeltaY=-0.03))
    assert millimetres(meta) == pytest.approx((0.3, 0.2))


@pytest.mark.parametrize(
    "other",
    [
        {"RegionDataType": 10},  # spectral
        {"RegionSpatialFormat": 4},  # waveform
        {"PhysicalUnitsXDirection": 4},  # seconds
        {"PhysicalUnitsYDirection": 7},  # cm/s
        {"PhysicalDeltaX": 0.0},
        {"PhysicalDeltaY": float("nan")},
    ],
)
def test_only_calibrated_tissue_counts(tmp_path, other):
    wrong = region(WIDTH, HEIGHT, **({"PhysicalDeltaX": 9.0} | other))
    small = region(20, 20, PhysicalDeltaX=0.05, PhysicalDeltaY=0.05)
    assert meta_of(tmp_path, wrong, small).spacing == Spacing(0.5, 0.5)
    alone = meta_of(tmp_path, wrong)
    assert alone.spacing is None
    assert "volumes in mL cannot be given" in alone.warnings[0]
    assert "--spacing-mm" in alone.warnings[0]


def test_largest_tissue_region_wins(tmp_path):
    zoomed = region(20, 20, PhysicalDeltaX=0.01, PhysicalDeltaY=0.01)
    full = region(WIDTH, HEIGHT, PhysicalDeltaX=0.03, PhysicalDeltaY=0.03)
    for order in ((zoomed, full), (full, zoomed)):
        assert millimetres(meta_of(tmp_path, *order)) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize(
    ("right", "bottom", "stale"), [(47, 55, False), (48, 56, False), (49, 56, True), (48, 57, True)]
)
def test_a_region_outside_its_image_is_stale(tmp_path, right, bottom, stale):
    meta = meta_of(tmp_path, region(WIDTH, HEIGHT, RegionLocationMaxX1=right, RegionLocationMaxY1=bottom))
    assert (meta.spacing is None) == stale
    assert meta.aspect == pytest.approx(2.0)
    if stale:
        assert "resized or cropped after it was calibrated" in meta.warnings[0]
        assert "--spacing-mm" in meta.warnings[0]


def unplaced(**elements: object) -> Dataset:
    """A calibrated region without its left edge."""
    item = region(WIDTH, HEIGHT, **elements)
    del item.RegionLocationMinX0
    return item


def test_a_region_without_location_gives_no_millilitres(tmp_path):
    meta = meta_of(tmp_path, unplaced())
    assert meta.spacing is None
    assert meta.aspect == pytest.approx(2.0)
    assert meta.warnings == (
        "the calibrated region does not say where in the image it lies, so that its calibration cannot be checked: "
        "volumes in mL cannot be given; give the pixel size with --spacing-mm",
    )


def test_a_region_with_location_is_preferred_to_one_without(tmp_path):
    small = region(20, 20, PhysicalDeltaX=0.05, PhysicalDeltaY=0.05)
    for order in ((unplaced(), small), (small, unplaced())):
        meta = meta_of(tmp_path, *order)
        assert (meta.spacing, meta.warnings) == (Spacing(0.5, 0.5), ())


def test_real_cine_with_stale_calibration():
    path = pydicom.examples.get_path("ybr_color")
    meta = open_cine(path).meta
    assert meta.spacing is None
    assert meta.aspect == 1.0
    assert "(595, 414), outside the image of 320 x 240" in meta.warnings[0]
    known = open_cine(path, spacing=Spacing(0.8, 0.8)).meta
    assert (known.spacing, known.warnings) == (Spacing(0.8, 0.8), ())


def test_palette_example_ignores_its_waveform_region():
    """Its tissue region is the larger one and lies outside the cropped image."""
    meta = open_cine(pydicom.examples.get_path("palette_color")).meta
    assert meta.spacing is None
    assert meta.aspect == 1.0
    assert "(800, 518)" in meta.warnings[0]


@pytest.mark.parametrize(
    ("elements", "spacing", "aspect"),
    [
        ({"PixelSpacing": [0.3, 0.15]}, Spacing(0.3, 0.15), 2.0),
        ({"NominalScannedPixelSpacing": [0.3, 0.15]}, Spacing(0.3, 0.15), 2.0),
        ({"PixelSpacing": [0, 0]}, None, None),
        ({"PixelAspectRatio": ["2", "1"]}, None, 2.0),
        ({}, None, None),
    ],
)
def test_files_without_regions(tmp_path, elements, spacing, aspect):
    meta = meta_of(tmp_path, **elements)
    assert (meta.spacing, meta.aspect) == (spacing, aspect)
    assert (spacing is None) == any("volumes in mL" in warning for warning in meta.warnings)


def test_pixel_spacing_does_not_override_regions(tmp_path):
    meta = meta_of(tmp_path, region(WIDTH, HEIGHT, PhysicalUnitsXDirection=4), PixelSpacing=[1, 1])
    assert meta.spacing is None


@pytest.mark.parametrize(
    ("elements", "fps"),
    [
        ({"FrameTime": 33.333}, 30.0003),
        ({"FrameTime": None, "FrameTimeVector": [0, 20, 20, 20, 20, 20]}, 50.0),
        ({"FrameTime": 0, "ActualFrameDuration": 25}, 40.0),
        ({"FrameTime": None, "CineRate": 61}, 61.0),
        ({"FrameTime": None, "RecommendedDisplayFrameRate": 28}, 28.0),
        ({"FrameTime": 20, "CineRate": 61}, 50.0),
        ({"FrameTime": 1e-9, "CineRate": 61}, 61.0),
        ({"FrameTime": None}, None),
        ({"FrameTime": None, "CineRate": 0}, None),
    ],
)
def test_frame_rate_by_order_of_trust(tmp_path, elements, fps):
    meta = meta_of(tmp_path, **elements)
    assert meta.fps == fps or meta.fps == pytest.approx(fps, abs=1e-3)
    assert (fps is None) == any("--fps" in warning for warning in meta.warnings)


def test_uneven_frames_are_said(tmp_path):
    meta = meta_of(tmp_path, FrameTime=None, FrameTimeVector=[0, 20, 20, 60, 20, 20])
    assert meta.fps == pytest.approx(1000 / 28)
    assert any("20 to 60 ms" in warning for warning in meta.warnings)


def test_r_waves_are_in_seconds(tmp_path):
    assert meta_of(tmp_path, RWaveTimeVector=[-5.0, 100.0, 950.0]).r_waves_s == (0.1, 0.95)
    assert meta_of(tmp_path).r_waves_s == ()


@pytest.mark.parametrize(
    ("elements", "view"),
    [
        ({"SeriesDescription": "A4C"}, View.A4C),
        ({"SeriesDescription": "Apical 4 Chamber"}, View.A4C),
        ({"ImageComments": "AP4 focused LV"}, View.A4C),
        ({"ProtocolName": "LV_4CH_contrast"}, View.A4C),
        ({"ImageComments": "apical two-chamber view"}, View.A2C),
        ({"SeriesDescription": "2CH"}, View.A2C),
        ({"SeriesDescription": "A2C and A4C"}, View.UNKNOWN),
        ({"SeriesDescription": "subcostal 4 chamber"}, View.UNKNOWN),
        ({"SeriesDescription": "PLAX"}, View.UNKNOWN),
        ({"SeriesDescription": "A4CX 14CH 42ch"}, View.UNKNOWN),
        ({"PatientComments": "A4C"}, View.UNKNOWN),
        ({}, View.UNKNOWN),
    ],
)
def test_view_from_text_only_where_it_is_clear(tmp_path, elements, view):
    assert meta_of(tmp_path, **elements).view == view


@pytest.mark.parametrize(
    ("code", "meaning", "view"),
    [
        ("399214001", "", View.A4C),
        ("G-A19B", "", View.A2C),
        ("99", "Apical two chamber", View.A2C),
        ("399306005", "Parasternal short axis", View.UNKNOWN),
    ],
)
def test_view_from_code(tmp_path, code, meaning, view):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", meaning
    assert meta_of(tmp_path, ViewCodeSequence=[item]).view == view


def test_unreadable_numbers_are_as_good_as_missing(tmp_path):
    path = save_dicom(tmp_path / "a.dcm", dicom(noise().shape, FrameTime="20.0000", CineRate="33"), noise())
    data = path.read_bytes()
    path.write_bytes(data.replace(b"20.0000", b"2x.abcd"))
    assert read_cine(path).fps == 33.0


def test_the_tissue_region_is_kept_whatever_its_units(tmp_path):
    """For what may be seen of the picture units do not matter; half-open, within the image, the largest one."""
    meta = meta_of(tmp_path, region(40, 50, PhysicalUnitsXDirection=0), region(10, 10))
    assert meta.region == (0, 0, 50, 40)
    assert meta_of(tmp_path, region(WIDTH + 1, HEIGHT + 1)).region == (0, 0, HEIGHT, WIDTH)
    assert meta_of(tmp_path, region(WIDTH + 9, HEIGHT)).region is None, "outside its image"
    assert meta_of(tmp_path, region(40, 50, RegionDataType=10)).region is None, "spectral"
    assert meta_of(tmp_path, unplaced()).region is None
    assert meta_of(tmp_path).region is None
