"""A study of a DICOM server: fetched, segmented, its results sent back; and nothing half done when something goes wrong."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path

import pytest
from pydicom import dcmread
from tests.cli.conftest import frames
from tests.dicom_studies import Tags, write_cine
from tests.dicomweb_double import PASSWORD, USER, Double, running_orthanc, served

from echoseg.cine import View
from echoseg.cli import segment, server
from echoseg.io import dicomweb
from echoseg.io.dicomweb import Login
from echoseg.io.locks import claimed

STUDY = Tags("P1").study_uid


def write_study(folder: Path, patient: str = "P1") -> list[Path]:
    """Both apical views, and a still that is left alone."""
    paths = []
    for number, view in enumerate((View.A4C, View.A2C), start=1):
        tags = Tags(patient, series=number, view=view)
        paths.append(write_cine(folder / f"IM{number}", frames(number), tags, fps=50))
    paths.append(write_cine(folder / "IM3", frames()[:1], Tags(patient, series=3)))
    return paths


def uid_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def files(tmp_path):
    return write_study(tmp_path / "disk")


@pytest.fixture
def words(model, tmp_path):
    return ("--study", STUDY, "-o", tmp_path / "out", "--model", model, "--formats", "csv,seg", "--json")


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No login and no patience of this machine."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(dicomweb, "TIMEOUT_S", (5.0, 30.0))
    monkeypatch.setattr(dicomweb, "_WAIT_MS", 1)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


def test_orthanc_gives_a_study_and_takes_its_results(echoseg, orthanc, files, words, tmp_path, monkeypatch):
    orthanc.upload(*files)
    out = tmp_path / "out"
    ask = ("segment", "--dicomweb", orthanc.url, "--user", USER, "--password-file", orthanc.password_file, *words)
    ask = (*ask, "--formats", "csv,seg,sr")
    answer = echoseg(*ask, "--store")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert document["counts"] == {"done": 2}
    assert "left alone: 1 still image (s3-i1)" in answer.err
    assert [study["method"] for study in document["studies"]] == ["simpson_biplane"]
    assert len(document["stored"]) == 5

    found = orthanc.get(f"studies/{STUDY}/instances?Modality=SEG")
    reports = orthanc.get(f"studies/{STUDY}/instances?Modality=SR")
    assert (len(found), len(reports)) == (2, 3), "a report of each view and one of the study"
    assert {one["00080018"]["Value"][0] for one in (*found, *reports)} == set(document["stored"])
    assert len(orthanc.get(f"studies/{STUDY}/instances")) == 8
    for case in document["cases"]:
        made = dcmread(out / case["case"] / "masks.seg.dcm")
        assert made.SOPInstanceUID in document["stored"]
        (instance,) = [one for one in found if one["00080018"]["Value"][0] == made.SOPInstanceUID]
        assert instance["0020000E"]["Value"][0] == made.SeriesInstanceUID
        assert case["source"].startswith(f"{orthanc.url}/studies/{STUDY}/series/")
    assert {path.name for path in out.iterdir()} == {
        *(case["case"] for case in document["cases"]), "studies", "summary.csv", "studies.csv", "run.json"
    }, "what was fetched is gone"  # fmt: skip
    assert PASSWORD not in (out / "run.json").read_text()
    study = document["studies"][0]["study"]
    assert [(row["study"], row["study_uid"]) for row in table(out / "studies.csv")] == [(study, STUDY)]

    monkeypatch.setattr(segment, "load_segmenter", lambda *_: pytest.fail("the model was loaded"))
    monkeypatch.setattr(dicomweb.DicomServer, "fetch", lambda *_: pytest.fail("a cine was fetched"))
    again = json.loads(echoseg(*ask, "--store", "--skip-existing").out)
    assert (again["counts"], again["stored"]) == ({"skipped": 2}, []), "what is there is not sent again"
    assert len(orthanc.get(f"studies/{STUDY}/instances")) == 8


def test_orthanc_leaves_its_own_results_alone(echoseg, orthanc, words, tmp_path):
    """The segmentations of the test above, or of this one's first call, are objects of the study, too."""
    orthanc.upload(*write_study(tmp_path / "disk"))
    ask = ("segment", "--dicomweb", orthanc.url, "--user", USER, "--password-file", orthanc.password_file, *words)
    assert echoseg(*ask, "--store").code == 0
    answer = echoseg(*ask)
    assert json.loads(answer.out)["counts"] == {"done": 2}
    assert "2 Segmentation objects" in answer.err


def test_orthanc_wants_a_password_and_knows_its_studies(echoseg, orthanc, words, tmp_path):
    assert "wants a user and password (401)" in echoseg("segment", "--dicomweb", orthanc.url, *words).err
    (tmp_path / "wrong").write_text("x")
    wrong = ("--user", USER, "--password-file", tmp_path / "wrong")
    answer = echoseg("segment", "--dicomweb", orthanc.url, *wrong, *words)
    assert (answer.code, json.loads(answer.out)["exit_code"]) == (3, 3)
    assert "wants another user or password (401)" in answer.err
    right = ("--user", USER, "--password-file", orthanc.password_file, "--study", "1.2.3")
    answer = echoseg("segment", "--dicomweb", orthanc.url, *words, *right)
    assert answer.code == 3
    assert "no study 1.2.3 (404); check --study" in answer.err
    assert not (tmp_path / "out").exists()


def test_a_server_that_goes_half_way_leaves_nothing(echoseg, files, words, tmp_path):
    with served(Double(files, cut=frozenset([uid_of(files[1])]))) as double:
        answer = echoseg("segment", "--dicomweb", double.url, *words, "--store")
    assert answer.code == 3
    assert "the connection broke while object" in answer.err
    assert not (tmp_path / "out").exists()
    assert double.stored == []


def test_a_server_that_goes_half_way_keeps_what_was_there(echoseg, files, words, tmp_path):
    with served(Double(files)) as double:
        echoseg("segment", "--dicomweb", double.url, *words)
        before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")}
        double.cut = frozenset([uid_of(files[1])])
        assert echoseg("segment", "--dicomweb", double.url, *words).code == 3
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")} == before


def test_what_a_killed_process_fetched_is_gone_at_the_next_call(echoseg, files, words, tmp_path):
    dead, living = (tmp_path / "out" / f".fetched-{name}" for name in ("dead", "living"))
    for room in (dead, living):
        room.mkdir(parents=True)
        (room / "in-use").touch()
        (room / "patient.dcm").write_bytes(b"images")
    with served(Double(files)) as double, claimed(living / "in-use"):
        assert echoseg("segment", "--dicomweb", double.url, *words).code == 0
    assert list((tmp_path / "out").glob(".fetched-*/*.dcm")) == [living / "patient.dcm"]


def test_one_damaged_object_costs_itself_and_the_storing(echoseg, files, words, tmp_path):
    with served(Double(files, garbage=frozenset([uid_of(files[1])]))) as double:
        answer = echoseg("segment", "--dicomweb", double.url, *words, "--store")
    assert answer.code == 5
    document = json.loads(answer.out)
    assert (document["counts"], document["stored"]) == ({"done": 1, "failed": 1}, [])
    assert f"instances/{uid_of(files[1])}: is damaged" in answer.err
    assert "nothing was stored: 1 of 2 cines failed" in answer.err
    assert double.stored == []


def test_a_study_without_cines(echoseg, files, words, tmp_path):
    with served(Double(files[2:])) as double:
        answer = echoseg("segment", "--dicomweb", double.url, *words)
    assert answer.code == 3
    assert f"studies/{STUDY}: no cine among its 1 objects, left alone: 1 still image (s3-i1)" in answer.err


@pytest.mark.parametrize(("knobs", "code", "message"), [
    ({"refuses": 1}, 5, "1 of 2 objects were not stored"),
    ({"refuses": 2}, 1, "nothing was stored"),
    ({"hangs_up_on_store": 0}, 1, "nothing was stored (the connection broke while results were sent"),
])  # fmt: skip
def test_storing_that_fails_leaves_the_results_here(echoseg, files, words, tmp_path, knobs, code, message):
    with served(Double(files, **knobs)) as double:
        ask = ("segment", "--dicomweb", double.url, *words, "--store")
        answer = echoseg(*ask)
        assert (answer.code, answer.out.count("\n")) == (code, 1)
        assert message in answer.err
        assert json.loads(answer.out)["counts"] == {"done": 2}
        double.refuses, double.hangs_up_on_store = 0, None
        again = echoseg(*ask, "--skip-existing")
    assert again.code == 0
    assert json.loads(again.out)["counts"] == {"skipped": 2}
    assert sorted(double.stored) == sorted(uid_of(path) for path in (tmp_path / "out").glob("*/*.dcm"))


def test_a_model_that_is_not_there_is_told_before_anything_is_fetched(echoseg, files, words, tmp_path):
    with served(Double(files)) as double:
        answer = echoseg("segment", "--dicomweb", double.url, *words, "--model", "nothing")
    assert answer.code == 4
    assert len(double.asked) == 1, "the study's headers"
    assert not (tmp_path / "out").exists()


def test_a_login_from_netrc(echoseg, files, words, tmp_path):
    (tmp_path / "home").mkdir()
    netrc = tmp_path / "home" / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password geheim\n")
    netrc.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with served(Double(files, login=(USER, "geheim"))) as double:
        assert echoseg("segment", "--dicomweb", double.url, *words).code == 0
        assert echoseg("segment", "--dicomweb", double.url, *words, "--user", USER).code == 0
        answer = echoseg("segment", "--dicomweb", double.url, *words, "--user", "bert")
        assert answer.code == 2
        assert "--user bert: no password; give --password-file FILE" in answer.err
        netrc.chmod(0o644)
        answer = echoseg("segment", "--dicomweb", double.url, *words)
        assert answer.code == 3
        assert "~/.netrc: cannot be read" in answer.err


def test_a_password_that_is_typed(echoseg, files, words, monkeypatch):
    monkeypatch.setattr(server.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(server.getpass, "getpass", lambda prompt: PASSWORD)
    with served(Double(files, login=(USER, PASSWORD))) as double:
        assert echoseg("segment", "--dicomweb", double.url, *words, "--user", USER).code == 0


def test_a_password_on_an_open_line_is_warned_of(echoseg, words, monkeypatch):
    monkeypatch.setattr(server, "find_login", lambda options: Login("a", "b"))
    monkeypatch.setattr(dicomweb, "TIMEOUT_S", (0.2, 0.2))
    answer = echoseg("segment", "--dicomweb", "http://pacs.invalid/dicom-web", *words)
    assert answer.code == 3
    assert "travel unencrypted; use https" in answer.err


@pytest.mark.parametrize(("words", "message"), [
    (["--study", "1.2"], "--study without --dicomweb"),
    (["--store", "a.avi"], "--store without --dicomweb"),
    (["--dicomweb", "http://x/y"], "which study? give its StudyInstanceUID with --study"),
    (["--dicomweb", "x", "--study", "1.2"], "give the root of the service"),
    (["--dicomweb", "http://x/y", "--study", "1.2/../3"], "is no UID"),
    (["--dicomweb", "http://x/y", "--study", "1.2", "a.avi"], "files and --dicomweb in one call"),
    (["--dicomweb", "http://x/y", "--study", "1.2", "--password-file", "p"], "whose password is it?"),
    (["--dicomweb", "http://x/y", "--study", "1.2", "--ca-file", "no.pem"], "no such file"),
    (["--dicomweb", "http://x/y", "--study", "1.2", "--store", "--shard", "1/2"], "whole or not at all"),
    (["--dicomweb", "http://x/y", "--study", "1.2", "--store", "--formats", "csv"], "add seg, sr or dicom-video"),
    ([], "no input is given; name at least one file or folder, or --dicomweb URL --study UID"),
])  # fmt: skip
def test_words_that_do_not_go_together(echoseg, tmp_path, words, message):
    answer = echoseg("segment", *words, "-o", tmp_path / "out")
    assert answer.code == 2
    assert message in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_password_file_that_is_none(echoseg, files, words, tmp_path, content):
    (tmp_path / "password").write_bytes(content)
    login = ("--user", "a", "--password-file", tmp_path / "password")
    answer = echoseg("segment", "--dicomweb", "http://127.0.0.1:1/x", *words, *login)
    assert answer.code == 3
    assert str(tmp_path / "password") in answer.err


def test_no_network_without_being_asked(echoseg, model, tmp_path, monkeypatch):
    write_study(tmp_path / "disk")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it went to the network"))
    assert echoseg("segment", tmp_path / "disk", "-o", tmp_path / "out", "--model", model, "--formats", "csv").code == 0
