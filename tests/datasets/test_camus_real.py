"""The real CAMUS stills, where they lie beside the repository."""

from pathlib import Path

import numpy as np
import pytest

from echoseg.cine import Instant
from echoseg.datasets import check_dataset, open_dataset

ROOT = Path(__file__).parents[3] / "shared" / "data" / "camus_a4c_edes"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not ROOT.is_dir(), reason=f"the real CAMUS stills are not in {ROOT}"),
]


def test_399_patients_train_and_50_validate():
    dataset = open_dataset(ROOT)
    assert {split: len(dataset.cases(split)) for split in dataset.splits()} == {"train": 399, "val": 50}
    assert dict(dataset.dropped) == {}
    assert len({case.patient for split in dataset.splits() for case in dataset.cases(split)}) == 449
    assert "patient0039" not in {case.patient for case in dataset.cases("train")}


def test_every_validation_case_loads_the_right_way_up():
    dataset = open_dataset(ROOT)
    below = []
    for case in dataset.cases("val"):
        cine = dataset.load(case)
        assert cine.instants == {Instant.ED: 0, Instant.ES: 1}
        assert cine.spacing is not None
        assert cine.spacing.square
        assert (cine.masks[0] == 1).sum() > (cine.masks[1] == 1).sum()
        ventricle, atrium = (np.argwhere(cine.masks[0] == label)[:, 0].mean() for label in (1, 3))
        below.append(atrium > ventricle)
    assert all(below)  # in an apical view the apex is on top, so the left atrium lies below the ventricle


def test_patient_0001_as_documented():
    dataset = open_dataset(ROOT)
    (case,) = (case for case in dataset.cases("train") if case.patient == "patient0001")
    assert (case.ef_percent, case.quality) == (54, "Good")
    cine = dataset.load(case)
    assert cine.meta.shape == (389, 549)  # stored [x, y] as 549 x 389
    assert cine.spacing.row_mm == cine.spacing.col_mm == pytest.approx(0.308)


@pytest.mark.slow
def test_check_finds_what_is_known_about_this_copy():
    findings = check_dataset(ROOT)
    assert not [str(finding) for finding in findings if finding.severity == "error"]
    warnings = " ".join(str(finding) for finding in findings if finding.severity == "warning")
    assert (
        "patient0185" in warnings
    )  # EF of 9 % and of 57 % in a third party's table, against 48 % and 20 % by the masks
    assert "patient0291" in warnings
    assert "patient0033_4CH_ED.nii.gz: same content as" in warnings
