"""Every trap of CAMUS, one test each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.cine import Instant, Spacing, View
from echoseg.datasets import open_dataset
from echoseg.datasets.camus import STILLS_WARNING, CamusInfo, read_info
from echoseg.errors import InputError, UsageError


def only_case(dataset, split="train"):
    (case,) = dataset.cases(split)
    return case


def load(camus, labels="edes", **options):
    camus.patient(1, **options)
    camus.splits(training=["patient0001"])
    dataset = open_dataset(camus.root)
    return dataset.load(only_case(dataset), labels)


def test_stills_are_a_two_frame_cine_ed_first_and_say_so(camus, make):
    cine = load(camus)
    assert cine.instants == {Instant.ED: 0, Instant.ES: 1}
    assert cine.frames[:, 0, 0].tolist() == [10, 20]
    np.testing.assert_array_equal(cine.frames[:, 1:], np.stack([make.image(1), make.image(2)])[:, 1:])
    np.testing.assert_array_equal(cine.masks[0], make.labels(9))
    np.testing.assert_array_equal(cine.masks[1], make.labels(5))
    assert cine.fps is None
    assert STILLS_WARNING in cine.meta.warnings
    assert cine.source.endswith("patient0001_4CH_ED.nii.gz")


def test_labels_0_to_3_are_kept(camus):
    assert np.unique(load(camus).masks[0]).tolist() == [0, 1, 2, 3]


def test_spacing_is_row_then_column_though_the_header_has_x_first(camus):
    cine = load(camus)
    assert cine.spacing.row_mm == pytest.approx(0.154)
    assert cine.spacing.col_mm == pytest.approx(0.308)
    assert cine.meta.shape == (40, 30)


def test_frame_numbers_of_the_cfg_count_from_one(camus, make):
    cine = load(camus, sequence=(2, 7))
    assert cine.instants == {Instant.ED: 1, Instant.ES: 6}
    assert cine.frames[1, 0, 0] == 10
    assert len(cine) == 7
    assert set(cine.masks) == {1, 6}
    np.testing.assert_array_equal(cine.masks[1], make.labels(9))
    np.testing.assert_array_equal(cine.masks[6], make.labels(5))
    assert cine.fps == 48.4
    assert STILLS_WARNING not in cine.meta.warnings


def test_es_to_ed_sequence_stays_in_the_order_of_the_file(camus, make):
    cine = load(camus, sequence=(6, 1))
    assert cine.instants == {Instant.ED: 5, Instant.ES: 0}
    assert cine.frames[:, 0, 0].tolist() == [0, 10, 20, 30, 40, 50]
    np.testing.assert_array_equal(cine.masks[5], make.labels(9))
    np.testing.assert_array_equal(cine.masks[0], make.labels(5))


def test_masks_between_ed_and_es_never_reach_training(camus, make):
    """Whatever `half_sequence_gt` holds, even bytes that are no image, the loaded cine is the same."""
    folder = camus.patient(1, sequence=(1, 6))
    camus.splits(training=["patient0001"])
    between = folder / "patient0001_4CH_half_sequence_gt.nii.gz"
    noise = np.random.default_rng(0).integers(0, 4, (6, 40, 30)).astype(np.uint8)
    cines = []
    for spoil in (lambda: None, lambda: make.nifti(between, noise), lambda: between.write_bytes(b"no image")):
        spoil()
        dataset = open_dataset(camus.root)
        cines.append(dataset.load(only_case(dataset)))
    for cine in cines[1:]:
        np.testing.assert_array_equal(cine.frames, cines[0].frames)
        assert set(cine.masks) == set(cines[0].masks) == {0, 5}
        for frame, mask in cine.masks.items():
            np.testing.assert_array_equal(mask, cines[0].masks[frame])


def test_all_labels_are_there_for_evaluation(camus, make):
    cine = load(camus, "all", sequence=(1, 5))
    assert set(cine.masks) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(cine.masks[2], make.labels(7))


def test_all_labels_of_stills_are_the_two_masks(camus):
    assert set(load(camus, "all").masks) == {0, 1}


def test_both_views_are_cases_of_one_patient_in_one_split(camus):
    for number in range(1, 21):
        camus.patient(number, views=("2CH", "4CH"))
    camus.splits(
        training=[f"patient{i:04d}" for i in range(1, 15)],
        validation=[f"patient{i:04d}" for i in range(15, 18)],
        testing=[f"patient{i:04d}" for i in range(18, 21)],
    )
    for options in ({}, {"split_scheme": "seq712"}, {"split_scheme": "kfold5", "fold": 3}):
        dataset = open_dataset(camus.root, **options)
        split_of = {}
        for split in dataset.splits():
            for case in dataset.cases(split):
                assert split_of.setdefault(case.patient, split) == split
        assert len(split_of) == 20
        assert sum(len(dataset.cases(split)) for split in dataset.splits()) == 40
    assert {case.view for case in dataset.cases("train")} == {View.A2C, View.A4C}


def test_official_split_of_the_three_lists(camus):
    for number in (1, 2, 3):
        camus.patient(number)
    camus.splits(training=["patient0002"], validation=["patient0003"], testing=["patient0001"])
    dataset = open_dataset(camus.root)
    patients = {split: [case.patient for case in dataset.cases(split)] for split in dataset.splits()}
    assert patients == {"train": ["patient0002"], "val": ["patient0003"], "test": ["patient0001"]}


def test_a_split_without_a_file_is_empty_and_not_listed(camus):
    camus.patient(1)
    camus.splits(training=["patient0001"])
    dataset = open_dataset(camus.root)
    assert dataset.splits() == ("train",)
    assert dataset.cases("test") == ()
    with pytest.raises(UsageError, match="train, val, test"):
        dataset.cases("holdout")


def test_patient_in_two_lists_is_left_out_rather_than_leaked(camus):
    camus.patient(1)
    camus.patient(2)
    camus.splits(training=["patient0001", "patient0002"], testing=["patient0001"])
    dataset = open_dataset(camus.root)
    assert [case.patient for case in dataset.cases("train")] == ["patient0002"]
    assert dataset.cases("test") == ()
    assert dataset.dropped == {"listed in two splits": ("patient0001",)}


def test_patient_without_masks_is_left_out_and_counted(camus):
    camus.patient(1)
    camus.patient(2, masks=False)
    camus.splits(training=["patient0001"], testing=["patient0002"])
    dataset = open_dataset(camus.root)
    assert dataset.splits() == ("train",)
    assert dataset.dropped == {"without ED mask and ES mask": ("patient0002_4CH",)}


def test_older_release_in_mhd(camus, make):
    for number in range(1, 11):
        camus.patient(number, container="training", mhd=True, sequence=(1, 4))
    camus.patient(1, container="testing", mhd=True, masks=False)
    dataset = open_dataset(camus.root)
    assert [len(dataset.cases(split)) for split in ("train", "val", "test")] == [7, 1, 2]
    assert dataset.dropped == {"without ED mask and ES mask": ("testing-patient0001_4CH",)}
    cine = dataset.load(dataset.cases("train")[0], "all")
    assert cine.spacing == Spacing(0.154, 0.308)
    assert len(cine) == 4
    assert set(cine.masks) == {0, 1, 2, 3}
    assert cine.frames[2, 0, 0] == 20
    np.testing.assert_array_equal(cine.frames[2, 1:], make.image(2)[1:])


def test_older_release_has_its_volumes_in_the_cfg(camus):
    camus.patient(1, info="ED: 1\nES: 18\nImageQuality: Poor\nLVedv: 94.2\nLVesv: 43.4\nLVef: 54\n")
    case = only_case(open_dataset(camus.root, split_scheme="seq712"), "train")
    assert (case.edv_ml, case.esv_ml, case.ef_percent, case.quality) == (94.2, 43.4, 54.0, "Poor")


@pytest.mark.parametrize("info", ["", "ED: soon\nES: 18\n", "a line\n\n::\n"])
def test_stills_need_nothing_from_the_cfg(camus, info):
    assert len(load(camus, info=info)) == 2


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ("", "no frame number for ED"),
        ("ED: 1\nES: end\n", "no frame number for ES"),
        ("ED: 1\nES: 9\n", "ES is frame 9 of a 6-frame sequence"),
        ("ED: 0\nES: 6\n", "ED is frame 0 of a 6-frame sequence"),
        ("ED: 6\nES: 6\n", "both frame 6"),
    ],
)
def test_a_sequence_needs_ed_and_es(camus, info, message):
    with pytest.raises(InputError, match=message) as error:
        load(camus, info=info, sequence=(1, 6))
    assert "Info_4CH.cfg" in str(error.value).split(":")[0]


def test_cfg_is_read_tolerantly(tmp_path):
    path = tmp_path / "Info_4CH.cfg"
    path.write_bytes("\ufeffed : 2\r\nES=7.0\r\nImageQuality:\r\nEF: 54 %\r\nFrameRate: 0\r\nNbFrame\r\n".encode())
    assert read_info(path) == CamusInfo(ed_frame=1, es_frame=6, ef_percent=54.0)
    assert read_info(tmp_path / "none.cfg") == CamusInfo()


@given(data=st.binary(max_size=200))
def test_no_cfg_makes_the_parser_fall_over(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.cfg"
    path.write_bytes(b"ED: " + data + b"\nES: 3\n")
    assert isinstance(read_info(path), CamusInfo)


def test_stills_that_differ_in_size_are_refused(camus, make):
    folder = camus.patient(1)
    make.nifti(folder / "patient0001_4CH_ES.nii.gz", make.image(1, (41, 30)))
    dataset = open_dataset(camus.root)
    with pytest.raises(InputError, match=r"patient0001_4CH_ES\.nii\.gz: shape"):
        dataset.load(only_case(dataset))


def test_mask_of_another_size_is_refused_by_its_own_name(camus, make):
    folder = camus.patient(1)
    make.nifti(folder / "patient0001_4CH_ES_gt.nii.gz", make.labels(5, (41, 30)))
    dataset = open_dataset(camus.root)
    with pytest.raises(InputError, match=r"patient0001_4CH_ES_gt\.nii\.gz: masks of shape"):
        dataset.load(only_case(dataset))


def test_stills_that_differ_in_spacing_are_refused(camus, make):
    folder = camus.patient(1)
    make.nifti(folder / "patient0001_4CH_ES.nii.gz", make.image(1), (0.3, 0.3))
    dataset = open_dataset(camus.root)
    with pytest.raises(InputError, match=r"but patient0001_4CH_ED\.nii\.gz has"):
        dataset.load(only_case(dataset))


def test_fingerprint_follows_splits_sizes_and_cfg_but_not_hidden_masks(camus, make):
    folder = camus.patient(1, sequence=(1, 6))
    camus.patient(2)
    camus.splits(training=["patient0001"], validation=["patient0002"])

    def fingerprint(**options):
        return open_dataset(camus.root, **options).fingerprint()

    first = fingerprint()
    assert len(first) == 64
    assert first == fingerprint()
    assert first != fingerprint(split_scheme="seq712")
    (folder / "patient0001_4CH_half_sequence_gt.nii.gz").write_bytes(b"")
    assert first == fingerprint()
    info = folder / "Info_4CH.cfg"
    info.write_text(info.read_text().replace("ES: 6", "ES: 5"))
    second = fingerprint()
    assert second != first
    make.nifti(folder / "patient0001_4CH_ED_gt.nii.gz", make.labels(3))
    assert fingerprint() != second


def test_fingerprint_does_not_depend_on_where_the_folder_is(camus):
    camus.patient(1)
    camus.splits(training=["patient0001"])
    first = open_dataset(camus.root).fingerprint()
    moved = camus.root.rename(camus.root.parent / "elsewhere")
    assert open_dataset(moved).fingerprint() == first


def test_the_inner_folder_will_do(camus):
    camus.patient(1)
    camus.splits(testing=["patient0001"])
    dataset = open_dataset(camus.root / "database_nifti")
    assert only_case(dataset, "test").patient == "patient0001"


def test_listing_reads_no_pixels(camus):
    folder = camus.patient(1)
    camus.splits(training=["patient0001"])
    for path in folder.glob("*.nii.gz"):
        path.write_bytes(b"not an image")
    dataset = open_dataset(camus.root)
    case = only_case(dataset)
    assert case.ef_percent == 60
    with pytest.raises(InputError, match="patient0001_4CH_ED"):
        dataset.load(case)


def test_unknown_labels_and_foreign_cases_are_refused(camus):
    camus.patient(1)
    camus.patient(2)
    camus.splits(training=["patient0001"])
    dataset = open_dataset(camus.root)
    case = only_case(dataset)
    with pytest.raises(UsageError, match="edes, all"):
        dataset.load(case, "es")
    camus.splits(training=["patient0002"])
    with pytest.raises(UsageError, match="no case 'patient0001_4CH'"):
        open_dataset(camus.root).load(case)
