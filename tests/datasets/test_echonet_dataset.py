"""Every trap of EchoNet-Dynamic, one test each."""

import numpy as np
import pytest

from echoseg.cine import Instant, View
from echoseg.datasets import open_dataset
from echoseg.datasets.tracings import tracing_mask
from echoseg.errors import InputError


@pytest.fixture
def big(make):
    return make.tracing(20)


@pytest.fixture
def small(make):
    return make.tracing(13)


def load(folder, labels="edes", split="train"):
    dataset = open_dataset(folder.write())
    (case,) = dataset.cases(split)
    return dataset.load(case, labels)


def test_two_traced_frames_with_21_rows(echonet, big, small):
    cine = load(echonet.video("0XA", [(1, big), (4, small)], ef=55.5, fps=51))
    assert cine.instants == {Instant.ED: 1, Instant.ES: 4}
    np.testing.assert_array_equal(cine.masks[1], tracing_mask(np.array(big), (112, 112)))
    np.testing.assert_array_equal(cine.masks[4], tracing_mask(np.array(small), (112, 112)))
    assert set(np.unique(cine.masks[1])) == {0, 1}
    assert cine.fps == 51
    assert cine.view is View.A4C


def test_frames_count_from_zero(echonet, big, small):
    cine = load(echonet.video("0XA", [(0, big), (5, small)]))
    assert cine.frames[cine.instants[Instant.ED], 60, 60] == pytest.approx(20, abs=4)
    assert cine.frames[cine.instants[Instant.ES], 60, 60] == pytest.approx(170, abs=4)


def test_ed_is_the_larger_mask_and_not_the_first_or_last_listed(echonet, big, small):
    for stem, order in (("0XA", [(1, big), (4, small)]), ("0XB", [(4, small), (1, big)])):
        echonet.video(stem, order)
    dataset = open_dataset(echonet.write())
    for case in dataset.cases("train"):
        assert dataset.load(case).instants == {Instant.ED: 1, Instant.ES: 4}


def test_es_can_come_before_ed(echonet, big, small):
    assert load(echonet.video("0XA", [(1, small), (4, big)])).instants == {Instant.ED: 4, Instant.ES: 1}


@pytest.mark.parametrize("names", [{"list_name": "0XA.avi"}, {"trace_name": "0XA"}, {"list_name": "0XA.AVI"}, {}])
def test_file_names_with_and_without_avi(echonet, big, small, names):
    echonet.video("0XA", [(1, big), (4, small)], **names)
    dataset = open_dataset(echonet.write())
    assert [case.id for case in dataset.cases("train")] == ["0XA"]
    assert len(dataset.load(dataset.cases("train")[0]).masks) == 2


def test_one_trace_is_left_out_and_counted(echonet, big, small):
    echonet.video("0XA", [(1, big), (4, small)]).video("0XB", [(2, big)]).video("0XC", [])
    dataset = open_dataset(echonet.write())
    assert [case.id for case in dataset.cases("train")] == ["0XA"]
    assert dataset.dropped == {"fewer than two usable tracings": ("0XB", "0XC")}


def test_twenty_rows_are_kept_where_they_enclose_an_area(echonet, big, small):
    cine = load(echonet.video("0XA", [(1, big[:20]), (4, small)]))
    np.testing.assert_array_equal(cine.masks[1], tracing_mask(np.array(big[:20]), (112, 112)))


def test_a_long_axis_alone_encloses_nothing(echonet, big, small):
    echonet.video("0XA", [(1, big), (4, small[:1])]).video("0XB", [(1, big), (4, small[:2])])
    assert open_dataset(echonet.write()).dropped == {"fewer than two usable tracings": ("0XA", "0XB")}


def test_row_zero_is_no_part_of_the_mask(echonet, big, small):
    plain = load(echonet.video("0XA", [(1, big), (4, small)]))
    stretched = [(0.0, 0.0, 111.0, 111.0), *big[1:]]
    echonet.lines = []
    echonet.rows = []
    other = load(echonet.video("0XA", [(1, stretched), (4, small)]))
    np.testing.assert_array_equal(plain.masks[1], other.masks[1])


def test_traced_frame_beyond_the_table_is_not_used(echonet, big, small):
    echonet.video("0XA", [(1, big), (6, small)]).video("0XB", [(1, big), (4, small), (99, big), (-1, big)])
    dataset = open_dataset(echonet.write())
    assert dataset.dropped == {"fewer than two usable tracings": ("0XA",)}
    assert set(dataset.load(dataset.cases("train")[0]).masks) == {1, 4}


def test_traced_frame_beyond_the_video_is_an_error_with_its_name(echonet, big, small):
    with pytest.raises(InputError, match=r"0XA\.avi: frame 30 is traced, but there are 6"):
        load(echonet.video("0XA", [(1, big), (30, small)], claimed_frames=40))


def test_more_than_two_tracings_give_largest_and_smallest(echonet, big, small, make):
    echonet.video("0XA", [(0, make.tracing(16)), (2, big), (4, small)])
    assert set(load(echonet).masks) == {2, 4}
    assert set(load(echonet, "all").masks) == {0, 2, 4}


def test_split_in_any_case(echonet, big, small):
    for stem, split in (("0XA", "TRAIN"), ("0XB", "Val"), ("0XC", "test"), ("0XD", "holdout")):
        echonet.video(stem, [(1, big), (4, small)], split=split)
    dataset = open_dataset(echonet.write())
    assert {s: [c.id for c in dataset.cases(s)] for s in dataset.splits()} == {
        "train": ["0XA"],
        "val": ["0XB"],
        "test": ["0XC"],
    }
    assert dataset.dropped == {"no split, or two": ("0XD",)}


def test_video_in_two_splits_is_left_out(echonet, big, small):
    echonet.video("0XA", [(1, big), (4, small)])
    echonet.rows.append((*echonet.rows[0][:-1], "TEST"))
    dataset = open_dataset(echonet.write())
    assert dataset.splits() == ()
    assert dataset.dropped == {"no split, or two": ("0XA",)}


def test_missing_video_is_left_out_and_counted(echonet, big, small):
    echonet.video("0XA", [(1, big), (4, small)], write=False)
    assert open_dataset(echonet.write()).dropped == {"video missing": ("0XA",)}


def test_no_spacing_but_square_pixels(echonet, big, small):
    cine = load(echonet.video("0XA", [(1, big), (4, small)]))
    assert cine.spacing is None
    assert cine.meta.square_pixels
    assert cine.meta.aspect == 1


def test_frame_rate_of_the_video_where_the_table_has_none(echonet, big, small):
    assert load(echonet.video("0XA", [(1, big), (4, small)], fps="")).fps == 25


def test_columns_of_the_table_reach_the_case(echonet, big, small):
    echonet.video("0XA", [(1, big), (4, small)], ef=61.5, edv=120, esv="n/a")
    (case,) = open_dataset(echonet.write()).cases("train")
    assert (case.ef_percent, case.edv_ml, case.esv_ml, case.patient) == (61.5, 120, None, "0XA")


def test_byte_order_mark_and_broken_lines(echonet, big, small):
    root = echonet.video("0XA", [(1, big), (4, small)]).write()
    files = root / "FileList.csv"
    files.write_bytes(b"\xef\xbb\xbf" + files.read_bytes() + b"\n\n")
    with (root / "VolumeTracings.csv").open("a") as file:
        file.write("0XA.avi,1,2\n0XA.avi,a,b,c,d,1\n0XA.avi,1,2,3,4,inf\n")
    dataset = open_dataset(root)
    assert len(dataset.cases("train")) == 1
    assert dataset.tables.unreadable == {"0XA": [44, 45, 46]}


def test_missing_column_is_named(echonet):
    root = echonet.write()
    (root / "FileList.csv").write_text("FileName,EF\n0XA,55\n")
    with pytest.raises(InputError, match=r"FileList\.csv: no column Split"):
        open_dataset(root).cases("train")


def test_missing_tracings_are_named(echonet):
    root = echonet.write()
    (root / "VolumeTracings.csv").unlink()
    with pytest.raises(InputError, match=r"VolumeTracings\.csv: cannot be read"):
        open_dataset(root).cases("train")


def exact(root, stem, n_frames=6):
    """What the simulator writes for evaluation: a mask of every frame, with its number of rows."""
    masks = np.zeros((n_frames, 112, 112), np.uint8)
    for i in range(n_frames):
        masks[i, : 10 + i] = 1
    (root / "EvaluationMasks").mkdir(exist_ok=True)
    np.savez(root / "EvaluationMasks" / f"{stem}.npz", masks=masks, volume_ml=np.arange(6.0), clear_from=0.8)
    return masks


def test_exact_masks_are_there_for_evaluation(echonet, big, small):
    masks = exact(echonet.root, "0XA")
    cine = load(echonet.video("0XA", [(1, big), (4, small)]), "all")
    assert set(cine.masks) == set(range(6))
    np.testing.assert_array_equal(np.stack(list(cine.masks.values())), masks)
    assert cine.instants == {Instant.ED: 1, Instant.ES: 4}


def test_exact_masks_never_reach_training(echonet, big, small):
    """Whatever EvaluationMasks holds, even bytes that are no archive, cine and fingerprint are the same."""
    plain = load(echonet.video("0XA", [(1, big), (4, small)]))
    before = open_dataset(echonet.root).fingerprint()
    exact(echonet.root, "0XA")
    for spoil in (lambda: None, lambda: (echonet.root / "EvaluationMasks" / "0XA.npz").write_bytes(b"no archive")):
        spoil()
        cine = load(echonet)
        np.testing.assert_array_equal(cine.frames, plain.frames)
        assert set(cine.masks) == set(plain.masks) == {1, 4}
        for frame, mask in cine.masks.items():
            np.testing.assert_array_equal(mask, plain.masks[frame])
        assert open_dataset(echonet.root).fingerprint() == before
    with pytest.raises(InputError, match=r"0XA\.npz: cannot be read"):
        load(echonet, "all")


def test_exact_masks_of_another_length_are_refused(echonet, big, small):
    exact(echonet.root, "0XA", 5)
    with pytest.raises(InputError, match=r"0XA\.npz: masks of uint8 \(5, 112, 112\)"):
        load(echonet.video("0XA", [(1, big), (4, small)]), "all")


def test_evaluation_extras(echonet, big, small):
    exact(echonet.root, "0XA")
    echonet.video("0XA", [(1, big), (4, small)]).video("0XB", [(1, big), (4, small)])
    dataset = open_dataset(echonet.write())
    first, second = (dataset.evaluation_extras(case) for case in dataset.cases("train"))
    assert set(first) == {"volume_ml", "clear_from"}
    np.testing.assert_array_equal(first["volume_ml"], np.arange(6.0))
    assert (first["clear_from"].shape, float(first["clear_from"])) == ((), 0.8)
    assert second == {}


UNKNOWN = {"ef": "", "edv": "", "esv": ""}


def test_a_training_video_without_any_label_is_an_unlabelled_case(echonet, big, small):
    """Its exact masks, even bytes that are no archive, are for evaluation only."""
    echonet.video("0XA", [(1, big), (4, small)]).video("0XB", [], **UNKNOWN)
    dataset = open_dataset(echonet.write())
    case = dataset.cases("train")[1]
    assert (case.id, case.ef_percent, dataset.dropped) == ("0XB", None, {})
    masks = exact(echonet.root, "0XB")
    np.testing.assert_array_equal(np.stack(list(dataset.load(case, "all").masks.values())), masks)
    (echonet.root / "EvaluationMasks" / "0XB.npz").write_bytes(b"no archive")
    cine = dataset.load(case)
    assert (len(cine), dict(cine.masks), dict(cine.instants)) == (6, {}, {})


@pytest.mark.parametrize(
    ("tracings", "options"),
    [
        (0, {**UNKNOWN, "ef": 55}),
        (0, {**UNKNOWN, "esv": 55}),
        (1, UNKNOWN),
        (0, {**UNKNOWN, "split": "VAL"}),
        (0, {**UNKNOWN, "split": "TEST"}),
    ],
)
def test_a_video_that_lost_its_labels_is_not_taken_for_an_unlabelled_one(echonet, big, tracings, options):
    echonet.video("0XA", [(1, big)] * tracings, **options)
    dataset = open_dataset(echonet.write())
    assert dataset.dropped == {"fewer than two usable tracings": ("0XA",)}
    assert dataset.splits() == ()


def test_a_video_whose_tracings_are_unreadable_is_not_taken_for_an_unlabelled_one(echonet):
    root = echonet.video("0XA", [], **UNKNOWN).write()
    with (root / "VolumeTracings.csv").open("a") as file:
        file.write("0XA.avi,a,b,c,d,1\n")
    assert open_dataset(root).dropped == {"fewer than two usable tracings": ("0XA",)}


def test_order_of_labels(echonet, big, small):
    for stem in ("0XA", "0XB", "0XC"):
        echonet.video(stem, [(1, big), (4, small)])
    root = echonet.write()
    assert {case.label_order for case in open_dataset(root).cases("train")} == {None}
    head, *lines = (root / "FileList.csv").read_text().splitlines()
    ordered = [f"{line},{order}" for line, order in zip(lines, ("1", "", "0"), strict=True)]
    (root / "FileList.csv").write_text("\n".join([f"{head},LabelOrder", *ordered]) + "\n")
    assert [case.label_order for case in open_dataset(root).cases("train")] == [1, None, 0]


def test_split_schemes_apply_to_videos(echonet, big, small):
    for i in range(10):
        echonet.video(f"0X{i}", [(1, big), (4, small)], write=False)
        (echonet.root / "Videos" / f"0X{i}.avi").touch()
    dataset = open_dataset(echonet.write(), split_scheme="seq712")
    assert [len(dataset.cases(split)) for split in ("train", "val", "test")] == [7, 1, 2]
