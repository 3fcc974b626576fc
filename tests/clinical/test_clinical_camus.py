"""Long axes of real expert masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from echoseg.cine import Spacing, Structure
from echoseg.clinical import ef_percent, find_discs, simpson_single_plane

pytestmark = pytest.mark.data


def _mask(path: Path) -> tuple[np.ndarray, Spacing]:
    import nibabel

    image = nibabel.load(path)
    x_mm, y_mm = image.header.get_zooms()[:2]
    return np.asarray(image.dataobj).squeeze().T.astype(np.uint8), Spacing(float(y_mm), float(x_mm))


@pytest.fixture(scope="module")
def patients(camus_root) -> list[Path]:
    return sorted((camus_root / "database_nifti").iterdir())[::5]


def test_the_shape_alone_finds_the_axis_that_the_atrium_tells(patients):
    ratios, apart = [], []
    for patient in patients:
        mask, spacing = _mask(next(patient.glob("*_4CH_ES_gt.nii.gz")))
        told, found = find_discs(mask, spacing), find_discs(mask == Structure.LV, spacing)
        ratios.append(simpson_single_plane(found) / simpson_single_plane(told))
        apart.append(np.linalg.norm(found.apex - told.apex) / told.length_mm)
    assert np.abs(np.array(ratios) - 1).max() < 0.02
    assert max(apart) < 0.25  # never at the other end


def test_the_ventricle_alone_is_never_taken_for_upside_down(patients):
    for patient in patients:
        mask, spacing = _mask(next(patient.glob("*_4CH_ED_gt.nii.gz")))
        discs = find_discs(mask == Structure.LV, spacing)
        assert discs.apex[0] < discs.base[0], patient.name


def test_single_plane_ef_follows_the_published_biplane_ef(patients):
    found, published = [], []
    for patient in patients:
        edv, esv = (
            simpson_single_plane(find_discs(*_mask(next(patient.glob(f"*_4CH_{instant}_gt.nii.gz")))))
            for instant in ("ED", "ES")
        )
        lines = (patient / "Info_4CH.cfg").read_text().splitlines()
        published += [float(line.split(":")[1]) for line in lines if line.startswith("EF:")]
        found.append(ef_percent(edv, esv))
    assert len(found) == len(published)
    assert np.corrcoef(found, published)[0, 1] > 0.8
    assert abs(np.mean(np.array(found) - published)) < 8
