"""From words to cases: what is found in folders, what is left alone, how cases are named and shared."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from tests.cli.conftest import frames, write_avi, write_calibrated
from tests.io.sample_files import dicom, noise, save_dicom, write_images

from echoseg.cine import Spacing
from echoseg.cli.options import (
    Shard,
    formats_of,
    parse_formats,
    parse_fps,
    parse_shard,
    parse_spacing,
    parse_with_inputs,
)
from echoseg.cli.segment import SegmentOptions
from echoseg.cli.sources import case_names, find_cines, named_files
from echoseg.errors import UsageError


def found(*inputs: Path, out: Path = Path("out")) -> dict[str, Path]:
    return {case.name: case.path for case in find_cines(inputs, out).cases}


def test_names_are_as_short_as_they_can_be():
    assert case_names([Path("/a/one.avi"), Path("/a/two.nii.gz"), Path("/a/IM_0001")]) == ["one", "two", "IM_0001"]
    assert case_names([Path("/p1/cine.avi"), Path("/p2/cine.avi")]) == ["p1-cine", "p2-cine"]
    assert case_names([Path("/p/cine.avi"), Path("/p/cine.mp4")]) == ["cine.avi", "cine.mp4"]
    assert case_names([Path("/x/p/1.avi"), Path("/y/p/1.avi"), Path("/y/q/1.avi")]) == ["x-p-1", "y-p-1", "q-1"]


def test_a_uid_keeps_its_dots():
    assert case_names([Path("/a/1.2.840.10008.5"), Path("/a/1.2.840.10008.6.dcm")]) == [
        "1.2.840.10008.5",
        "1.2.840.10008.6",
    ]


def test_names_differ_where_the_file_system_ignores_case():
    names = case_names([Path("/a/Heart.avi"), Path("/b/heart.avi")])
    assert names == ["a-Heart", "b-heart"]


def test_names_are_unique_at_any_price():
    names = case_names([Path("/a/b-c.avi"), Path("/a-b/c.avi"), Path("/a/b/c.avi"), Path("/b-c.avi")])
    assert len({name.casefold() for name in names}) == 4


def test_names_are_fit_for_folders():
    assert case_names([Path('/a/what "now"?.avi')]) == ["what _now__"]
    assert case_names([Path("/a/.hidden.avi")]) == ["hidden"]
    assert case_names([Path("/a/..")])[0] not in ("", ".", "..")


def test_folder_is_searched_by_content_at_any_depth(study):
    cases = found(study)
    assert set(cases) == {"clip0", "clip1", "clip2", "clip3", "clip4", "cut", "empty"}
    shutil.move(study / "clip0.avi", study / "IM_0001")
    assert found(study)["IM_0001"] == study / "IM_0001"


def test_files_that_are_no_cine_are_counted(study):
    sources = find_cines([study], Path("out"))
    assert [path.name for path in sources.ignored] == ["notes.txt"]
    assert sources.ignored_text() == "left alone: 1 file that is no cine (notes.txt)"


def test_a_file_that_claims_to_be_a_cine_is_not_passed_over(tmp_path):
    (tmp_path / "heart.avi").write_text("not found on server")
    (tmp_path / "list.txt").write_text("heart.avi")
    assert set(found(tmp_path)) == {"heart"}


def test_images_of_a_folder_are_one_cine(tmp_path):
    write_images(tmp_path / "p1", frames()[:3])
    write_images(tmp_path / "p2", frames()[:3])
    assert found(tmp_path) == {"p1": tmp_path / "p1", "p2": tmp_path / "p2"}
    assert found(tmp_path / "p1") == {"p1": tmp_path / "p1"}


def test_a_picture_beside_cines_is_no_cine(tmp_path):
    write_avi(tmp_path / "heart.avi")
    Image.fromarray(frames()[0]).save(tmp_path / "thumbnail.png")
    assert set(found(tmp_path)) == {"heart"}


def test_masks_are_left_alone(tmp_path):
    write_avi(tmp_path / "heart.avi")
    write_avi(tmp_path / "heart_gt.avi")
    (tmp_path / "masks").mkdir()
    write_avi(tmp_path / "masks" / "heart2.avi")
    np.savez(tmp_path / "labels_only.npz", masks=np.zeros((2, 4, 4), np.uint8))
    sources = find_cines([tmp_path], Path("out"))
    assert [case.name for case in sources.cases] == ["heart"]
    assert len(sources.ignored) == 3


def test_a_folder_of_masks_that_is_named_is_searched(tmp_path):
    (tmp_path / "masks").mkdir()
    write_avi(tmp_path / "masks" / "heart.avi")
    assert set(found(tmp_path / "masks")) == {"heart"}


def test_documents_and_the_index_of_a_disk_are_no_cines(tmp_path):
    save_dicom(tmp_path / "cine", dicom(noise().shape), noise())
    header = dicom(noise().shape)
    header.SOPClassUID = uid.MediaStorageDirectoryStorage
    save_dicom(tmp_path / "DICOMDIR", header, noise())
    header = dicom(noise().shape)
    header.SOPClassUID = uid.ComprehensiveSRStorage
    save_dicom(tmp_path / "report.dcm", header, noise())
    np.savez(tmp_path / "table.xlsx.zip", sheet=np.zeros(3))
    assert set(found(tmp_path)) == {"cine"}


def test_results_and_hidden_files_are_not_searched(tmp_path):
    write_avi(tmp_path / "heart.avi")
    write_avi(tmp_path / "._heart.avi")
    for folder in (tmp_path / "out", tmp_path / "earlier" / "heart"):
        folder.mkdir(parents=True)
        write_avi(folder / "overlay.avi")
    (tmp_path / "earlier" / "heart" / "result.json").write_text("{}")
    assert set(found(tmp_path, out=tmp_path / "out")) == {"heart"}


def test_links_to_folders_are_followed_once(tmp_path):
    (tmp_path / "store").mkdir()
    write_avi(tmp_path / "store" / "heart.avi")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "p1").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    assert list(found(tmp_path / "data")) == ["heart"]


def test_a_named_file_is_a_case_whatever_it_is_and_only_once(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert found(path, path, tmp_path / "missing.avi") == {
        "notes.txt": path,
        "missing": tmp_path / "missing.avi",
    }
    both = named_files([path, tmp_path / "missing.avi", path]).cases
    assert [case.name for case in both] == ["notes.txt", "missing"]


def test_a_folder_without_a_cine_is_a_problem(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (case,) = find_cines([tmp_path], Path("out")).cases
    assert case.problem is not None
    assert case.problem.startswith(f"{tmp_path}: no cine in this folder, it holds 1 file that is no cine (a.txt); ")
    (tmp_path / "sub").mkdir()
    (case,) = find_cines([tmp_path / "sub"], Path("out")).cases
    assert "holds no files" in case.problem


def test_order_and_shares_are_the_same_every_time(tmp_path):
    for i in (3, 1, 2, 5, 4):
        write_calibrated(tmp_path / f"c{i}.npz")
    cases = find_cines([tmp_path], Path("out")).cases
    assert [case.name for case in cases] == ["c1", "c2", "c3", "c4", "c5"]
    assert [case.name for case in Shard(1, 2).take(cases)] == ["c1", "c3", "c5"]
    assert [case.name for case in Shard(2, 2).take(cases)] == ["c2", "c4"]


def test_pixel_sizes():
    assert parse_spacing("0.3") == Spacing(0.3, 0.3)
    assert parse_spacing("0.308,0.154") == Spacing(0.308, 0.154)
    for text in ("", "x", "0", "-1", "nan", "1,2,3", "0.3;0.4"):
        with pytest.raises(UsageError, match=r"^--spacing-mm .*ROW,COL"):
            parse_spacing(text)


def test_frame_rates():
    assert parse_fps("47.5") == 47.5
    for text in ("0", "-3", "inf", "nan", "fast"):
        with pytest.raises(UsageError, match=r"^--fps .*positive"):
            parse_fps(text)


def test_shares():
    assert parse_shard("2/3") == Shard(2, 3)
    for text in ("0/3", "4/3", "1", "a/b", "-1/3", "1/3/4"):
        with pytest.raises(UsageError, match=r"^--shard .*I/N"):
            parse_shard(text)


def test_formats():
    assert parse_formats("csv, html") == {"csv", "html"}
    assert parse_formats("seg,sr,dicom-video") == {"seg", "sr", "dicom-video"}
    with pytest.raises(UsageError, match="'gif' is unknown; choose among csv, dicom-video, html, mp4, nifti"):
        parse_formats("csv,gif")
    with pytest.raises(UsageError, match="'dicom-seg' is unknown; write seg"):
        parse_formats("nifti,dicom-seg")


def test_what_hospitals_file_is_made_of_dicom_only():
    usual = {"nifti", "mp4", "csv", "html"}
    assert formats_of(None, is_dicom=False) == (usual, frozenset())
    assert formats_of(None, is_dicom=True) == (usual, {"seg", "sr"})
    assert formats_of(frozenset({"csv", "seg"}), is_dicom=False) == ({"csv"}, {"seg"}), (
        "what is asked for is not dropped"
    )


@pytest.mark.parametrize(
    "words", ["a.avi b.avi -o out", "-o out a.avi b.avi", "a.avi -o out b.avi", "a.avi -o out -- b.avi"]
)
def test_inputs_stand_before_and_after_options(words):
    options, inputs = parse_with_inputs(SegmentOptions, "segment", words.split())
    assert (options.out, inputs) == (Path("out"), (Path("a.avi"), Path("b.avi")))


def test_two_sizes_without_a_comma_are_explained():
    with pytest.raises(UsageError, match="--spacing-mm takes ROW,COL with a comma"):
        parse_with_inputs(SegmentOptions, "segment", ["a.avi", "-o", "out", "--spacing-mm", "0.308", "0.154"])
    with pytest.raises(UsageError, match="no input"):
        parse_with_inputs(SegmentOptions, "segment", ["-o", "out"])


def test_an_unknown_option_is_not_taken_for_an_input(capsys):
    with pytest.raises(SystemExit):
        parse_with_inputs(SegmentOptions, "segment", ["a.avi", "-o", "out", "--sped", "3"])
    assert "Unrecognized options: --sped" in capsys.readouterr().err
