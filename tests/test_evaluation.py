"""Evaluation: a perfect model, a blind one, a broken video, and files that any JSON reader takes."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from echoseg.cine import Cine, Instant, MaskStack, Segmentation
from echoseg.datasets import Dataset, open_dataset
from echoseg.errors import InputError, ModelError, UsageError
from echoseg.evaluation import evaluate_model, sampled_frames

ALL_LABELS = {1: "LV", 2: "MYOCARDIUM", 3: "LA"}
Draw = Callable[[Cine, np.ndarray], np.ndarray]


class Known:
    """A segmenter that looks the masks up, and then draws something else if it is told to."""

    def __init__(self, dataset: Dataset, draw: Draw | None = None, structures: dict[int, str] | None = None) -> None:
        self.config = SimpleNamespace(title="known 1", structures=structures or {1: "LV"})
        self.draw = draw or (lambda _cine, masks: masks)
        self.exact = {}
        for split in dataset.splits():
            for case in dataset.cases(split):
                cine = dataset.load(case, "all")
                self.exact[cine.source] = cine.masks

    def __call__(self, cine: Cine) -> Segmentation:
        masks = np.stack([{**self.exact[cine.source], **cine.masks}[frame] for frame in range(len(cine))])
        return Segmentation(cine.meta, MaskStack.from_array(self.draw(cine, masks)), None, "known 1")


def blind(_cine: Cine, masks: np.ndarray) -> np.ndarray:
    return np.zeros_like(masks)


def frozen_at_ed(cine: Cine, masks: np.ndarray) -> np.ndarray:
    """A heart that does not beat."""
    return np.repeat(masks[cine.instants[Instant.ED]][None], len(masks), axis=0)


def strict(text: str) -> Any:
    """JSON as everybody else reads it: NaN and Infinity are errors."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} in JSON")

    return json.loads(text, parse_constant=refuse)


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def echonet(simulated_echonet) -> Dataset:
    return open_dataset(simulated_echonet)


@pytest.fixture(scope="module")
def camus(simulated_camus) -> Dataset:
    return open_dataset(simulated_camus)


@pytest.mark.parametrize("frames", ["edes", "all"])
def test_perfect_masks_score_perfectly(echonet, frames):
    document = evaluate_model(Known(echonet), echonet, frames=frames)
    lv = document["LV"]["all"]
    assert lv["dice"]["mean"] == 1
    assert lv["dice_pooled"]["mean"] == 1
    assert {name: found["mean"] for name, found in lv["distances"].items()} == dict.fromkeys(lv["distances"], 0)
    ef = document["ef"]["labelled frames against expert masks"]
    assert (ef["n"], ef["bias"], ef["sd"], ef["mae"], ef["unmeasured"]) == (2, 0, 0, 0, 0)
    assert document["data"]["failed"] == {}
    assert document["model"] == "known 1"


def test_edes_scores_two_frames_of_a_case_and_all_scores_every_one(echonet):
    edes, everything = (evaluate_model(Known(echonet), echonet, frames=f)["LV"] for f in ("edes", "all"))
    cines = [echonet.load(case) for case in echonet.cases("test")]
    assert (edes["all"]["n_cases"], edes["all"]["n_frames"]) == (2, 4)
    assert everything["all"]["n_frames"] == sum(map(len, cines)) == 60
    assert everything["ED"]["n_frames"] == everything["ES"]["n_frames"] == 2
    assert everything["sampled"]["n_frames"] == sum(len(sampled_frames(cine)) for cine in cines)


def test_sampled_frames_are_ten_from_ed_to_es(echonet):
    cine = echonet.load(echonet.cases("test")[0])
    found = sampled_frames(cine)
    ends = {cine.instants[Instant.ED], cine.instants[Instant.ES]}
    assert ends <= found
    assert len(found) == min(10, abs(np.subtract(*ends)) + 1)
    assert (min(found), max(found)) == (min(ends), max(ends))


def test_camus_is_scored_in_millimetres_by_structure_and_quality(camus):
    document = evaluate_model(Known(camus, structures=ALL_LABELS), camus, frames="edes")
    assert document["LV"]["all"]["distance_unit"] == "mm"
    assert {name: found["dice"]["mean"] for name, found in document["structures"].items()} == {
        "MYOCARDIUM": 1,
        "LA": 1,
    }
    qualities = {f"quality {case.quality}" for case in camus.cases("test")}
    assert qualities <= document["LV"].keys()


def test_a_model_of_the_lv_alone_is_not_blamed_for_other_structures(camus):
    """It once scored Dice 0 for a myocardium that it never draws."""
    document = evaluate_model(Known(camus), camus, frames="edes")
    assert document["structures"] == {}
    assert not [name for name, _ in document["table"] if "MYOCARDIUM" in name or name.startswith("LA ")]


def test_a_still_heart_has_no_ejection(echonet, tmp_path):
    document = evaluate_model(Known(echonet, frozen_at_ed), echonet, out=tmp_path)
    reference = [float(row["ef_reference_percent"]) for row in table_of(tmp_path / "cases.csv")]
    ef = document["ef"]["labelled frames against expert masks"]
    assert ef["bias"] == pytest.approx(-np.mean(reference), abs=1e-3)
    assert ef["mae"] == pytest.approx(np.mean(reference), abs=1e-3)
    assert ef["r"] is None
    assert document["LV"]["ED"]["dice"]["mean"] == 1
    assert document["LV"]["ES"]["dice"]["mean"] < 0.95
    assert document["area_roughness"] == 0


def test_ef_is_compared_with_masks_and_with_the_table(echonet, tmp_path):
    document = evaluate_model(Known(echonet), echonet, frames="all", out=tmp_path)
    rows = table_of(tmp_path / "cases.csv")
    assert [row["case"] for row in rows] == [case.id for case in echonet.cases("test")]
    for row, case in zip(rows, echonet.cases("test"), strict=True):
        assert row["ef_predicted_percent"] == row["ef_reference_percent"]
        assert float(row["ef_published_percent"]) == pytest.approx(case.ef_percent, abs=1e-3)
        # discs of one plane against the solid that was simulated, and another beat than the labelled one
        assert float(row["ef_reference_percent"]) == pytest.approx(case.ef_percent, abs=8)
        assert row["ef_found_percent"] == "" or abs(float(row["ef_found_percent"]) - case.ef_percent) < 12
    gaps = [float(row["ef_predicted_percent"]) - float(row["ef_published_percent"]) for row in rows]
    assert document["ef"]["labelled frames against published"]["bias"] == pytest.approx(np.mean(gaps), abs=1e-3)


def test_a_blind_model_is_counted_and_charged_not_dropped(echonet, tmp_path):
    document = evaluate_model(Known(echonet, blind), echonet, frames="edes", out=tmp_path)
    lv = document["LV"]["all"]
    assert (lv["dice"]["mean"], lv["n_empty_pred"], lv["n_frames"]) == (0, 4, 4)
    assert lv["distances"]["hd95_pooled"]["mean"] is None
    assert lv["penalised"]["hd95_pooled"]["mean"] == pytest.approx(np.hypot(112, 112), rel=0.02)
    assert document["ef"] == {}
    assert {row["ef_predicted_percent"] for row in table_of(tmp_path / "cases.csv")} == {""}
    assert ["LV HD95 (pooled distances)", "undefined"] in document["table"]


@pytest.mark.parametrize("draw", [None, blind, frozen_at_ed])
@pytest.mark.parametrize("frames", ["edes", "all"])
def test_the_written_json_has_no_nan(echonet, tmp_path, draw, frames):
    document = evaluate_model(Known(echonet, draw), echonet, frames=frames, out=tmp_path)
    assert strict((tmp_path / "evaluation.json").read_text()) == document


def test_files_hold_a_row_for_every_case_and_frame(echonet, tmp_path):
    evaluate_model(Known(echonet), echonet, frames="all", out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.csv", "evaluation.json", "frames.csv"]
    frames = table_of(tmp_path / "frames.csv")
    assert len(frames) == 60
    assert {row["instant"] for row in frames} == {"ED", "ES", "between"}
    assert {(row["structure"], float(row["dice"]), float(row["hd95"])) for row in frames} == {("LV", 1.0, 0.0)}


def test_a_broken_video_is_counted_and_the_others_are_scored(simulated_echonet, tmp_path):
    copy = shutil.copytree(simulated_echonet, tmp_path / "copy")
    segmenter = Known(open_dataset(copy))
    broken, sound = (case.id for case in open_dataset(copy).cases("test"))
    (copy / "Videos" / f"{broken}.avi").write_bytes(b"RIFF no video at all")
    document = evaluate_model(segmenter, open_dataset(copy), out=tmp_path / "out")
    assert list(document["data"]["failed"]) == [broken]
    assert f"{broken}.avi" in document["data"]["failed"][broken]
    assert document["data"]["cases"] == 1
    assert document["LV"]["all"]["dice"]["mean"] == 1
    # one case has no agreement to speak of
    assert document["ef"] == {}
    assert [row["case"] for row in table_of(tmp_path / "out" / "cases.csv")] == [sound]
    strict((tmp_path / "out" / "evaluation.json").read_text())


def test_nothing_to_score_is_an_error_and_writes_nothing(simulated_echonet, tmp_path):
    copy = shutil.copytree(simulated_echonet, tmp_path / "copy")
    segmenter = Known(open_dataset(copy))
    for video in (copy / "Videos").iterdir():
        video.write_bytes(b"")
    with pytest.raises(InputError, match="no LV of split 'test' could be scored; run `echoseg data check`"):
        evaluate_model(segmenter, open_dataset(copy), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_broken_model_is_not_taken_for_a_broken_case(echonet):
    def raising(_cine, _masks):
        raise ModelError("model.onnx: damaged")

    with pytest.raises(ModelError, match="damaged"):
        evaluate_model(Known(echonet, raising), echonet)


def test_the_same_model_gives_the_same_document(echonet):
    one, two = (evaluate_model(Known(echonet, frozen_at_ed), echonet) for _ in range(2))
    assert one == two
    assert all(len(row) == 2 and all(isinstance(cell, str) for cell in row) for row in one["table"])


SEEN = np.where(np.arange(30) < 12, 0.8, 0.79)
"""The first twelve frames are just clear, the other eighteen just not."""


def with_visibility(root: Path, **arrays: Any) -> Dataset:
    """Write down for every frame how much of it can be seen."""
    for path in (root / "EvaluationMasks").iterdir():
        with np.load(path) as stored:
            kept = {"masks": stored["masks"], "visibility": SEEN, "clear_from": 0.8} | arrays
        np.savez(path, **{name: array for name, array in kept.items() if array is not None})
    return open_dataset(root)


def blind_where_nothing_is_seen(_cine: Cine, masks: np.ndarray) -> np.ndarray:
    return np.where((SEEN < 0.8)[:, None, None], 0, masks).astype(np.uint8)


def test_clear_and_dropout_frames_are_scored_apart(simulated_echonet, tmp_path):
    dataset = with_visibility(shutil.copytree(simulated_echonet, tmp_path / "copy"))
    document = evaluate_model(Known(dataset, blind_where_nothing_is_seen), dataset, frames="all", out=tmp_path / "out")
    assert document["visibility"] == {"clear_from": 0.8, "frames": {"clear": 24, "dropout": 36}}
    lv = document["LV"]
    assert [(lv[g]["n_cases"], lv[g]["n_frames"], lv[g]["dice"]["mean"]) for g in ("all", "clear", "dropout")] == [
        (2, 60, pytest.approx(0.4)),
        (2, 24, 1),
        (2, 36, 0),
    ]
    assert lv["clear"]["distances"]["hd95_pooled"]["mean"] == 0
    assert lv["clear"]["dice"]["interval"] == [1, 1]
    table = dict(document["table"])
    assert table["LV Dice, 24 clear frames"] == "100.00 (100.00 to 100.00) %"
    assert table["LV HD95, 24 clear frames"].startswith("0.00 (0.00 to 0.00) px")
    assert table["LV Dice, 36 dropout frames"].startswith("0.00 ")
    assert table["LV HD95, 36 dropout frames"] == "undefined"
    for row in table_of(tmp_path / "out" / "cases.csv"):
        assert (float(row["lv_dice_clear"]), float(row["lv_dice_dropout"])) == (1, 0)
    for row in table_of(tmp_path / "out" / "frames.csv"):
        clear = int(row["frame"]) < 12
        assert (row["border"], float(row["visibility"])) == (("clear", 0.8) if clear else ("dropout", 0.79))


def test_a_group_without_frames_is_said_to_be_empty(simulated_echonet, tmp_path):
    dataset = with_visibility(shutil.copytree(simulated_echonet, tmp_path / "copy"), visibility=np.ones(30))
    document = evaluate_model(Known(dataset), dataset, frames="edes", out=tmp_path / "out")
    assert document["visibility"]["frames"] == {"clear": 4, "dropout": 0}
    assert "dropout" not in document["LV"]
    assert ["LV Dice, 0 dropout frames", "none to score"] in document["table"]
    assert {row["lv_dice_dropout"] for row in table_of(tmp_path / "out" / "cases.csv")} == {""}


@pytest.mark.parametrize("missing", ["visibility", "clear_from"])
def test_without_visibility_nothing_is_said_of_it(simulated_echonet, tmp_path, missing):
    dataset = with_visibility(shutil.copytree(simulated_echonet, tmp_path / "copy"), **{missing: None})
    document = evaluate_model(Known(dataset), dataset, frames="all", out=tmp_path / "out")
    assert "visibility" not in document
    assert {"clear", "dropout"}.isdisjoint(document["LV"])
    assert not [name for name, _ in document["table"] if "clear" in name or "dropout" in name]
    assert "lv_dice_clear" not in table_of(tmp_path / "out" / "cases.csv")[0]
    assert "border" not in table_of(tmp_path / "out" / "frames.csv")[0]


def test_visibility_of_another_number_of_frames_fails_the_case(simulated_echonet, tmp_path):
    dataset = with_visibility(shutil.copytree(simulated_echonet, tmp_path / "copy"))
    case = dataset.cases("test")[0].id
    path = dataset.root / "EvaluationMasks" / f"{case}.npz"
    with np.load(path) as stored:
        np.savez(path, masks=stored["masks"], visibility=SEEN[:-1], clear_from=0.8)
    document = evaluate_model(Known(dataset), dataset)
    assert list(document["data"]["failed"]) == [case]
    assert "simulate the folder again" in document["data"]["failed"][case]


def test_the_simulation_is_named_and_changes_are_seen(simulated_echonet, camus, tmp_path):
    root = shutil.copytree(simulated_echonet, tmp_path / "copy")
    dataset = open_dataset(root)
    segmenter = Known(dataset)
    record = json.loads((root / "simulation.json").read_text())
    found = evaluate_model(segmenter, dataset)["data"]["simulation"]
    assert found == {
        "set": None,
        "sha256": record["sha256"],
        "truth_sha256": record["truth_sha256"],
        "title": f"simulation {record['sha256'][:12]}",
        "changed": [],
    }
    (root / "EvaluationMasks" / f"{dataset.cases('train')[0].id}.npz").unlink()
    (changed,) = evaluate_model(segmenter, dataset)["data"]["simulation"]["changed"]
    assert changed == f"EvaluationMasks/{dataset.cases('train')[0].id}.npz"
    assert "simulation" not in evaluate_model(Known(camus), camus, frames="edes")["data"], "CAMUS is not signed"


def test_unlabelled_cines_have_masks_to_score_but_no_ejection(simulated_echonet, tmp_path):
    """Of a benchmark set's training split, too, every frame can be scored."""
    root = shutil.copytree(simulated_echonet, tmp_path / "copy")
    case = open_dataset(root).cases("train")[0].id
    listed = [line.split(",") for line in (root / "FileList.csv").read_text().splitlines()]
    listed = [[row[0], "", "", "", *row[4:]] if row[0] == case else row for row in listed]
    (root / "FileList.csv").write_text("".join(",".join(row) + "\n" for row in listed))
    traced = (root / "VolumeTracings.csv").read_text().splitlines(keepends=True)
    (root / "VolumeTracings.csv").write_text("".join(line for line in traced if not line.startswith(case)))
    dataset = open_dataset(root)
    document = evaluate_model(Known(dataset), dataset, split="train", frames="all")
    assert (document["data"]["cases"], document["data"]["failed"]) == (4, {})
    assert document["LV"]["all"]["n_frames"] == 120
    agreement = document["ef"]["labelled frames against expert masks"]
    assert (agreement["n"], agreement["unmeasured"]) == (3, 1)


def test_progress_counts_the_cases(echonet):
    seen = []
    evaluate_model(Known(echonet), echonet, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 2), (2, 2)]


def test_words_that_are_not_known_are_refused(echonet):
    with pytest.raises(UsageError, match="frames='some': choose edes or all"):
        evaluate_model(Known(echonet), echonet, frames="some")
    with pytest.raises(UsageError, match="split 'holdout'"):
        evaluate_model(Known(echonet), echonet, split="holdout")
