"""The signature of a simulated folder: read, compared with the files, and told by `data check`."""

import hashlib
import json
from pathlib import Path

import pytest

from echoseg.datasets import Simulation, check_dataset, read_simulation
from echoseg.errors import InputError

DIGEST, TRUTH = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def sign(root: Path, **changes) -> Path:
    """Sign all files of a folder, without the simulator."""
    files = {
        path.relative_to(root).as_posix(): {
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in root.rglob("*")
        if path.is_file()
    }
    record = {
        "schema": 1,
        "sha256": DIGEST,
        "truth_sha256": TRUTH,
        "cases": [{}, {}],
        "files": files,
        "set": {"name": "some-v1"},
    } | changes
    (root / "simulation.json").write_text(json.dumps({k: v for k, v in record.items() if v is not None}))
    return root


@pytest.fixture
def signed(echonet, make) -> Path:
    for stem in ("0XA", "0XB"):
        echonet.video(stem, [(1, make.tracing(20)), (4, make.tracing(14))])
    return sign(echonet.write())


def test_files_as_they_were_written(signed):
    assert read_simulation(signed) == Simulation("some-v1", DIGEST, TRUTH, 2, ())
    assert read_simulation(signed).title == "some-v1 0123456789ab"


def test_a_simulation_that_is_no_set(signed):
    (signed / "simulation.json").unlink()
    simulation = read_simulation(sign(signed, set=None))
    assert (simulation.set_name, simulation.title, simulation.changed) == (None, "simulation 0123456789ab", ())


def test_a_changed_byte_and_a_missing_file(signed):
    video, table = signed / "Videos" / "0XA.avi", signed / "FileList.csv"
    data = bytearray(video.read_bytes())
    data[-1] ^= 1
    video.write_bytes(data)
    table.unlink()
    simulation = read_simulation(signed)
    assert set(simulation.changed) == {"Videos/0XA.avi", "FileList.csv"}
    assert simulation.title == "some-v1 0123456789ab (FILES CHANGED: 2)"


def test_folders_without_a_signature(tmp_path, signed):
    assert read_simulation(tmp_path / "nowhere") is None
    (signed / "simulation.json").write_text('{"schema": 1, "layout": "camus"}')
    assert read_simulation(signed) is None


@pytest.mark.parametrize(
    "text", ["", "{", '{"sha256": "a"}', '{"sha256": "a", "files": {"x": 3}, "cases": []}', '"sha256"', "\x00\xff"]
)
def test_a_signature_that_is_none(signed, text):
    (signed / "simulation.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"simulation\.json: cannot be read .*; simulate the folder again"):
        read_simulation(signed)
    errors = [finding for finding in check_dataset(signed) if finding.severity == "error"]
    assert [(finding.where, finding.cure) for finding in errors] == [("simulation.json", "simulate the folder again")]


def test_data_check_tells_the_set_and_its_state(signed):
    (last,) = [str(finding) for finding in check_dataset(signed) if finding.where == "simulation.json"]
    assert last.startswith(
        "info: simulation.json: benchmark set some-v1, 2 cases, content 0123456789ab, without frames fedcba987654, "
        "all files as they were written"
    )
    with (signed / "VolumeTracings.csv").open("a") as file:
        file.write("\n")
    found = [str(finding) for finding in check_dataset(signed)]
    assert [text for text in found if text.startswith("warning: VolumeTracings.csv: not as it was simulated")]
    assert [text for text in found if "fedcba987654, files changed: 1" in text]
