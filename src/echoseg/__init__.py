"""echoseg: left-ventricle segmentation of every frame of an echocardiogram, learned from two labelled frames.

    from echoseg import Segmenter, measure_cine

    segmentation = Segmenter.load("a4c")("clip.dcm")
    print(measure_cine(segmentation).summary)

Names are loaded when they are first used; none of them needs torch.
"""

from typing import TYPE_CHECKING

from echoseg.lazy import lazy_names
from echoseg.version import __version__

if TYPE_CHECKING:
    from echoseg.cine import Cine, CineMeta, Segmentation, Spacing, Structure, View
    from echoseg.clinical import measure_cine
    from echoseg.datasets import open_dataset
    from echoseg.engine import Segmenter
    from echoseg.io import open_cine, read_cine, read_masks


__all__ = [
    "Cine",
    "CineMeta",
    "Segmentation",
    "Segmenter",
    "Spacing",
    "Structure",
    "View",
    "__version__",
    "measure_cine",
    "open_cine",
    "open_dataset",
    "read_cine",
    "read_masks",
]

_HOME = {
    "Cine": "cine",
    "CineMeta": "cine",
    "Segmentation": "cine",
    "Segmenter": "engine",
    "Spacing": "cine",
    "Structure": "cine",
    "View": "cine",
    "measure_cine": "clinical",
    "open_cine": "io",
    "open_dataset": "datasets",
    "read_cine": "io",
    "read_masks": "io",
}

__getattr__ = lazy_names(__name__, _HOME)
