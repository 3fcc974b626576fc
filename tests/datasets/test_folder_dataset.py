"""A plain folder of images and masks."""

import numpy as np
import pytest
from PIL import Image

from echoseg.cine import Instant, Spacing, View
from echoseg.datasets import open_dataset
from echoseg.datasets.folder import parse_spacing
from echoseg.errors import InputError


@pytest.fixture
def root(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / "plain" / name).mkdir(parents=True)
    return tmp_path / "plain"


def png_case(root, make, name, radii=None, n_frames=12, value=1):
    """Frames `f0.png`, `f1.png`, ... `f11.png`; masks of the frames in `radii`."""
    for kind in ("images", "masks"):
        (root / kind / name).mkdir()
    for i in range(n_frames):
        Image.fromarray(make.image(i)).save(root / "images" / name / f"f{i}.png")
    for frame, radius in (radii or {2: 5, 10: 9}).items():
        mask = make.labels(radius) if value == 1 else ((make.labels(radius) == 1) * value).astype(np.uint8)
        Image.fromarray(mask).save(root / "masks" / name / f"f{frame}.png")


def volume_case(root, make, name, radii=(0, 9, 7, 5), ending=".nii.gz"):
    make.nifti(root / "images" / f"{name}{ending}", np.stack([make.image(i) for i in range(len(radii))]))
    make.nifti(
        root / "masks" / f"{name}{ending}",
        np.stack([make.labels(radius) * bool(radius) for radius in radii]).astype(np.uint8),
    )


def case_of(dataset, name):
    return next(case for split in dataset.splits() for case in dataset.cases(split) if case.id == name)


def load(root, name, labels="edes"):
    dataset = open_dataset(root)
    return dataset.load(case_of(dataset, name), labels)


def test_folder_of_images_in_natural_order_with_masks_by_name(root, make):
    png_case(root, make, "a")
    cine = load(root, "a")
    np.testing.assert_array_equal(cine.frames, np.stack([make.image(i) for i in range(12)]))
    assert cine.instants == {Instant.ED: 10, Instant.ES: 2}
    np.testing.assert_array_equal(cine.masks[10], make.labels(9))
    assert cine.spacing is None


def test_only_ed_and_es_without_the_masks_between(root, make):
    png_case(root, make, "a", {1: 9, 4: 7, 6: 5, 8: 6})
    assert set(load(root, "a").masks) == {1, 6}
    assert set(load(root, "a", "all").masks) == {1, 4, 6, 8}


def test_255_is_the_lv(root, make):
    png_case(root, make, "a", value=255)
    np.testing.assert_array_equal(load(root, "a").masks[10], make.labels(9) == 1)


def test_other_values_are_refused_with_the_choice(root, make):
    png_case(root, make, "a", value=200)
    with pytest.raises(InputError, match=r"f2\.png: label 200; use 0\.\.3, or 0 and 255"):
        load(root, "a")


def test_mask_image_of_no_frame_is_refused(root, make):
    png_case(root, make, "a")
    Image.fromarray(make.labels(5)).save(root / "masks" / "a" / "g7.png")
    with pytest.raises(InputError, match=r"g7\.png: belongs to none of the 12 frames"):
        load(root, "a")


def test_masks_in_one_file_are_empty_where_nothing_was_labelled(root, make):
    volume_case(root, make, "a")
    cine = load(root, "a", "all")
    assert set(cine.masks) == {1, 2, 3}
    assert load(root, "a").instants == {Instant.ED: 1, Instant.ES: 3}
    assert cine.spacing.row_mm == pytest.approx(0.154)


def test_masks_of_a_cine_file_are_named_by_frame_number(root, make):
    volume_case(root, make, "a")
    (root / "masks" / "a.nii.gz").unlink()
    (root / "masks" / "a").mkdir()
    for frame, radius in ((0, 9), (3, 5)):
        Image.fromarray(make.labels(radius)).save(root / "masks" / "a" / f"{frame:03d}.png")
    assert load(root, "a").instants == {Instant.ED: 0, Instant.ES: 3}


def test_npz_images_with_masks_of_their_own_expose_only_ours(root, make):
    frames, noise = np.stack([make.image(i) for i in range(4)]), np.ones((4, 40, 30), np.uint8)
    np.savez(root / "images" / "a.npz", frames=frames, masks=noise, fps=30.0)
    np.savez(root / "masks" / "a.npz", masks=np.stack([make.labels(9), noise * 0, noise[0] * 0, make.labels(5)][0::3]))
    with pytest.raises(InputError, match=r"masks of \(2, 40, 30\) for frames of \(4, 40, 30\)"):
        load(root, "a")
    np.savez(root / "masks" / "a.npz", masks=np.stack([make.labels(9), *noise[:2] * 0, make.labels(5)]))
    cine = load(root, "a")
    assert set(cine.masks) == {0, 3}
    assert cine.fps == 30
    np.testing.assert_array_equal(cine.masks[0], make.labels(9))


def test_one_mask_is_left_out_and_counted(root, make):
    png_case(root, make, "a", {3: 9})
    png_case(root, make, "b")
    (root / "images" / "c").mkdir()
    dataset = open_dataset(root)
    assert dataset.dropped == {"fewer than two masks": ("a", "c")}


def test_table_decides(root, make):
    for name in ("a", "b"):
        png_case(root, make, name, {1: 9, 4: 7, 6: 5})
    (root / "cases.csv").write_text(
        "Case,Split,Patient,View,FPS,spacing_mm,quality,EF,EDV,ESV,ed_frame,es_frame\n"
        "a,test,p1,4CH,50,0.154x0.308,Good,60,100,40,4,1\n"
        "b,train,p2,A2C,,0.3,,,,,,\n"
        "c,train,p2,,,,,,,,,\n"
    )
    dataset = open_dataset(root)
    assert dataset.splits() == ("train", "test")
    assert dataset.dropped == {"in cases.csv, but not in images": ("c",)}
    (a,), (b,) = dataset.cases("test"), dataset.cases("train")
    assert (a.patient, a.view, a.quality, a.ef_percent, a.edv_ml, a.esv_ml) == ("p1", View.A4C, "Good", 60, 100, 40)
    cine = dataset.load(a)
    assert cine.instants == {Instant.ED: 4, Instant.ES: 1}
    assert (cine.fps, cine.spacing, cine.view) == (50, Spacing(0.154, 0.308), View.A4C)
    assert dataset.load(b).instants == {Instant.ED: 1, Instant.ES: 6}
    assert dataset.load(b).spacing == Spacing(0.3, 0.3)


def test_told_frame_without_a_mask_is_refused(root, make):
    png_case(root, make, "a")
    (root / "cases.csv").write_text("case,ed_frame\na,5\n")
    with pytest.raises(InputError, match="no mask for ED, frame 5"):
        load(root, "a")


def test_patient_in_two_splits_is_left_out(root, make):
    for name in ("a", "b"):
        png_case(root, make, name)
    (root / "cases.csv").write_text("case,split,patient\na,train,p\nb,test,p\n")
    dataset = open_dataset(root)
    assert dataset.splits() == ()
    assert dataset.dropped == {"no split, or two": ("a", "b")}


def test_without_a_table_both_views_of_a_patient_share_a_split(root, make):
    for number in range(10):
        for view in ("4CH", "2CH"):
            volume_case(root, make, f"p{number}_{view}")
    dataset = open_dataset(root)
    assert [len(dataset.cases(split)) for split in ("train", "val", "test")] == [16, 2, 2]
    assert len({(c.patient, c.split) for s in dataset.splits() for c in dataset.cases(s)}) == 10
    assert {c.view for c in dataset.cases("train")} == {View.A4C, View.A2C}


def test_fingerprint_sees_a_changed_table(root, make):
    png_case(root, make, "a")
    first = open_dataset(root).fingerprint()
    (root / "cases.csv").write_text("case,ef\na,50\n")
    second = open_dataset(root).fingerprint()
    (root / "cases.csv").write_text("case,ef\na,60\n")
    assert len({first, second, open_dataset(root).fingerprint()}) == 3


@pytest.mark.parametrize(
    ("text", "spacing"),
    [
        ("0.3", Spacing(0.3, 0.3)),
        ("0.154 x 0.308", Spacing(0.154, 0.308)),
        ("0.154X0.308", Spacing(0.154, 0.308)),
        ("", None),
        ("0", None),
        ("1x2x3", None),
        ("wide", None),
        ("0.3x", None),
    ],
)
def test_spacing_in_words(text, spacing):
    assert parse_spacing(text) == spacing
