"""A folder of stills becomes a folder of half sequences: read back bit for bit, marked, the same for any number of workers."""

import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from echoseg.cine import Cine, CineMeta, Instant, Spacing, Structure, View
from echoseg.datasets import open_dataset
from echoseg.errors import InputError, UsageError
from echoseg.simulator import ClipMotion, StillsCase, animate_cine, write_animated

SIDE = 64
SOURCE = {"layout": "camus", "fingerprint": "abc"}


def stills(seed: int, *, labelled: bool = True, bare: bool = False) -> Cine:
    """A cine of ED and ES: discs of ventricle, wall and atrium on noise."""
    rng = np.random.default_rng(seed)
    row, col = np.indices((SIDE, SIDE))
    frames, masks = [], []
    for radius in (14, 11):
        away = np.hypot(row - 26, col - 32)
        mask = np.select([(away < radius) & (row < 34), (away < radius + 5) & (row < 34)], [1, 2], 0)
        mask[34:46, 24:40] = 0 if bare else Structure.LA
        masks.append(mask.astype(np.uint8))
        frames.append(rng.integers(1, 200, (SIDE, SIDE), dtype=np.uint8))
    meta = CineMeta(f"stills {seed}", SIDE, SIDE, 2, spacing=Spacing(0.5, 0.5), view=View.A4C)
    given = dict(enumerate(masks)) if labelled else {0: masks[0]}
    return Cine(meta, np.stack(frames), given, {Instant.ED: 0, Instant.ES: 1})


def case(number: int, split: str = "train", *, patient: str | None = None, view: View = View.A4C, **kind) -> StillsCase:
    patient = patient or f"patient{number:04d}"
    info = {"ImageQuality": "Good", "EF": "52.5"}
    return StillsCase(f"{patient}_{view.value}", patient, view, split, partial(stills, number, **kind), info)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


CASES = [case(3), case(3, view=View.A2C), case(7, "val"), case(9, "test"), case(11, labelled=False)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("animated") / "out"
    seen = []
    counts = write_animated(root, CASES, SOURCE, fps=20.0, seed=4, progress=lambda *n: seen.append(n))
    assert counts == {"train": 2, "val": 1, "test": 1}
    assert seen[-1] == (5, 5)
    return root


def test_it_is_read_back_as_camus_with_the_stills_at_both_ends(folder):
    dataset = open_dataset(folder)
    assert dataset.name == "camus"
    assert {split: [c.id for c in dataset.cases(split)] for split in dataset.splits()} == {
        "train": ["patient0003_2CH", "patient0003_4CH"], "val": ["patient0007_4CH"], "test": ["patient0009_4CH"],
    }  # fmt: skip
    found = dataset.cases("val")[0]
    assert (found.quality, found.ef_percent) == ("Good", 52.5)
    cine, source = dataset.load(found, "all"), stills(7)
    assert cine.fps == 20.0
    assert cine.spacing == Spacing(0.5, 0.5)
    assert 6 <= len(cine) <= 9  # 0.25 to 0.39 s
    assert cine.instants == {Instant.ED: 0, Instant.ES: len(cine) - 1}
    np.testing.assert_array_equal(cine.frames[[0, -1]], source.frames)
    assert set(cine.masks) == set(range(len(cine)))
    np.testing.assert_array_equal(cine.masks[0], source.masks[0])
    np.testing.assert_array_equal(cine.masks[len(cine) - 1], source.masks[1])


def test_a_view_that_the_source_has_not_is_not_written(folder):
    names = [path.name for path in (folder / "database_nifti" / "patient0007").iterdir()]
    assert sorted(names) == [
        "Info_4CH.cfg",
        *(f"patient0007_4CH_{part}{suffix}.nii.gz" for part in ("ED", "ES", "half_sequence") for suffix in ("", "_gt")),
    ]


def test_the_marker_says_semi_synthetic_where_from_and_under_which_licence(folder):
    record = json.loads((folder / "simulation.json").read_text())
    assert (record["kind"], record["layout"], record["preset"]) == ("semi-synthetic", "camus", None)
    assert record["source"] == SOURCE
    assert "licence" in record["licence"]
    assert record["cases"]["patient0003_2CH"] == "patient0003_A2C"
    assert "Origin: semi-synthetic" in (folder / "database_nifti" / "patient0007" / "Info_4CH.cfg").read_text()


def test_cases_without_labels_are_left_out(folder):
    assert not (folder / "database_nifti" / "patient0011").exists()


def test_workers_do_not_change_a_byte_and_an_earlier_folder_is_replaced(folder, tmp_path):
    write_animated(tmp_path / "two", [case(1)], SOURCE)
    write_animated(tmp_path / "two", CASES, SOURCE, fps=20.0, seed=4, workers=2)
    assert contents(tmp_path / "two") == contents(folder)


def test_a_case_does_not_depend_on_the_others(folder, tmp_path):
    write_animated(tmp_path / "one", CASES[2:3], SOURCE, fps=20.0, seed=4)
    alone, all_ = contents(tmp_path / "one"), contents(folder)
    assert all(data == all_[name] for name, data in alone.items() if "patient0007/" in name)


def test_ejection_times_differ_from_case_to_case(folder):
    lengths = {
        len(open_dataset(folder).load(c))
        for split in ("train", "val", "test")
        for c in open_dataset(folder).cases(split)
    }
    assert len(lengths) > 1


@pytest.mark.parametrize(
    "cases", [[case(1, patient="0X12AB"), case(2)], [case(1), dataclasses.replace(case(2), patient="patient0001")]]
)
def test_other_names_become_numbers(tmp_path, cases):
    """CAMUS's readers know patientXXXX alone, and one cine of a patient's view."""
    write_animated(tmp_path, cases, SOURCE, fps=10.0)
    record = json.loads((tmp_path / "simulation.json").read_text())
    assert record["cases"] == {"patient0001_4CH": cases[0].id, "patient0002_4CH": cases[1].id}
    assert len(open_dataset(tmp_path).cases("train")) == 2


def test_what_cannot_be_animated_is_said(tmp_path):
    with pytest.raises(UsageError, match="0 cases"):
        write_animated(tmp_path / "a", [], SOURCE)
    with pytest.raises(InputError, match=r"patient0001_unknown: its view is not known; .*cases\.csv"):
        write_animated(tmp_path / "a", [case(1, view=View.UNKNOWN)], SOURCE)
    assert not (tmp_path / "a").exists()
    with pytest.raises(InputError, match="no case of the stills has both ED and ES labelled"):
        write_animated(tmp_path / "b", [case(1, labelled=False)], SOURCE)
    assert not (tmp_path / "b" / "database_split").exists()
    with pytest.raises(InputError, match="stills 5: ED and ES are not both labelled"):
        animate_cine(stills(5, labelled=False))


def test_real_data_is_never_overwritten(tmp_path):
    (tmp_path / "precious.nii.gz").write_bytes(b"1")
    with pytest.raises(InputError, match="not a simulated data set"):
        write_animated(tmp_path, [case(1)], SOURCE)


def test_frames_between_the_labelled_ones_do_not_count():
    cine = stills(1)
    longer = Cine(
        cine.meta,
        np.stack([cine.frames[1], 0 * cine.frames[0], cine.frames[0]]),
        {0: cine.masks[1], 2: cine.masks[0]},
        {Instant.ED: 2, Instant.ES: 0},
    )
    motion = ClipMotion(n_frames=4)
    np.testing.assert_array_equal(animate_cine(longer, motion).frames, animate_cine(cine, motion).frames)
