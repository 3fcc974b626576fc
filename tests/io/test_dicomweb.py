"""A DICOM server as a source and a destination, and every way in which it can let one down."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from pydicom import dcmread
from tests.dicom_studies import Tags, made_uid, write_cine
from tests.dicomweb_double import PASSWORD, USER, Double, served

from echoseg.cine import View
from echoseg.errors import InputError, OutputError, PartialFailureError, UsageError
from echoseg.io import dicomweb, open_cine
from echoseg.io.dicomweb import DicomServer, Login, ServerError, check_address

STUDY = Tags().study_uid
LOGIN = (USER, PASSWORD)


@pytest.fixture
def files(tmp_path):
    """Three objects of a study: two apical views and one of which no view is said."""
    rng = np.random.default_rng(4)
    return [
        write_cine(
            tmp_path / "disk" / f"IM{i}",
            rng.integers(0, 256, (4, 24, 32), dtype=np.uint8),
            Tags(series=3 - i, view=view),
        )
        for i, view in enumerate((View.A2C, View.A4C, None))
    ]


@pytest.fixture
def results(tmp_path):
    """Three objects that belong to the study and are not on the server yet."""
    frames = np.zeros((2, 8, 8), np.uint8)
    return [write_cine(tmp_path / "results" / f"{i}.dcm", frames, Tags(series=9, instance=i)) for i in range(3)]


def uid_of(path):
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(dicomweb, "TIMEOUT_S", (2.0, 5.0))
    monkeypatch.setattr(dicomweb, "_WAIT_MS", 1)


def test_objects_of_a_study_in_their_order(files):
    with served(Double(files)) as double:
        found = DicomServer(double.url).study(STUDY)
    assert [one.series_number for one in found] == [1, 2, 3]
    assert [one.facts.view for one in found] == [View.UNKNOWN, View.A4C, View.A2C]
    assert {one.facts.instance for one in found} == set(map(uid_of, files))
    assert all(one.facts.left_alone is None and one.facts.patient_id == "SIM-0" for one in found)
    assert found[0].address == (
        f"{double.url}/studies/{STUDY}/series/{found[0].facts.series}/instances/{found[0].facts.instance}"
    )


def test_a_fetched_file_has_the_same_frames(files, tmp_path):
    with served(Double(files, login=LOGIN)) as double:
        server = DicomServer(double.url + "/", Login(*LOGIN))
        for one in server.study(STUDY):
            server.fetch(one, tmp_path / one.facts.instance)
    for file in files:
        with open_cine(file) as before, open_cine(tmp_path / uid_of(file)) as after:
            assert np.array_equal(before.read().frames, after.read().frames)
            assert before.meta.fps == after.meta.fps


@pytest.mark.parametrize(
    ("login", "word"), [(None, "a user and password"), (Login("anna", "x"), "another user or password")]
)
def test_a_wrong_login_is_said_and_never_shown(files, login, word):
    with served(Double(files, login=LOGIN)) as double, pytest.raises(ServerError) as caught:
        DicomServer(double.url, login).study(STUDY)
    assert str(caught.value).startswith(f"{double.url}: the server wants {word} (401); give --user")
    assert "password='x'" not in repr(login)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "may not do that"),
        (404, f"no study {STUDY} \\(404\\); check --study"),
        (500, "answers 500"),
        (503, "answers 503"),
    ],
)
def test_answers_that_are_errors(files, status, words):
    with served(Double(files, status={"/metadata": status})) as double, pytest.raises(ServerError, match=words):
        DicomServer(double.url).study(STUDY)
    assert len(double.asked) == (3 if status == 503 else 1), "only a server that is busy is asked again"


def test_a_study_that_is_not_there(files):
    with served(Double(files)) as double, pytest.raises(ServerError, match=r"no study 1\.2\.3 \(404\)"):
        DicomServer(double.url).study("1.2.3")


def test_a_server_that_is_not_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/dicom-web"
        with pytest.raises(ServerError, match=r"cannot be reached \(Connection refused\); check the address"):
            DicomServer(url).study(STUDY)


def test_a_page_in_place_of_a_service(files):
    with (
        served(Double(files, status={"/metadata": 200})) as double,
        pytest.raises(ServerError, match="is not DICOMweb"),
    ):
        DicomServer(double.url).study(STUDY)


def test_a_server_that_goes_half_way(files, tmp_path):
    with served(Double(files, cut=frozenset([uid_of(files[1])]))) as double:
        server = DicomServer(double.url)
        first, second, _ = server.study(STUDY)
        server.fetch(first, tmp_path / "first")
        with pytest.raises(ServerError, match=r"the connection broke while object .* was fetched .*repeat the call"):
            server.fetch(second, tmp_path / "second")
    assert (tmp_path / "first").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "first"}, "nothing half-written"


def test_one_damaged_object_is_no_broken_server(files, tmp_path):
    with served(Double(files, garbage=frozenset([uid_of(files[0])]), status={uid_of(files[1]): 500})) as double:
        server = DicomServer(double.url)
        _, refused, damaged = server.study(STUDY)
        with pytest.raises(InputError, match=r"instances/[\d.]+: is damaged") as caught:
            server.fetch(damaged, tmp_path / "x")
        assert not isinstance(caught.value, ServerError)
        with pytest.raises(InputError, match="answers 500 about object") as caught:
            server.fetch(refused, tmp_path / "x")
        assert not isinstance(caught.value, ServerError)
    assert not (tmp_path / "x").exists()


def test_what_is_stored_is_there_and_is_not_sent_twice(files, results):
    with served(Double(files, login=LOGIN)) as double:
        server = DicomServer(double.url, Login(*LOGIN))
        assert server.store(STUDY, results[:2]) == tuple(map(uid_of, results[:2]))
        assert server.store(STUDY, results) == (uid_of(results[2]),)
        assert server.store(STUDY, results) == ()
    assert double.stored == [uid_of(path) for path in results]
    assert sum(asked.startswith("POST") for asked in double.asked) == 2


def test_some_objects_are_refused(files, results):
    with served(Double(files, refuses=1)) as double, pytest.raises(PartialFailureError) as caught:
        DicomServer(double.url).store(STUDY, results)
    first, *taken = map(uid_of, results)
    assert f"1 of 3 objects were not stored ({first}: out of resources (A700))" in str(caught.value)
    assert all(uid in str(caught.value) for uid in taken)


def test_all_objects_are_refused(files, results):
    with served(Double(files, refuses=3)) as double, pytest.raises(OutputError, match=r"nothing was stored .*A700"):
        DicomServer(double.url).store(STUDY, results)


@pytest.mark.parametrize(("taken", "error", "words"), [
    (0, OutputError, "nothing was stored (the connection broke while results were sent"),
    (1, PartialFailureError, "2 of 3 objects were not stored"),
])  # fmt: skip
def test_a_server_that_goes_while_it_stores(files, results, taken, error, words):
    with served(Double(files, hangs_up_on_store=taken)) as double, pytest.raises(error) as caught:
        DicomServer(double.url).store(STUDY, results)
    assert words in str(caught.value)


def test_an_answer_that_is_lost_is_no_failure(files, results):
    with served(Double(files, hangs_up_on_store=3)) as double:
        assert len(DicomServer(double.url).store(STUDY, results)) == 3


def test_nothing_is_known_after_a_server_is_gone_for_good(files, results):
    with (
        served(Double(files, gone=3, hangs_up_on_store=1)) as double,
        pytest.raises(OutputError, match="it is unknown which"),
    ):
        DicomServer(double.url).store(STUDY, results)


def test_nothing_is_sent_to_a_server_that_does_not_say_what_it_has(files, results):
    with served(Double(files, gone=0)) as double, pytest.raises(ServerError):
        DicomServer(double.url).store(STUDY, results)
    assert not any(asked.startswith("POST") for asked in double.asked)


@pytest.mark.parametrize("url", ["pacs", "ftp://pacs/x", "https://", "http://pacs:port/x", "http://a:b@pacs/x"])
def test_addresses_that_are_none(url):
    with pytest.raises(UsageError, match="--dicomweb"):
        check_address(url)


def test_a_password_in_an_address_is_not_repeated():
    with pytest.raises(UsageError) as caught:
        check_address("http://anna:geheim@pacs/dicom-web")
    assert "geheim" not in str(caught.value)
    assert "--user anna" in str(caught.value)


def test_no_proxy_on_the_way_to_this_machine(files, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with served(Double(files)) as double:
        assert len(DicomServer(double.url).study(STUDY)) == 3
    with pytest.raises(ServerError, match=r"pacs\.example/dicom-web: cannot be reached"):
        DicomServer("http://pacs.example/dicom-web").study(STUDY)


def test_a_login_of_the_machine_is_not_used_unasked(files, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login {USER} password geheim\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with served(Double(files, login=(USER, "geheim"))) as double, pytest.raises(ServerError, match="401"):
        DicomServer(double.url).study(STUDY)


def test_unknown_uids_are_not_held(files):
    with served(Double(files)) as double:
        known = uid_of(files[0])
        assert DicomServer(double.url).held(STUDY, [known, made_uid("nobody")]) == {known}
