"""Benchmark sets: what is in them, in which order, and what their hash stands for."""

import csv
import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echoseg.datasets import check_dataset, open_dataset
from echoseg.errors import UsageError
from echoseg.simulator import SETS, BenchmarkSet, simulate, write_set
from echoseg.simulator.folder import content_digest, truth_digest
from echoseg.simulator.motion import VolumeCurve, labelled_instants, schedule_beats
from echoseg.simulator.patient import sample_patient
from echoseg.simulator.randomness import Stream, stream
from echoseg.simulator.sets import covering_s

TINY = BenchmarkSet(
    "tiny-v1", preset="easy", seed=5, labelled=2, unlabelled=2, validation=1, test=2, fps=10.0, duration_s=0.3
)


@pytest.fixture
def tiny(monkeypatch) -> BenchmarkSet:
    monkeypatch.setitem(SETS, TINY.name, TINY)
    return TINY


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("sets") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SETS, TINY.name, TINY)
        write_set(root, TINY.name)
    return root


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_sets_of_this_version():
    """A set never changes: whoever needs another one gives it another name."""
    sizes = {(s.labelled, s.unlabelled, s.validation, s.test, s.fps, s.duration_s) for s in SETS.values()}
    assert sizes == {(60, 180, 20, 100, 50.0, None)}
    assert {name: (s.name, s.preset, s.seed) for name, s in SETS.items()} == {
        "simecho-v1-standard": ("simecho-v1-standard", "standard", 20_011),
        "simecho-v1-mid": ("simecho-v1-mid", "mid", 20_012),
    }


@pytest.mark.parametrize("chosen", SETS.values(), ids=SETS)
def test_no_patient_comes_twice(chosen):
    cases = list(chosen.cases(Path()))
    assert len(cases) == chosen.n_cines == 360
    assert len({case.seed for case in cases}) == len({case.name for case in cases}) == 360
    others = {case.seed for other in SETS.values() if other != chosen for case in other.cases(Path())}
    assert others.isdisjoint(case.seed for case in cases)


@pytest.mark.parametrize("chosen", SETS.values(), ids=SETS)
def test_every_cine_holds_the_whole_beat_of_its_labels(chosen):
    """Two beats of time alone do not: one cine in twenty would end before the beat of its labels does."""
    for case in chosen.cases(Path()):
        times = np.arange(math.ceil(case.clip.duration_s * chosen.fps - 1e-6)) / chosen.fps
        patient = sample_patient(stream(case.seed, Stream.PATIENT), case.preset)
        beats = schedule_beats(stream(case.seed, Stream.RHYTHM), patient, case.clip.duration_s)
        assert times[-1] >= max(1.2, 120 / patient.heart_rate_bpm) - 1.5 / chosen.fps
        for filling in (False, True):
            ed, es = labelled_instants(VolumeCurve(beats, patient.rhythm), times, filling=filling)
            (beat,) = (beat for beat in beats if beat.start_s <= times[es] < beat.end_s)
            frame = 1 / chosen.fps
            assert beat.start_s >= -frame / 2 and beat.end_s <= times[-1], (case.name, filling)
            assert beat.start_s - frame / 2 <= times[ed] <= beat.end_s + frame, (case.name, filling)
            assert (ed > es) == filling


def test_the_simulator_labels_that_beat():
    """The same of a cine as it is rendered, told by its R-waves."""
    (case, *_) = SETS["simecho-v1-mid"].cases(Path())
    cine = simulate(case.seed, preset=case.preset, fps=10, duration_s=covering_s(case.seed, case.preset, 10))
    before, after = cine.r_waves_s[:2]
    assert after <= cine.times_s[-1]
    for frame in (cine.ed_frame, cine.es_frame):
        assert before - 0.05 <= cine.times_s[frame] <= after + 0.1


def test_tables_label_the_first_training_cines_and_no_other(written):
    listed = rows_of(written / "FileList.csv")
    assert [(row["FileName"], row["Split"], row["LabelOrder"]) for row in listed] == [
        ("easy-train-000", "TRAIN", "0"),
        ("easy-train-001", "TRAIN", "1"),
        ("easy-train-002", "TRAIN", ""),
        ("easy-train-003", "TRAIN", ""),
        ("easy-val-000", "VAL", ""),
        ("easy-test-000", "TEST", ""),
        ("easy-test-001", "TEST", ""),
    ]
    unlabelled = {"easy-train-002", "easy-train-003"}
    for row in listed:
        known = [row[column] != "" for column in ("EF", "EDV", "ESV")]
        assert known == [row["FileName"] not in unlabelled] * 3
    traced = {row["FileName"].removesuffix(".avi") for row in rows_of(written / "VolumeTracings.csv")}
    assert traced == {row["FileName"] for row in listed} - unlabelled


def test_unlabelled_cines_are_cases_without_masks_and_have_them_for_evaluation(written):
    dataset = open_dataset(written)
    assert dataset.dropped == {}
    cases = dataset.cases("train")
    assert [case.label_order for case in cases] == [0, 1, None, None]
    assert [len(dataset.load(case).masks) for case in cases] == [2, 2, 0, 0]
    last = cases[-1]
    assert (last.ef_percent, last.edv_ml, last.esv_ml, dict(dataset.load(last).instants)) == (None, None, None, {})
    cine = dataset.load(last, "all")
    assert list(cine.masks) == list(range(len(cine)))
    assert set(dataset.evaluation_extras(last)) == {"volume_ml", "visibility", "clear_from"}


def test_data_check_finds_no_fault_and_says_which_set_it_is(written):
    findings = check_dataset(written, deep=True)
    assert [str(finding) for finding in findings if finding.severity == "error"] == []
    sha256 = json.loads((written / "simulation.json").read_text())["sha256"]
    told = " ".join(str(finding) for finding in findings)
    assert f"benchmark set tiny-v1, 7 cases, content {sha256[:12]}, without frames " in told
    assert "2 training videos without tracings, EF and volumes, for example easy-train-002" in told


def reference_digests(cine, name: str, split: str, labelled: bool) -> tuple[str, str]:
    """As the documentation describes it, written apart from the code."""
    head = (
        f'{{"name": "{name}", "split": "{split}", "labelled": {str(labelled).lower()}, "fps": {float(cine.fps)}, '
        f'"ed_es": [{cine.ed_frame}, {cine.es_frame}], "shape": [{len(cine.frames)}, 112, 112]}}'
    )
    numbers = [round(float(v) * 10_000) for values in (cine.volume_ml, cine.visibility) for v in values]
    packed = b"".join(number.to_bytes(8, "little") for number in numbers)
    truth = hashlib.sha256(head.encode() + cine.labels.tobytes() + packed).hexdigest()
    return truth, hashlib.sha256(truth.encode() + cine.frames.tobytes()).hexdigest()


def test_the_hash_is_that_of_what_was_simulated(written):
    record = json.loads((written / "simulation.json").read_text())
    truths, digests = [], []
    for case in TINY.cases(written):
        cine = simulate(case.seed, preset="easy", fps=case.clip.fps, duration_s=case.clip.duration_s)
        truth, digest = reference_digests(cine, case.name, case.split, case.labelled)
        truths.append(truth)
        digests.append(digest)
    for key, expected in (("truth_sha256", truths), ("sha256", digests)):
        assert [case[key] for case in record["cases"]] == expected
        assert record[key] == hashlib.sha256("".join(f"{digest}\n" for digest in expected).encode()).hexdigest()
    assert set(record["made_with"]) == {"numpy", "scipy", "av", "python", "machine"}


def test_whatever_is_learned_or_scored_counts_for_the_hash_and_last_bits_do_not():
    cine = simulate(3, preset="easy", fps=10, duration_s=0.2)

    def digest(name="a", split="TRAIN", labelled=True, **changes):
        return truth_digest(replace(cine, **changes), name, split, labelled=labelled)

    frames, labels = cine.frames.copy(), cine.labels.copy()
    frames[1, 50, 50] ^= 1
    labels[0, 60, 60] ^= 1
    assert digest(frames=frames) == digest(), "a gray value of another processor"
    assert content_digest(digest(), frames) != content_digest(digest(), cine.frames)
    assert content_digest(digest(labelled=False), frames) != content_digest(digest(), frames)
    different = [
        digest(),
        digest(name="b"),
        digest(split="TEST"),
        digest(labelled=False),
        digest(labels=labels),
        digest(volume_ml=np.rint(cine.volume_ml) + 1e-4),
        digest(volume_ml=np.rint(cine.volume_ml)),
        digest(visibility=cine.visibility * 0.5),
        digest(ed_frame=cine.ed_frame + 1),
        digest(fps=11.0),
    ]
    assert len(set(different)) == len(different)
    assert digest(volume_ml=np.rint(cine.volume_ml) + 1e-9) == digest(volume_ml=np.rint(cine.volume_ml))


def test_every_file_is_signed(written):
    record = json.loads((written / "simulation.json").read_text())
    files = {name: data for name, data in contents(written).items() if name != "simulation.json"}
    assert set(record["files"]) == set(files)
    for name, data in files.items():
        assert record["files"][name] == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_a_set_is_written_the_same_again_over_another_simulation(tmp_path, tiny, written):
    seen = []
    write_set(tmp_path, tiny.name, limit=1)
    write_set(tmp_path, tiny.name, progress=lambda *n: seen.append(n))
    assert contents(tmp_path) == contents(written)
    assert seen == [(n, 7) for n in range(1, 8)]


def test_a_limited_set_is_a_part_of_the_whole_and_says_so(tmp_path, tiny, written):
    sha256 = write_set(tmp_path, tiny.name, limit=1)
    few, whole = contents(tmp_path), contents(written)
    names = {Path(name).stem for name in few if name.startswith("Videos")}
    assert names == {"easy-train-000", "easy-train-002", "easy-val-000", "easy-test-000"}
    assert all(whole[name] == data for name, data in few.items() if "/" in name)
    record = json.loads(few["simulation.json"])
    assert record["set"]["name"] == "tiny-v1[limit 1]"
    assert record["sha256"] == sha256 != json.loads(whole["simulation.json"])["sha256"]


def test_a_stopped_set_is_neither_listed_nor_signed(tmp_path, tiny):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path, tiny.name, limit=1, progress=stop)
    assert not list(tmp_path.glob("*.csv"))
    assert "sha256" not in json.loads((tmp_path / "simulation.json").read_text())


def test_what_is_no_set_is_refused(tmp_path, tiny):
    with pytest.raises(UsageError, match="simecho-v9: no such benchmark set; choose one of simecho-v1-standard, "):
        write_set(tmp_path / "new", "simecho-v9")
    with pytest.raises(UsageError, match="limit=0"):
        write_set(tmp_path / "new", tiny.name, limit=0)
    assert not (tmp_path / "new").exists()
