"""Data sets on disk: read back by the readers, equal for any number of workers, never half listed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from echoseg.cine import Structure, View
from echoseg.errors import InputError, UsageError
from echoseg.io import read_cine, read_nifti
from echoseg.simulator import ClipOptions, simulate, write_camus, write_echonet
from echoseg.simulator.folder import case_seed
from echoseg.simulator.geometry import fill_polygon
from echoseg.simulator.parallel import in_order
from echoseg.simulator.simulated import CLEAR_FROM

CLIP = ClipOptions(fps=25.0, duration_s=1.3)
COUNTS = {"TRAIN": 2, "VAL": 1, "TEST": 1}
CAMUS_COUNTS = {"training": 2, "validation": 1, "testing": 1}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def echonet(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("echonet")
    write_echonet(root, COUNTS, seed=3, preset="easy", clip=CLIP)
    return root


@pytest.fixture(scope="module")
def camus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("camus")
    write_camus(root, CAMUS_COUNTS, seed=1, preset="easy", fps=10.0)
    return root


def _echonet_cine(number: int = 0, split: int = 0):
    return simulate(case_seed(3, split, number), preset="easy", fps=25.0, duration_s=1.3)


def test_echonet_file_list(echonet):
    rows = _rows(echonet / "FileList.csv")
    assert list(rows[0]) == [
        "FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split"
    ]  # fmt: skip
    assert [row["Split"] for row in rows] == ["TRAIN", "TRAIN", "VAL", "TEST"]
    assert all(row["FileName"].startswith("0X") and "." not in row["FileName"] for row in rows)
    cine = _echonet_cine()
    assert float(rows[0]["EDV"]) == pytest.approx(cine.edv_ml, abs=1e-3)
    assert float(rows[0]["EF"]) == pytest.approx(cine.ef_percent, abs=1e-3)
    assert (rows[0]["FPS"], rows[0]["NumberOfFrames"]) == ("25", str(len(cine.frames)))


def test_echonet_videos_are_read_back(echonet):
    row = _rows(echonet / "FileList.csv")[0]
    video = read_cine(echonet / "Videos" / f"{row['FileName']}.avi")
    cine = _echonet_cine()
    assert video.frames.shape == cine.frames.shape == (33, 112, 112)
    assert video.fps == pytest.approx(25)
    error = np.abs(video.frames.astype(int) - cine.frames)
    assert error.mean() < 4  # JPEG loses a little


def test_echonet_evaluation_masks_hold_every_frame(echonet):
    for row in _rows(echonet / "FileList.csv"):
        with np.load(echonet / "EvaluationMasks" / f"{row['FileName']}.npz") as stored:
            masks, volume_ml, visibility = stored["masks"], stored["volume_ml"], stored["visibility"]
            assert float(stored["clear_from"]) == CLEAR_FROM
        assert masks.shape == (int(row["NumberOfFrames"]), 112, 112)
        assert masks.dtype == np.uint8 and masks.max() == 1
        assert len(volume_ml) == len(visibility) == len(masks)
        assert visibility.min() >= 0 and visibility.max() <= 1
        assert float(row["EDV"]) <= volume_ml.max() + 1e-3


def _reference_mask(rows: list[dict[str, str]]) -> np.ndarray:
    """As the users of EchoNet-Dynamic draw it: the long axis left out, one side down, the other side up."""
    sides = np.array([[float(row[key]) for key in ("Y1", "X1", "Y2", "X2")] for row in rows[1:]])
    polygon = np.concatenate([sides[:, :2], sides[::-1, 2:]])
    return fill_polygon(np.rint(polygon), (112, 112))


def test_echonet_tracings_are_an_axis_and_twenty_diameters_of_ed_and_es(echonet):
    tracings = _rows(echonet / "VolumeTracings.csv")
    assert list(tracings[0]) == ["FileName", "X1", "Y1", "X2", "Y2", "Frame"]
    for row in _rows(echonet / "FileList.csv"):
        mine = [t for t in tracings if t["FileName"] == f"{row['FileName']}.avi"]
        frames = [int(t["Frame"]) for t in mine]
        assert frames == sorted(frames) and len(set(frames)) == 2 and len(mine) == 42
        with np.load(echonet / "EvaluationMasks" / f"{row['FileName']}.npz") as stored:
            masks, volume_ml = stored["masks"], stored["volume_ml"]
        for frame, traced in ((frames[0], mine[:21]), (frames[-1], mine[21:])):
            drawn, true = _reference_mask(traced), masks[frame].astype(bool)
            assert 2 * (drawn & true).sum() / (drawn.sum() + true.sum()) > 0.95
        volumes = sorted(volume_ml[[frames[0], frames[-1]]])
        np.testing.assert_allclose(volumes, [float(row["ESV"]), float(row["EDV"])], atol=1e-3)


@pytest.mark.parametrize(("write", "counts"), [(write_echonet, COUNTS), (write_camus, CAMUS_COUNTS)])
def test_no_worker_is_refused_before_an_earlier_folder_is_emptied(tmp_path, write, counts):
    (tmp_path / "simulation.json").write_text("{}")
    (tmp_path / "old.txt").write_text("kept")
    with pytest.raises(UsageError, match="0 workers"):
        write(tmp_path, counts, workers=0)
    assert (tmp_path / "old.txt").read_text() == "kept"


def test_workers_do_not_change_a_byte(tmp_path, echonet):
    seen = []
    write_echonet(
        tmp_path / "two", COUNTS, seed=3, preset="easy", workers=2, clip=CLIP, progress=lambda *n: seen.append(n)
    )
    assert _contents(tmp_path / "two") == _contents(echonet)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_more_training_cines_leave_the_test_cines_as_they_are(tmp_path):
    clip = ClipOptions(fps=10.0, duration_s=0.2)
    write_echonet(tmp_path / "few", {"TRAIN": 1, "TEST": 1}, clip=clip)
    write_echonet(tmp_path / "more", {"TRAIN": 2, "TEST": 1}, clip=clip)
    few, more = _contents(tmp_path / "few"), _contents(tmp_path / "more")
    assert all(more[name] == data for name, data in few.items() if name.startswith(("Videos", "Evaluation")))


def test_a_stopped_run_lists_nothing_and_can_be_repeated(tmp_path, monkeypatch):
    clip = ClipOptions(fps=10.0, duration_s=0.2)
    write_echonet(tmp_path, {"TRAIN": 3}, seed=1, clip=clip)
    complete = _contents(tmp_path)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_echonet(tmp_path, {"TRAIN": 3}, seed=2, clip=clip, progress=stop)
    assert not list(tmp_path.glob("*.csv"))
    assert not list(tmp_path.rglob(".*"))
    write_echonet(tmp_path, {"TRAIN": 3}, seed=1, clip=clip)
    assert _contents(tmp_path) == complete


def test_a_failing_case_is_named_and_its_error_reaches_the_caller():
    for workers in (1, 2):
        with pytest.raises(ZeroDivisionError) as caught:
            list(in_order(_divide, [1, 0], workers))
        assert any("0" in note for note in caught.value.__notes__)


def _divide(number: int) -> float:
    return 1 / number


def test_real_data_is_never_overwritten(tmp_path):
    (tmp_path / "FileList.csv").write_text("FileName\n")
    with pytest.raises(InputError, match="not a simulated data set"):
        write_echonet(tmp_path, {"TRAIN": 1})
    with pytest.raises(InputError, match="not a simulated data set"):
        write_camus(tmp_path, {"training": 1})
    assert (tmp_path / "FileList.csv").read_text() == "FileName\n"


@pytest.mark.parametrize("counts", [{"train": 1}, {"TRAIN": -1}, {"TRAIN": 0}, {}])
def test_wrong_counts_are_refused(tmp_path, counts):
    with pytest.raises(UsageError):
        write_echonet(tmp_path / "new", counts)
    assert not (tmp_path / "new").exists()


def test_simulation_json_says_how_it_was_made(echonet):
    record = json.loads((echonet / "simulation.json").read_text())
    assert (record["layout"], record["seed"], record["preset"]["name"]) == ("echonet", 3, "easy")
    assert record["cines"] == COUNTS and record["fps"] == 25.0
    assert [case["split"] for case in record["cases"]] == ["TRAIN", "TRAIN", "VAL", "TEST"]


def _info(path: Path) -> dict[str, str]:
    return dict(line.split(": ") for line in path.read_text().splitlines())


def test_camus_files_are_read_back_to_the_same_pixels_and_labels(camus):
    folder = camus / "database_nifti" / "patient0002"
    for view, tag in ((View.A2C, "2CH"), (View.A4C, "4CH")):
        cine = simulate(case_seed(1, 2), preset="easy", view=view, layout="camus", fps=10.0, span="half_beat")
        stem = folder / f"patient0002_{tag}"
        frames, spacing, fps = read_nifti(f"{stem}_half_sequence.nii.gz")
        np.testing.assert_array_equal(frames, cine.frames)
        np.testing.assert_array_equal(read_nifti(f"{stem}_half_sequence_gt.nii.gz")[0], cine.labels)
        assert (spacing.row_mm, spacing.col_mm) == pytest.approx((0.154, 0.308))
        assert fps == pytest.approx(10)
        info = _info(folder / f"Info_{tag}.cfg")
        for instant in ("ED", "ES"):
            number = int(info[instant]) - 1
            np.testing.assert_array_equal(read_nifti(f"{stem}_{instant}.nii.gz")[0], frames[number : number + 1])
            still = read_nifti(f"{stem}_{instant}_gt.nii.gz")[0]
            np.testing.assert_array_equal(still, cine.labels[number : number + 1])
            assert set(np.unique(still)) == {*Structure}
        assert int(info["NbFrame"]) == len(frames)
        assert float(info["EF"]) == pytest.approx(cine.ef_percent, abs=0.01)
        volumes = [float(info[key]) for key in ("LVedv", "LVesv")]
        assert volumes == pytest.approx([cine.edv_ml, cine.esv_ml], abs=0.01)
        assert info["Sex"] in "FM" and info["ImageQuality"] in ("Good", "Medium", "Poor")


def test_some_camus_half_sequences_run_from_es_to_ed(camus):
    infos = [_info(path) for path in sorted(camus.rglob("Info_*.cfg"))]
    backwards = [int(info["ED"]) > int(info["ES"]) for info in infos]
    assert any(backwards) and not all(backwards)
    assert all(min(int(info["ED"]), int(info["ES"])) == 1 for info in infos)


def test_camus_split_lists_every_patient_once(camus):
    listed = {
        part: (camus / "database_split" / f"subgroup_{part}.txt").read_text().split()
        for part in ("training", "validation", "testing")
    }
    assert listed == {
        "training": ["patient0001", "patient0002"], "validation": ["patient0003"], "testing": ["patient0004"]
    }  # fmt: skip
    assert sorted(path.name for path in (camus / "database_nifti").iterdir()) == sorted(
        name for names in listed.values() for name in names
    )
