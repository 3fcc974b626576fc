"""Which training cines of EchoNet-Dynamic are labelled in the semi-supervised protocol of CSS.

W. Dai et al., IEEE TMI 41(6), 2022, as their published code does it: the file names of the training split, in the order of
FileList.csv, are shuffled by numpy's legacy generator with seed 0; the first are labelled, the next are unlabelled, the rest
is left out.

    1/8: 920 and 6440      1/4: 1840 and 5520      1/2: 3680 and 3680
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from echoseg.datasets.base import Dataset
from echoseg.datasets.echonet import EchoNetDataset


def css_label_split(
    names: Sequence[str], labelled: int, unlabelled: int | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(labelled, unlabelled) names, each in the order of the shuffle.

    Args:
        names: of the training split, in published order.
        labelled: number of labelled names.
        unlabelled: number of unlabelled names, None = all others.

    Example:
        >>> css_label_split("abcdefghij", 3, 4)
        (('c', 'i', 'e'), ('j', 'b', 'g', 'h'))
    """
    shuffled = np.array(list(names), dtype=object)
    # the legacy generator on purpose, and a local one: the published split is its permutation
    np.random.RandomState(0).shuffle(shuffled)
    last = None if unlabelled is None else labelled + unlabelled
    return tuple(shuffled[:labelled].tolist()), tuple(shuffled[labelled:last].tolist())


def listed_names(dataset: Dataset, split: str) -> tuple[str, ...]:
    """Names of a split: for EchoNet-Dynamic in the order of FileList.csv, with those that cannot be used; else sorted."""
    if isinstance(dataset, EchoNetDataset) and dataset.split_scheme == "official":
        return tuple(row.stem for row in dataset.tables.videos if row.split == split)
    return tuple(case.id for case in dataset.cases(split))
