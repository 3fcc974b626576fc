"""Splits are by patient and depend on names alone."""

import random

import pytest

from echoseg.datasets.splits import SPLITS, by_name_hash, five_folds, make_splits, sequential, split_name
from echoseg.errors import UsageError

CAMUS_500 = [f"patient{i:04d}" for i in range(1, 501)]


def members(split, name):
    return sorted(patient for patient, chosen in split.items() if chosen == name)


def test_seq712_is_350_50_100_of_500_camus_patients():
    split = sequential(CAMUS_500)
    assert members(split, "train") == CAMUS_500[:350]
    assert members(split, "val") == CAMUS_500[350:400]
    assert members(split, "test") == CAMUS_500[400:]


def test_five_folds_of_450_test_every_patient_once():
    patients = CAMUS_500[:450]
    tests = [members(five_folds(patients, fold), "test") for fold in range(5)]
    assert [len(test) for test in tests] == [90] * 5
    assert sorted(patient for test in tests for patient in test) == patients
    assert [len(members(five_folds(patients, fold), "val")) for fold in range(5)] == [36] * 5


@pytest.mark.parametrize("scheme", [sequential, by_name_hash, lambda patients: five_folds(patients, 2)])
def test_the_order_of_listing_does_not_matter(scheme):
    shuffled = random.Random(0).sample(CAMUS_500, 500)
    assert scheme(shuffled) == scheme(CAMUS_500)


def test_hash_split_is_not_the_order_of_names():
    assert members(by_name_hash(CAMUS_500), "train") != CAMUS_500[:400]


@pytest.mark.parametrize("n", [3, 4, 10, 57])
def test_every_split_has_a_patient_from_three_on(n):
    assert set(by_name_hash(CAMUS_500[:n]).values()) == set(SPLITS)


def test_hash_split_is_8_1_1():
    split = by_name_hash(CAMUS_500)
    assert [len(members(split, name)) for name in SPLITS] == [400, 50, 50]


def test_names_of_splits_in_other_words():
    assert [split_name(name) for name in ("TRAIN", "training", " VAL ", "validation", "Test", "testing")] == [
        "train",
        "train",
        "val",
        "val",
        "test",
        "test",
    ]
    assert split_name("holdout") is None


def test_unknown_scheme_and_fold_are_refused_with_the_choices():
    with pytest.raises(UsageError, match="official, seq712, kfold5"):
        make_splits((), "random", official={})
    with pytest.raises(UsageError, match=r"fold=5: folds are numbered 0\.\.4"):
        make_splits((), "kfold5", 5, official={})
