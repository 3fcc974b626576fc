"""The models that ship, on a real cine of a machine that they never saw, and on real stills where they are at hand."""

import numpy as np
import pydicom.examples
import pytest
from scipy import ndimage

from echoseg import Segmenter, measure_cine, open_dataset
from echoseg.cine import Cine, Structure
from echoseg.cli import main
from echoseg.engine import find_model, list_models
from echoseg.metrics import dice

LICENCES = {"a4c": "CC BY-NC-SA 4.0", "a4c-sim": "Apache-2.0", "a4c-small": "CC BY-NC-SA 4.0"}
REAL = ("a4c", "a4c-small")
"""Those that were trained on real hearts."""


@pytest.fixture(scope="module", params=REAL)
def segmenter(request) -> Segmenter:
    return Segmenter.load(request.param, threads=1)


@pytest.fixture(scope="module")
def real(segmenter):
    return segmenter(pydicom.examples.get_path("ybr_color"))


def test_these_models_ship():
    assert {model.config.name: model.config.licence for model in list_models()} == LICENCES


def test_info_lists_them(capsys):
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.split("models:\n")[1].splitlines()
    assert [line.split()[:2] for line in lines] == [[name, "version"] for name in LICENCES]


@pytest.mark.parametrize("name", LICENCES)
def test_weights_carry_licence_card_and_a_size_that_ships(name):
    folder = find_model(name)
    assert LICENCES[name] in folder.card and "not a medical device" in folder.card
    assert (folder.path / "model.onnx").stat().st_size <= 25e6
    assert set(folder.config.structures.values()) == {"LV", "MYOCARDIUM", "LA"}
    assert folder.config.gray_range is not None
    assert 1 < folder.config.temperature < 2.5, "networks trained on hard labels are surer than right"


def test_simulated_training_alone_finds_the_ventricle_of_a_real_heart():
    masks = Segmenter.load("a4c-sim", threads=1)(pydicom.examples.get_path("ybr_color")).masks
    taught = Segmenter.load("a4c", threads=1)(pydicom.examples.get_path("ybr_color")).masks
    assert np.mean([dice(a == Structure.LV, b == Structure.LV) for a, b in zip(masks, taught, strict=True)]) > 0.6


def test_every_frame_of_the_real_cine_has_one_ventricle_at_native_size(real):
    assert real.masks.shape == (30, 240, 320)
    for frame, mask in enumerate(real.masks):
        assert ndimage.label(mask == Structure.LV)[1] == 1, f"frame {frame}"


def test_the_real_cine_lies_within_what_the_model_learned_on(real):
    assert real.beyond_training == ()


def test_the_real_cine_has_an_ejection_fraction_and_no_millilitres(real):
    indices = measure_cine(real)
    assert indices.summary is not None and 30 < indices.summary.ef_percent < 80
    assert indices.summary.unit == "px3"
    assert sum("--spacing-mm" in warning for warning in indices.warnings) == 1


def test_the_ventricle_of_the_real_cine_moves_smoothly(real):
    areas = np.array([(mask == Structure.LV).sum() for mask in real.masks], float)
    assert np.abs(np.diff(areas)).max() < 0.35 * areas.mean()


@pytest.mark.data
def test_real_stills_of_unseen_patients(segmenter, camus_root):
    dataset = open_dataset(camus_root)
    scores = []
    for case in dataset.cases("val")[:12]:
        cine: Cine = dataset.load(case)
        masks = segmenter(cine).masks
        scores += [dice(masks[f] == Structure.LV, m == Structure.LV) for f, m in cine.masks.items()]
    assert np.mean(scores) > 0.9
