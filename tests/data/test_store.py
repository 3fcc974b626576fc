"""Cines in memory: sizes, label budgets, and masks that must not get in."""

import dataclasses
import shutil

import numpy as np
import pytest

from echoseg.cine import Structure, View
from echoseg.data import CineStore, store_cine
from echoseg.datasets import Case, open_dataset
from echoseg.errors import InputError


@pytest.fixture(scope="module")
def train(simulated_echonet):
    return CineStore.load(open_dataset(simulated_echonet), "train", size=48)


def identifiers(store):
    return [cine.case.id for cine in store]


def test_only_ed_and_es_carry_masks_though_the_folder_has_all(train, simulated_echonet):
    assert len(list((simulated_echonet / "EvaluationMasks").glob("*.npz"))) == 8
    assert len(train) == 4
    for cine in train:
        assert set(cine.masks) == {cine.ed_frame, cine.es_frame}
        assert len(cine.frames) == 30


def test_half_sequence_masks_of_camus_stay_outside(simulated_camus):
    dataset = open_dataset(simulated_camus)
    dense = [len(dataset.load(case, "all").masks) for case in dataset.cases("train")]
    assert min(dense) > 2
    for cine in CineStore.load(dataset, "train", size=48):
        assert set(cine.masks) == {cine.ed_frame, cine.es_frame}


def test_masks_for_evaluation_may_be_garbage(train, simulated_echonet, tmp_path):
    """The leakage guard: training memory is the same, byte for byte, without a readable evaluation mask."""
    copy = shutil.copytree(simulated_echonet, tmp_path / "copy")
    for path in (copy / "EvaluationMasks").iterdir():
        path.write_bytes(b"garbage")
    for ours, theirs in zip(CineStore.load(open_dataset(copy), "train", size=48), train, strict=True):
        assert np.array_equal(ours.frames, theirs.frames)
        assert ours.masks.keys() == theirs.masks.keys()
        assert all(np.array_equal(ours.masks[f], theirs.masks[f]) for f in ours.masks)


def test_letterbox_keeps_the_shape_and_stretch_fills_the_square(simulated_camus):
    dataset = open_dataset(simulated_camus)
    case = dataset.cases("train")[0]
    cine = dataset.load(case)
    height, width = cine.meta.shape
    boxed, stretched = (store_cine(case, cine, 64, mode) for mode in ("letterbox", "stretch"))
    assert boxed.frames.shape == stretched.frames.shape == (len(cine), 64, 64)
    assert height > width
    bars = (64 - round(64 * width / height)) // 2
    assert not boxed.frames[:, :, :bars].any()
    for stored in (boxed, stretched):
        for frame, mask in stored.masks.items():
            assert mask.shape == (64, 64)
            assert set(np.unique(mask)) == set(np.unique(cine.masks[frame]))
    # the LV takes the same part of the frame, so a larger part of a square that is all frame
    share = [float((s.masks[s.ed_frame] == Structure.LV).mean()) for s in (boxed, stretched)]
    assert share[1] / share[0] == pytest.approx(height / width, rel=0.05)


def test_a_budget_is_drawn_by_its_seed_alone(train):
    one, two = train.split_budget(2, seed=5), train.split_budget(2, seed=5)
    assert identifiers(one[0]) == identifiers(two[0])
    assert identifiers(one[1]) == identifiers(two[1])
    drawn = {tuple(identifiers(train.split_budget(2, seed)[0])) for seed in range(12)}
    assert len(drawn) > 2


@pytest.mark.parametrize("budget", [1, 2, 3])
def test_labelled_and_unlabelled_cines_are_disjoint_and_complete(train, budget):
    labelled, rest = train.split_budget(budget, seed=0)
    assert len(labelled) == budget
    assert sorted(identifiers(labelled) + identifiers(rest)) == sorted(identifiers(train))
    for cine in rest:
        assert (cine.masks, cine.ed_frame, cine.es_frame) == ({}, None, None)


@pytest.mark.parametrize("budget", [None, 4, 99])
def test_a_budget_of_everything_takes_everything(train, budget):
    labelled, rest = train.split_budget(budget, seed=0)
    assert identifiers(labelled) == identifiers(train)
    assert len(rest) == 0


def test_a_cine_with_half_its_labels_is_unlabelled(make_cine):
    """It was in neither stream once."""
    half, whole = make_cine("half", labelled=(2,)), make_cine("whole")
    store = CineStore([half, whole, make_cine("none", ed_frame=None, es_frame=None)])
    labelled, rest = store.split_budget(None, seed=0)
    assert identifiers(labelled) == identifiers(store.labelled()) == ["whole"]
    assert identifiers(rest) == ["half", "none"]
    assert rest[0].masks == {}


def test_without_any_label_there_is_no_run(make_cine):
    with pytest.raises(InputError, match=r"both ED and ES labelled.*data check"):
        CineStore([make_cine(ed_frame=None, es_frame=None)]).split_budget(None, seed=0)


def test_gray_statistics_are_those_of_all_pixels(make_cine):
    store = CineStore([make_cine("a"), make_cine("b", n_frames=5, es_frame=4)])
    values = np.concatenate([cine.frames.ravel() for cine in store]) / 255
    found = store.gray_statistics()
    assert found == pytest.approx((values.mean(), values.std()))
    # a NumPy number in a checkpoint is refused when it is read
    assert [type(value) for value in found] == [float, float]


def test_black_cines_do_not_divide_by_zero(make_cine):
    black = dataclasses.replace(make_cine(), frames=np.zeros((12, 48, 48), np.uint8))
    mean, std = CineStore([black]).gray_statistics()
    assert mean == 0
    assert std > 0


def test_label_values_tell_what_the_data_hold(train, simulated_camus):
    assert train.label_values() == {0, 1}
    assert CineStore.load(open_dataset(simulated_camus), "train", size=64).label_values() == {0, 1, 2, 3}


def test_an_empty_split_names_those_that_are_not(simulated_echonet, tmp_path):
    copy = shutil.copytree(simulated_echonet, tmp_path / "copy")
    table = (copy / "FileList.csv").read_text().replace("VAL", "TEST")
    (copy / "FileList.csv").write_text(table)
    with pytest.raises(InputError, match="split 'val' is empty; it has train, test"):
        CineStore.load(open_dataset(copy), "val", size=48)


def test_progress_counts_the_cines(simulated_echonet):
    seen = []
    CineStore.load(open_dataset(simulated_echonet), "val", size=32, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 2), (2, 2)]


def test_cases_come_with_their_cines(train, simulated_echonet):
    assert [cine.case for cine in train] == list(open_dataset(simulated_echonet).cases("train"))
    assert all(isinstance(cine.case, Case) and cine.case.view is View.A4C for cine in train)
