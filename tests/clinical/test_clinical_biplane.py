"""Biplane numbers of a study: closed forms, pairing of beats, warnings and refusals, and simulated patients."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.clinical.hearts import ED, ES, beating, half_spheroid_ml, segmented

from echoseg.cine import CineMeta, MaskStack, Segmentation, View
from echoseg.clinical import Context, Indices, StudyEjection, area_length_biplane, measure_cine, measure_study
from echoseg.errors import InputError
from echoseg.simulator import simulate
from echoseg.simulator.presets import through_the_apex

RADII = {View.A4C: (26.0, 19.0), View.A2C: (23.0, 15.0)}
Measurement = tuple[Segmentation, Indices]


def _view(
    view: View, *, masks: np.ndarray | None = None, context: Context | None = None, **known: object
) -> Measurement:
    if masks is None:
        ed, es = (replace(shape, radius=radius) for shape, radius in zip((ED, ES), RADII[view], strict=True))
        masks = beating(ed, es)
    segmentation = segmented(masks, **({"view": view, "source": f"{view.value}.dcm"} | known))
    return segmentation, measure_cine(segmentation, context=context or Context())


@pytest.fixture(scope="module")
def study() -> StudyEjection:
    return measure_study(_view(View.A4C, context=Context(body_surface_m2=2.0)), _view(View.A2C))


def test_volumes_of_a_half_ellipsoid(study):
    edv, esv = (
        half_spheroid_ml(shape.length, RADII[View.A4C][i], RADII[View.A2C][i]) for i, shape in enumerate((ED, ES))
    )
    assert study.edv == pytest.approx(edv, rel=0.02)
    assert study.esv == pytest.approx(esv, rel=0.03)
    assert study.sv == pytest.approx(edv - esv, rel=0.03)
    assert study.ef_percent == pytest.approx(100 * (1 - esv / edv), abs=1)
    assert study.median["ef_area_length"].value == pytest.approx(100 * (1 - esv / edv), abs=1)
    assert study.median["edv_area_length"].value == pytest.approx(edv, rel=0.02)
    assert study.median["edv_area_length"].method == "area_length_biplane"
    assert (study.method, study.unit, study.n_beats, study.warnings) == ("simpson_biplane", "mL", 2, ())


def test_frames_of_both_views(study):
    assert (study.median["edv"].a4c_frames, study.median["edv"].a2c_frames) == ((0, 20), (0, 20))
    assert study.pairs[1].numbers["ef"].a4c_frames == (20, 30)
    assert study.median["hr"].value == pytest.approx(75)
    assert study.median["co"].value == pytest.approx(75 * study.sv, rel=1e-6)


def test_the_atrium_and_the_index(study):
    assert study.median["la_volume_max"].value == pytest.approx(ES.atrium_ml, rel=0.03)
    assert study.median["la_volume_max_index"].value == pytest.approx(ES.atrium_ml / 2, rel=0.03)
    assert [one.who for one in study.ranges["la_volume_max_index"]] == ["adults"]
    assert [one.who for one in study.ranges["ef"]] == ["women", "men"]


def test_the_document_is_json_with_the_keys_of_a_single_view(study):
    document = json.loads(json.dumps(study.document(), allow_nan=False))
    assert {"edv", "esv", "ef_percent", "ef_range", "unit", "method", "n_beats"} <= set(document)
    assert document["edv"] == pytest.approx(study.edv, abs=1e-3)
    assert document["biplane"]["beats"][0]["A2C"]["es_frame"] == 10
    assert document["biplane"]["median"]["ef"]["frames"] == {"A4C": [0, 10, 20, 30], "A2C": [0, 10, 20, 30]}
    assert document["biplane"]["ranges"]["edv"][0]["low"] == 46


def test_each_instant_has_its_own_height():
    """A height shared by ED and ES, as in published scripts, would lose many points of EF here."""
    es = replace(ES, length=56.0, radius=20.0)
    masks = beating(ED, es)
    found = measure_study(_view(View.A4C, masks=masks), _view(View.A2C, masks=masks))
    truth = 100 * (1 - es.lv_ml / ED.lv_ml)
    shared = 100 * (1 - es.radius**2 / ED.radius**2)
    assert truth - shared > 10
    assert found.ef_percent == pytest.approx(truth, abs=1)


def test_views_of_other_pixel_size_and_frame_rate():
    a2c = _view(View.A2C)
    fine = np.repeat(np.repeat(np.repeat(a2c[0].masks.to_array(), 2, axis=0), 2, axis=1), 2, axis=2)
    other = _view(View.A2C, masks=fine, pixel_mm=0.5, fps=50.0)
    one, two = (measure_study(_view(View.A4C), view) for view in (a2c, other))
    assert two.edv == pytest.approx(one.edv, rel=0.01)
    assert two.ef_percent == pytest.approx(one.ef_percent, abs=0.5)


def test_beats_are_paired_by_their_length():
    a4c = _view(View.A4C, masks=beating(lengths=(20, 26, 21)))
    a2c = _view(View.A2C, masks=beating(lengths=(26, 20)))
    found = measure_study(a4c, a2c)
    assert [(pair.a4c.ed_frame, pair.a2c.ed_frame) for pair in found.pairs] == [(0, 26), (20, 0)]


def test_views_of_unlike_length_are_said_to_be_foreshortened():
    short = beating(replace(ED, length=66.0), replace(ES, length=54.0))
    found = measure_study(_view(View.A4C), _view(View.A2C, masks=short))
    assert found.pairs[0].length_difference == pytest.approx(14 / 80, abs=0.02)
    (warning,) = found.warnings
    assert warning.startswith("A4C.dcm, A2C.dcm: long axes at end-diastole differ by 1")
    assert "foreshortened" in warning


def test_a_heart_rate_that_changed_between_the_views_is_said():
    found = measure_study(_view(View.A4C), _view(View.A2C, masks=beating(lengths=(28, 28))))
    assert ["differ in length by up to 29%" in one for one in found.warnings] == [True]


def test_stills_are_measured_and_said_to_be_no_full_beat():
    pair = np.stack([ED.mask(), ES.mask()])
    found = measure_study(_view(View.A4C, masks=pair, fps=None), _view(View.A2C, masks=pair, fps=None))
    assert found.edv == pytest.approx(ED.lv_ml, rel=0.02)
    assert not {"hr", "co"} & set(found.median)
    assert ["no full beat" in one for one in found.warnings] == [True]


def test_what_cannot_be_measured_is_refused():
    a4c, a2c = _view(View.A4C), _view(View.A2C)
    with pytest.raises(InputError, match=r"A2C\.dcm: pixel size unknown.*--spacing-mm"):
        measure_study(a4c, _view(View.A2C, pixel_mm=None))
    with pytest.raises(InputError, match="exchange the views"):
        measure_study(a2c, a4c)
    with pytest.raises(InputError, match="no beat whose end-diastole"):
        measure_study(a4c, _view(View.A2C, masks=np.stack([ED.mask()] * 5)))
    with pytest.raises(InputError, match="must be positive"):
        area_length_biplane(100.0, 100.0, (0.0, 5.0))


def test_views_of_unknown_name_are_taken_as_they_are_given():
    unknown = segmented(beating(), view=View.UNKNOWN)
    found = measure_study((unknown, measure_cine(unknown)), _view(View.A2C))
    assert found.n_beats == 2


@pytest.mark.parametrize("seed", [1, 2])
def test_simulated_patients(seed):
    """EF within a point and EDV within 3 % of what the simulator knows; benchmarks/biplane.py does it for more patients."""
    found, truth = [], []
    for view in (View.A4C, View.A2C):
        cine = simulate(
            seed, preset=through_the_apex("standard"), view=view, layout="camus", span="half_beat", fps=20.0
        )
        n_frames, height, width = cine.labels.shape
        meta = CineMeta(view.value, height, width, n_frames, fps=cine.fps, spacing=cine.spacing, view=view)
        segmentation = Segmentation(meta, MaskStack.from_array(cine.labels), None, "true masks")
        found.append((segmentation, measure_cine(segmentation)))
        truth.append((cine.edv_ml, cine.ef_percent))
    study = measure_study(*found)
    edv, ef = np.mean(truth, axis=0)
    assert study.edv == pytest.approx(edv, rel=0.03)
    assert study.ef_percent == pytest.approx(ef, abs=1)
