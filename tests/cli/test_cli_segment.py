"""`echoseg segment` from end to end."""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pydicom.examples
import pytest
from tests.cli.conftest import N_FRAMES, frames, write_avi, write_calibrated
from tests.engine.conftest import Tiny
from tests.io.sample_files import write_images

from echoseg.cli import batch, main, segment
from echoseg.errors import OutputError
from echoseg.report import case

ALL_FILES = {"result.json", "masks.nii.gz", "curve.csv", "overlay.mp4", "report.html"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_cine_with_defaults(echoseg, cine, model, tmp_path):
    out = tmp_path / "out"
    answer = echoseg("segment", cine, "-o", out, "--model", model)
    assert answer.code == 0
    assert names(out) == {"heart", "summary.csv", "run.json"}
    assert names(out / "heart") == ALL_FILES
    result = json.loads((out / "heart" / "result.json").read_text())
    assert (result["model"], result["licence"], result["unit"]) == ("tiny 1.0", "CC0 of the tests", "px3")
    assert len(result["frames"]) == N_FRAMES
    for word in ("heart", f"{result['ef_percent']:.0f} %", "px³", str(out / "heart" / "report.html"), "summary.csv"):
        assert word in answer.out
    assert answer.err == (
        "echoseg: warning: heart: pixel size unknown, so volumes are in cubic pixels; give the pixel size with --spacing-mm\n"
    )


def test_shipped_model_is_the_default(echoseg, cine, tmp_path):
    assert segment.SegmentOptions.model == "a4c"
    answer = echoseg("segment", cine, "-o", tmp_path / "out")
    assert answer.code in (0, 4)  # 4 where no model ships yet
    assert answer.code == 0 or "a4c" in answer.err


def test_spacing_and_frame_rate_of_the_user(echoseg, cine, model, tmp_path):
    words = ("segment", cine, "-o", tmp_path / "out", "--model", model, "--formats", "csv")
    assert echoseg(*words, "--spacing-mm", "1.5,1.2", "--fps", "30").err == ""
    result = json.loads((tmp_path / "out" / "heart" / "result.json").read_text())
    assert (result["spacing_mm"], result["fps"], result["unit"]) == ({"row": 1.5, "col": 1.2}, 30.0, "mL")
    assert names(tmp_path / "out" / "heart") == {"result.json", "curve.csv"}


def test_good_and_broken_cines(echoseg, study, model, tmp_path):
    out = tmp_path / "out"
    answer = echoseg("segment", study, "-o", out, "--model", model, "--formats", "csv,html")
    assert answer.code == 5
    assert names(out) == {f"clip{i}" for i in range(5)} | {"summary.csv", "run.json", "cohort.html"}
    assert all(f"clip{i}/report.html" in (out / "cohort.html").read_text() for i in range(5))
    table = {row["case"]: row for row in rows(out)}
    assert {name for name, row in table.items() if row["status"] == "failed"} == {"cut", "empty"}
    assert "empty.dcm" in table["empty"]["error"]
    assert (table["clip0"]["volume_unit"], table["clip3"]["volume_unit"]) == ("px3", "mL")
    run = json.loads((out / "run.json").read_text())
    assert run["counts"] == {"done": 5, "failed": 2}
    assert run["call"][:2] == ["echoseg", "segment"]
    assert run["model"] == "tiny 1.0"
    for word in (str(study / "cut.avi"), str(study / "day2" / "empty.dcm"), "2 of 7 cases failed", "notes.txt"):
        assert word in answer.err
    assert answer.err.count("pixel size unknown") == 1, "a warning about many cases is one line"
    assert "3 cases (clip0, clip1, clip2): pixel size unknown" in answer.err


def test_all_bad_gives_the_code_of_the_first(echoseg, study, model, tmp_path):
    bad = (study / "cut.avi", study / "day2" / "empty.dcm", study / "nowhere.avi")
    answer = echoseg("segment", *bad, "-o", tmp_path / "out", "--model", model)
    assert (answer.code, answer.out) == (3, "")
    assert all(str(path) in answer.err for path in bad)
    assert names(tmp_path / "out") == {"summary.csv", "run.json"}


def test_json_is_one_line_and_nothing_else(echoseg, study, model, tmp_path):
    answer = echoseg("segment", study, "-o", tmp_path / "out", "--model", model, "--formats", "csv", "--json")
    assert answer.code == 5
    assert answer.out.count("\n") == 1
    document = json.loads(answer.out)
    assert document["counts"] == {"done": 5, "failed": 2}
    assert document["ignored"] == 1
    cases = {case["case"]: case for case in document["cases"]}
    assert cases["clip3"]["unit"] == "mL"
    assert 0 < cases["clip3"]["ef_percent"] < 100
    assert cases["clip3"]["quality"]["flag"] in ("pass", "review", "fail")
    assert "empty" in cases["empty"]["error"]


def test_skip_existing_loads_no_model(echoseg, cine, model, tmp_path, monkeypatch):
    words = ("segment", cine, "-o", tmp_path / "out", "--formats", "csv", "--json", "--skip-existing")
    first = echoseg(*words, "--model", model)
    written = (tmp_path / "out" / "heart" / "result.json").stat().st_mtime_ns
    monkeypatch.setattr(segment, "load_segmenter", lambda *args: pytest.fail("the model was loaded"))
    again = echoseg(*words, "--model", "no such model")
    assert again.code == 0
    assert (tmp_path / "out" / "heart" / "result.json").stat().st_mtime_ns == written
    (before,), (after,) = json.loads(first.out)["cases"], json.loads(again.out)["cases"]
    assert (before["status"], after["status"]) == ("done", "skipped")
    assert after["ef_percent"] == before["ef_percent"]
    assert rows(tmp_path / "out")[0]["ef_percent"], "the summary still holds the numbers of skipped cases"


def test_skip_existing_makes_what_is_missing_or_damaged(echoseg, study, model, tmp_path):
    out, words = tmp_path / "out", ("--model", model, "--formats", "csv", "--skip-existing", "--json")
    echoseg("segment", study / "clip0.avi", study / "clip1.avi", "-o", out, *words)
    (out / "clip1" / "result.json").write_text('{"schema": 1')
    answer = echoseg("segment", study / "clip0.avi", study / "clip1.avi", study / "clip2.avi", "-o", out, *words)
    assert [case["status"] for case in json.loads(answer.out)["cases"]] == ["skipped", "done", "done"]


def test_skip_existing_says_where_another_model_was_at_work(echoseg, study, model, tmp_path):
    out = tmp_path / "out"
    echoseg("segment", study / "clip0.avi", "-o", out, "--model", model, "--formats", "csv")
    other = Tiny.folder(tmp_path / "models", "frame", name="other")
    both = (study / "clip0.avi", study / "clip1.avi")
    answer = echoseg("segment", *both, "-o", out, "--model", other, "--formats", "csv", "--skip-existing")
    assert "clip0: kept, but made by another model than other 1.0" in answer.err


@pytest.mark.parametrize("more", [[], ["--skip-existing"]])
def test_the_result_of_another_file_of_that_name_is_neither_taken_nor_replaced(echoseg, model, tmp_path, more):
    first, second = write_avi(tmp_path / "p1" / "cine.avi", 1), write_avi(tmp_path / "p2" / "cine.avi", 2)
    words = ("-o", tmp_path / "out", "--model", model, "--formats", "csv", *more)
    assert echoseg("segment", first, *words).code == 0
    before = (tmp_path / "out" / "cine" / "result.json").read_bytes()
    answer = echoseg("segment", second, *words)
    assert answer.code == 3
    assert f"holds the result of {first}; choose another folder" in answer.err
    assert (tmp_path / "out" / "cine" / "result.json").read_bytes() == before
    first.unlink()
    assert echoseg("segment", second, *words).code == 0
    result = json.loads((tmp_path / "out" / "cine" / "result.json").read_text())
    assert result["source"] == str(second), "made anew, whatever lay there"


def test_files_are_told_apart_by_their_full_path(echoseg, model, tmp_path, monkeypatch):
    for folder in ("p1", "p2"):
        write_avi(tmp_path / folder / "cine.avi")
    words = ("segment", "cine.avi", "-o", tmp_path / "out", "--model", model, "--formats", "csv", "--skip-existing")
    monkeypatch.chdir(tmp_path / "p1")
    assert [echoseg(*words).code, "1 skipped" in echoseg(*words).out] == [0, True]
    monkeypatch.chdir(tmp_path / "p2")
    assert echoseg(*words).code == 3


def test_shards_are_disjoint_complete_and_leave_each_other_alone(echoseg, study, model, tmp_path):
    out = tmp_path / "out"
    seen: list[str] = []
    for share in ("1/3", "2/3", "3/3"):
        words = ("segment", study, "-o", out, "--model", model, "--formats", "csv", "--json", "--shard", share)
        document = json.loads(echoseg(*words).out)
        assert document["shard"] == share
        seen += [case["case"] for case in document["cases"]]
    assert sorted(seen) == ["clip0", "clip1", "clip2", "clip3", "clip4", "cut", "empty"]
    assert {f"shard-{i}-of-3" for i in (1, 2, 3)} < names(out)
    assert names(out / "shard-1-of-3") == {"summary.csv", "run.json"}


def test_folder_of_images_and_equal_names(echoseg, model, tmp_path):
    write_avi(tmp_path / "p1" / "cine.avi", 1)
    write_avi(tmp_path / "p2" / "cine.avi", 2)
    write_images(tmp_path / "stack", frames()[:3])
    inputs = (tmp_path / "p1", tmp_path / "p2", tmp_path / "stack")
    answer = echoseg("segment", *inputs, "-o", tmp_path / "out", "--model", model, "--formats", "csv")
    assert answer.code == 0
    assert names(tmp_path / "out") == {"p1-cine", "p2-cine", "stack", "summary.csv", "run.json"}


def test_model_errors_come_before_anything_is_written(echoseg, cine, model, tmp_path):
    out = tmp_path / "out"
    answer = echoseg("segment", cine, "-o", out, "--model", "nothing")
    assert answer.code == 4
    assert "'nothing'" in answer.err
    damaged = Tiny.folder(tmp_path / "models", "frame")
    (damaged / "model.onnx").write_bytes(b"x")
    answer = echoseg("segment", cine, "-o", out, "--model", damaged)
    assert answer.code == 4
    assert "sha256" in answer.err
    assert not out.exists()


def test_model_inside_a_training_run(echoseg, cine, model, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    model.rename(run / "model")
    try:
        answer = echoseg("segment", cine, "-o", tmp_path / "out", "--model", run, "--formats", "csv")
    finally:
        (run / "model").rename(model)
    assert answer.code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--spacing-mm", "wide"], "--spacing-mm wide"),
        (["--fps", "0"], "--fps 0"),
        (["--formats", "dicom-sr"], "'dicom-sr' is unknown; write sr"),
        (["--formats", "gif"], "'gif' is unknown"),
        (["--shard", "3/2"], "--shard 3/2"),
        (["--threads", "0"], "threads=0"),
        (["--sped", "1"], "Unrecognized"),
    ],
)
def test_usage_errors(echoseg, cine, model, tmp_path, words, message):
    answer = echoseg("segment", cine, "-o", tmp_path / "out", "--model", model, *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert not (tmp_path / "out").exists()


def test_output_folder_that_cannot_be(echoseg, cine, model, tmp_path):
    (tmp_path / "file").touch()
    answer = echoseg("segment", cine, "-o", tmp_path / "file", "--model", model)
    assert answer.code == 1
    assert "choose another folder with -o" in answer.err


def test_a_folder_of_somebody_else_is_not_overwritten(echoseg, model, tmp_path):
    images = write_images(tmp_path / "stack", frames()[:3])
    before = names(images)
    answer = echoseg("segment", images, "-o", tmp_path, "--model", model)
    assert answer.code == 3
    assert names(images) == before


def test_a_bug_in_one_case_does_not_cost_the_others(capsys, study, model, tmp_path, monkeypatch):
    measured = segment.measure_cine

    def measure(segmentation, **known):
        if "clip1" in segmentation.meta.source:
            raise ZeroDivisionError("unheard of")
        return measured(segmentation, **known)

    monkeypatch.setattr(segment, "measure_cine", measure)
    words = ["segment", str(study), "-o", str(tmp_path / "out"), "--model", str(model), "--formats", "csv"]
    assert main(words) == 5
    err = capsys.readouterr().err
    assert "ZeroDivisionError: unheard of" in err
    assert "a bug of echoseg" in err
    assert {"clip0", "clip2", "clip3", "clip4"} < names(tmp_path / "out")


@pytest.mark.parametrize("tables_fit", [True, False])
@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EACCES])
def test_a_full_disk_ends_the_call_with_one_message(echoseg, study, model, tmp_path, monkeypatch, reason, tables_fit):
    """It fills up while the second case is written: the first is kept, the five that follow are not even segmented."""
    text, written = os.strerror(reason), []

    def fill_up(path, *args):
        if "clip1" in str(path):
            path.write_bytes(b"half")
            raise OSError(reason, text)
        written.append(path)

    def no_tables(*args):
        raise OutputError("summary.csv: cannot be written; free space")

    monkeypatch.setattr(case, "write_nifti", fill_up)
    if not tables_fit:
        monkeypatch.setattr(batch, "write_summary", no_tables)
    out = tmp_path / "out"
    answer = echoseg("segment", study, "-o", out, "--model", model, "--formats", "nifti")
    assert (answer.code, answer.out) == (1, "")
    messages = [line for line in answer.err.splitlines() if "done in" not in line and "left alone" not in line]
    assert messages == [f"echoseg: {out / 'clip1'}: cannot be written ({text}); free space or choose another folder"]
    assert len(written) == 1
    assert names(out) == {"clip0"} | ({"summary.csv", "run.json"} if tables_fit else set())
    if tables_fit:
        assert [(row["case"], row["status"]) for row in rows(out)] == [("clip0", "done"), ("clip1", "failed")]


def test_a_video_that_no_encoder_takes_costs_one_case_only(echoseg, study, model, tmp_path, monkeypatch):
    def refuse(path, *args):
        if "clip1" in str(path):
            raise OutputError(f"{path}: cannot be written as h264 (Invalid argument); check size") from ValueError()

    monkeypatch.setattr(case, "write_overlay", refuse)
    answer = echoseg("segment", study, "-o", tmp_path / "out", "--model", model, "--formats", "mp4")
    assert answer.code == 5
    assert len(rows(tmp_path / "out")) == 7


def test_one_sentence_about_calibration(echoseg, model, tmp_path):
    """The file's own warning asks for --spacing-mm; measuring adds none of its own."""
    path = pydicom.examples.get_path("ybr_color")
    answer = echoseg("segment", path, "-o", tmp_path / "out", "--model", model, "--formats", "csv")
    assert answer.code == 0
    assert [line for line in answer.err.splitlines() if "--spacing-mm" in line] == answer.err.splitlines()
    assert answer.err.count("--spacing-mm") == 1
    assert "cropped after it was calibrated" in answer.err


def test_a_name_that_is_no_text_is_refused_with_a_message(echoseg, cine, model, tmp_path):
    odd = tmp_path / "herz\udcfc.avi"
    cine.rename(odd)
    answer = echoseg("segment", tmp_path / odd.name, "-o", tmp_path / "out", "--model", model)
    assert answer.code == 3
    assert "herz\\udcfc.avi: a name that is not UTF-8" in answer.err


def test_markup_in_names_is_shown_as_it_is(echoseg, cine, model, tmp_path):
    odd = cine.rename(tmp_path / "[red]heart.avi")
    answer = echoseg("segment", odd, "-o", tmp_path / "out", "--model", model, "--formats", "csv")
    assert answer.code == 0
    assert "[red]heart " in answer.out


def test_memory_of_a_call_does_not_grow_with_frames(echoseg, cine, model, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(batch, "write_summary", lambda folder, records: kept.extend(records))
    echoseg("segment", cine, "-o", tmp_path / "out", "--model", model, "--formats", "csv")
    assert "frames" not in kept[0].result


def test_in_a_process_of_its_own_without_torch(tmp_path, model):
    write_calibrated(tmp_path / "heart.npz")
    code = (
        "import sys; from echoseg.cli import main; "
        f"code = main(['segment', 'heart.npz', '-o', 'out', '--model', {str(model)!r}]); "
        "assert 'torch' not in sys.modules, 'torch was imported'; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "out/heart/report.html" in done.stdout
    assert names(tmp_path / "out" / "heart") == ALL_FILES


def test_a_terminal_without_superscripts(tmp_path, model):
    write_avi(tmp_path / "heart.avi")
    done = subprocess.run(
        [sys.executable, "-m", "echoseg", "segment", "heart.avi", "-o", "out", "--model", str(model), "--formats", "csv"],
        cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "px?" in done.stdout
