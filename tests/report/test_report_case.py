"""The folder of a case: all formats, whole or not at all."""

import csv
import json
import os
from gzip import GzipFile
from pathlib import Path

import av
import nibabel
import numpy as np
import pytest

from echoseg.cine import Spacing
from echoseg.errors import InputError, OutputError, UsageError
from echoseg.io import open_cine, read_masks, write_npz_cine
from echoseg.report import FORMATS, read_result, write_case

FILES = {"result.json", "masks.nii.gz", "curve.csv", "overlay.mp4", "report.html"}


def files_of(folder):
    return {p.name for p in folder.iterdir()}


def test_every_format_is_written(make, tmp_path):
    cine, segmentation, indices = make.case()
    document = write_case(tmp_path / "a", segmentation, indices, cine, licence="CC0")
    assert files_of(tmp_path / "a") == FILES
    assert files_of(tmp_path) == {"a"}
    assert json.loads((tmp_path / "a/result.json").read_text()) == document
    assert read_result(tmp_path / "a") == document


@pytest.mark.parametrize(
    ("formats", "files"),
    [
        (set(), set()),
        ({"nifti"}, {"masks.nii.gz"}),
        ({"csv", "html"}, {"curve.csv", "report.html"}),
        ({"mp4"}, {"overlay.mp4"}),
    ],
)
def test_only_what_was_asked_for(make, tmp_path, formats, files):
    cine, segmentation, indices = make.case()
    write_case(tmp_path / "a", segmentation, indices, cine, frozenset(formats))
    assert files_of(tmp_path / "a") == files | {"result.json"}


def test_a_stream_gives_the_same_files_as_a_cine_in_memory(make, tmp_path):
    cine, segmentation, indices = make.case(n_frames=12)
    write_npz_cine(tmp_path / "c.npz", cine)
    write_case(tmp_path / "memory", segmentation, indices, cine)
    with open_cine(tmp_path / "c.npz") as stream:
        write_case(tmp_path / "stream", segmentation, indices, stream)
    for name in FILES - {"report.html"}:
        assert (tmp_path / "memory" / name).read_bytes() == (tmp_path / "stream" / name).read_bytes(), name


def test_masks_come_back_at_native_size_with_spacing(make, tmp_path):
    cine, segmentation, indices = make.case(shape=(90, 140), spacing=Spacing(0.5, 0.7))
    write_case(tmp_path / "a", segmentation, indices, cine, frozenset({"nifti"}))
    meta, masks = read_masks(tmp_path / "a/masks.nii.gz")
    np.testing.assert_array_equal(masks.to_array(), segmentation.masks.to_array())
    assert (meta.spacing.row_mm, meta.spacing.col_mm) == pytest.approx((0.5, 0.7))
    assert meta.fps == pytest.approx(25.0)
    image = nibabel.load(tmp_path / "a/masks.nii.gz")
    assert image.shape == (140, 90, 40), "stored [x, y, t] as CAMUS does"
    assert set(np.unique(np.asarray(image.dataobj))) == {0, 1, 2, 3}


def test_result_holds_what_was_measured(make, tmp_path):
    cine, segmentation, indices = make.case(warnings=("stale calibration; give --spacing-mm",))
    document = write_case(tmp_path / "a", segmentation, indices, cine, frozenset())
    summary = indices.summary
    assert document["schema"] == 1
    assert (document["source"], document["model"], document["view"]) == ("made.avi", "tiny 1.0", "A4C")
    assert document["units"] == {"area": "mm2", "length": "mm", "volume": "mL", "time": "s"}
    assert document["spacing_mm"] == {"row": 0.8, "col": 0.8}
    assert document["ef_percent"] == pytest.approx(summary.ef_percent, abs=1e-3)
    assert document["edv"] == pytest.approx(summary.edv, abs=1e-3)
    assert document["ef_range"] == pytest.approx(list(summary.ef_range), abs=1e-3)
    assert document["heart_rate_bpm"] == pytest.approx(25 / 18 * 60, rel=0.02)
    assert document["warnings"].count("stale calibration; give --spacing-mm") == 1
    assert [b["complete"] for b in document["beats"]] == [b.complete for b in indices.beats]
    assert all(b["ef_percent"] > 0 for b in document["beats"])
    assert document["quality"]["flag"] in {"pass", "review", "fail"}
    assert [f["frame"] for f in document["frames"]] == list(range(40))
    assert document["frames"][5]["time_s"] == 0.2
    assert document["frames"][5]["volume"] == pytest.approx(indices.curve.values[5], abs=1e-3)
    assert document["frames"][5]["confidence"] == pytest.approx(segmentation.confidence[5], abs=1e-3)


def test_nan_is_never_written(make, tmp_path):
    cine, segmentation, indices = make.case(empty=range(4, 7), confident=False)
    write_case(tmp_path / "a", segmentation, indices, cine)
    text = (tmp_path / "a/result.json").read_text()

    def refuse(constant):
        raise AssertionError(constant)

    frames = json.loads(text, parse_constant=refuse)["frames"]
    assert frames[5] == {
        "frame": 5,
        "time_s": 0.2,
        "area": 0.0,
        "length": None,
        "volume": None,
        "confidence": None,
    }
    rows = list(csv.DictReader((tmp_path / "a/curve.csv").read_text().splitlines()))
    assert (rows[5]["volume_mL"], rows[5]["confidence"]) == ("", "")
    assert float(rows[8]["volume_mL"]) == pytest.approx(indices.curve.values[8], abs=1e-3)


def test_without_spacing_nothing_is_in_millilitres(make, tmp_path):
    cine, segmentation, indices = make.case(spacing=None, fps=None)
    document = write_case(tmp_path / "a", segmentation, indices, cine)
    assert document["unit"] == "px3"
    assert document["units"] == {"area": "px2", "length": "px", "volume": "px3", "time": "s"}
    assert document["spacing_mm"] is None
    assert document["ef_percent"] > 0
    assert document["frames"][0]["time_s"] is None
    header = (tmp_path / "a/curve.csv").read_text().splitlines()[0]
    assert header == "frame,time_s,area_px2,length_px,volume_px3,confidence"
    assert read_masks(tmp_path / "a/masks.nii.gz")[0].spacing is None


@pytest.mark.parametrize("n_frames", [1, 2])
@pytest.mark.parametrize("spacing", [None, Spacing(0.8, 0.8)])
def test_stills_and_single_frames(make, tmp_path, n_frames, spacing):
    cine, segmentation, indices = make.case(n_frames=n_frames, fps=None, spacing=spacing)
    document = write_case(tmp_path / "a", segmentation, indices, cine)
    assert files_of(tmp_path / "a") == FILES
    assert len(document["frames"]) == n_frames
    assert document["heart_rate_bpm"] is None


def test_nothing_found_at_all(make, tmp_path):
    cine, segmentation, indices = make.case(n_frames=6, empty=range(6))
    document = write_case(tmp_path / "a", segmentation, indices, cine)
    assert files_of(tmp_path / "a") == FILES
    assert (document["ef_percent"], document["beats"]) == (None, [])
    assert document["quality"]["flag"] == "fail"


def test_unknown_formats_are_refused_before_anything_is_written(make, tmp_path):
    cine, segmentation, indices = make.case(n_frames=2)
    with pytest.raises(UsageError, match=f"'gif': unknown; choose among {', '.join(sorted(FORMATS))}"):
        write_case(tmp_path / "a", segmentation, indices, cine, frozenset({"gif"}))
    assert files_of(tmp_path) == set()


class Breaking:
    """A cine whose file breaks in the middle."""

    def __init__(self, cine, after):
        self.meta, self._cine, self._after = cine.meta, cine, after

    def __iter__(self):
        for number, frame in enumerate(self._cine):
            if number == self._after:
                raise InputError("made.avi: truncated; copy it again")
            yield frame


def test_a_failure_half_way_leaves_nothing(make, tmp_path):
    cine, segmentation, indices = make.case()
    with pytest.raises(InputError, match="truncated"):
        write_case(tmp_path / "a", segmentation, indices, Breaking(cine, 10))
    assert files_of(tmp_path) == set()


def test_a_failure_keeps_the_earlier_result(make, tmp_path):
    cine, segmentation, indices = make.case()
    write_case(tmp_path / "a", segmentation, indices, cine, frozenset({"csv"}))
    before = (tmp_path / "a/result.json").read_bytes()
    with pytest.raises(InputError):
        write_case(tmp_path / "a", segmentation, indices, Breaking(cine, 10))
    with pytest.raises(KeyboardInterrupt):
        write_case(tmp_path / "a", segmentation, indices, cine, extras={"seg.dcm": interrupt})
    assert files_of(tmp_path) == {"a"}
    assert (tmp_path / "a/result.json").read_bytes() == before


def interrupt(path):
    path.write_bytes(b"half")
    raise KeyboardInterrupt


def test_a_kill_leaves_no_result_folder(make, tmp_path):
    """Even a process that dies without cleaning up leaves nothing under the name of the case."""
    cine, segmentation, indices = make.case(n_frames=2)
    child = os.fork()
    if child == 0:
        write_case(tmp_path / "a", segmentation, indices, cine, frozenset({"csv"}), extras={"x": lambda _: os._exit(9)})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 9
    assert not (tmp_path / "a").exists()
    assert all(name.startswith(".a.") for name in files_of(tmp_path))


def test_an_earlier_result_is_replaced_as_a_whole(make, tmp_path):
    cine, segmentation, indices = make.case()
    write_case(tmp_path / "a", segmentation, indices, cine)
    write_case(tmp_path / "a", segmentation, indices, cine, frozenset({"csv"}))
    assert files_of(tmp_path / "a") == {"result.json", "curve.csv"}
    assert files_of(tmp_path) == {"a"}


def test_a_failing_rename_puts_the_earlier_result_back(make, tmp_path, monkeypatch):
    cine, segmentation, indices = make.case(n_frames=2)
    write_case(tmp_path / "a", segmentation, indices, cine, frozenset({"csv"}))
    rename = Path.rename

    def broken(self, target):
        if self.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(OutputError, match=r"a: cannot be written \(No space left on device\); free space"):
        write_case(tmp_path / "a", segmentation, indices, cine, frozenset())
    assert files_of(tmp_path / "a") == {"result.json", "curve.csv"}
    assert files_of(tmp_path) == {"a"}


@pytest.mark.parametrize("format_", ["csv", "nifti", "html", "mp4"])
def test_a_full_disk_is_no_fault_of_the_input_and_leaves_nothing(make, tmp_path, monkeypatch, format_):
    """The exit code of OutputError is 1, that of InputError 3; the message names no hidden folder."""

    def full(path, *args, **kwargs):
        path.touch()
        raise OSError(28, "No space left on device")

    cine, segmentation, indices = make.case(n_frames=2)
    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(GzipFile, "write", lambda self, data: full(Path(self.fileobj.name)))
    monkeypatch.setattr(av, "open", lambda path, *args, **kwargs: full(Path(path)))
    with pytest.raises(OutputError, match=rf"^{tmp_path}/a[:/].*cannot be written .*No space left on device"):
        write_case(tmp_path / "a", segmentation, indices, cine, frozenset({format_}))
    assert files_of(tmp_path) == set()


def test_a_folder_that_cannot_be_looked_into_is_no_bug(make, tmp_path, monkeypatch):
    cine, segmentation, indices = make.case(n_frames=2)

    def locked(self):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a").mkdir()
    monkeypatch.setattr(Path, "iterdir", locked)
    with pytest.raises(OutputError, match=r"a: cannot be written \(Permission denied\); free space or choose another"):
        write_case(tmp_path / "a", segmentation, indices, cine, frozenset())


def test_a_folder_of_other_files_is_left_alone(make, tmp_path):
    cine, segmentation, indices = make.case(n_frames=2)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="holds files that are no result"):
        write_case(tmp_path / "data", segmentation, indices, cine)
    with pytest.raises(InputError, match="is a file"):
        write_case(tmp_path / "data/thesis.txt", segmentation, indices, cine)
    assert (tmp_path / "data/thesis.txt").read_text() == "precious"


def test_extras_are_part_of_the_whole(make, tmp_path):
    cine, segmentation, indices = make.case(n_frames=2)
    write_case(
        tmp_path / "a",
        segmentation,
        indices,
        cine,
        frozenset(),
        extras={"seg.dcm": lambda path: path.write_bytes(b"x")},
    )
    assert files_of(tmp_path / "a") == {"result.json", "seg.dcm"}


def test_the_wrong_cine_is_noticed(make, tmp_path):
    _, segmentation, indices = make.case(n_frames=20)
    short, *_ = make.case(n_frames=3)
    with pytest.raises(InputError, match="give the cine that was segmented"):
        write_case(tmp_path / "a", segmentation, indices, short, frozenset({"html"}))
    with pytest.raises(InputError, match="give the cine that was segmented"):
        write_case(tmp_path / "a", segmentation, indices, short, frozenset({"mp4"}))


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 7}'])
def test_a_damaged_result_is_said(tmp_path, text):
    assert read_result(tmp_path) is None
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(InputError, match="delete the folder and run again"):
        read_result(tmp_path)
