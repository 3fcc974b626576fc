"""DICOM sources, masks on them, and the programs that judge what is made of them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.dicom_studies import Tags, write_cine
from tests.programs import program

from echoseg.cine import MaskStack, Segmentation, UInt8
from echoseg.io import open_cine

MODEL = "tiny 1.0"


def source_file(folder: Path, shape: tuple[int, int, int], tags: Tags | None = None, **elements: object) -> Path:
    """An ultrasound cine of noise with these elements in place of the usual ones."""
    frames = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    tags = tags or Tags()
    return write_cine(folder / "source.dcm", frames, replace(tags, others={**tags.others, **elements}))


def random_masks(shape: tuple[int, int, int], labels: int = 4, *, empty: tuple[int, ...] = ()) -> UInt8:
    """Label masks in which every pixel is its own: nothing but the right bit at the right place gives them back."""
    masks = np.random.default_rng(labels).integers(0, labels, shape).astype(np.uint8)
    masks[list(empty)] = 0
    return masks


def segmented(path: Path, masks: UInt8, **changes: object) -> Segmentation:
    """Masks on a cine; `changes` are fields of its description."""
    meta = replace(open_cine(path).meta, **changes)
    return Segmentation(meta, MaskStack.from_array(masks), None, MODEL)


def check_valid(path: Path, iod: str) -> None:
    """Let dicom3tools judge an object.

    Args:
        path: the object.
        iod: what it has to be recognised as, in the words of dciodvfy.
    """
    answer = subprocess.run(
        [program("dciodvfy", "dicom3tools"), path], capture_output=True, text=True, check=False, timeout=120
    )
    said = (answer.stdout + answer.stderr).splitlines()
    assert iod in said, said
    assert not [line for line in said if line.startswith(("Error", "Abort"))], said
