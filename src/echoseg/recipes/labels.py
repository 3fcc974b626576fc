"""Which training cines of a run are labelled, and which give unlabelled clips."""

from __future__ import annotations

import numpy as np

from echoseg.data import CineStore, long_enough
from echoseg.datasets import Dataset
from echoseg.datasets.label_split import css_label_split, listed_names
from echoseg.errors import InputError
from echoseg.recipes.base import DataConfig


def split_labels(train: CineStore, dataset: Dataset, data: DataConfig, seed: int) -> tuple[CineStore, CineStore]:
    """(labelled, unlabelled) training cines; those of the second carry no label.

    Args:
        train: the whole training split.
        dataset: where it comes from.
        data: label budget, and how it is drawn.
        seed: of the run; the split `css` does not depend on it.
    """
    if data.label_split == "css" and data.labelled_cines is not None:
        names = listed_names(dataset, "train")
        labelled, rest = css_label_split(names, data.labelled_cines, data.unlabelled_cines)
        chosen = train.named(labelled).labelled()
        if not len(chosen):
            raise InputError(
                f"{dataset.root}: none of the {len(labelled)} labelled cines has both ED and ES labelled; run "
                "`echoseg data check`"
            )
        return chosen, train.named(rest).without_labels()
    chosen, others = train.split_budget(data.labelled_cines, seed)
    if data.unlabelled_cines is None:
        return chosen, others
    kept = np.random.default_rng([seed, 0x1AC]).permutation(len(others))[: data.unlabelled_cines]
    return chosen, CineStore([others[i] for i in sorted(kept.tolist())])


def unlabelled_cines(labelled: CineStore, rest: CineStore, data: DataConfig) -> tuple[CineStore, int]:
    """The cines that give unlabelled clips, and the number of those that are too short for one.

    Args:
        labelled: cines with labels.
        rest: cines without.
        data: which of them, and how long a clip is.

    Raises:
        InputError: there are such cines, but all are too short.
    """
    own = labelled.without_labels()
    sources = {"unlabelled": rest, "labelled": own, "both": CineStore([*own, *rest])}
    wanted = sources[data.unlabelled_source]
    if data.unlabelled_clip_length is None or data.unlabelled_mirror:
        return wanted, 0
    kept = long_enough(wanted, data.unlabelled_clip_length, data.unlabelled_step_s)
    if len(wanted) and not len(kept):
        raise InputError(
            f"{wanted[0].case.id} and the {len(wanted) - 1} other cines of the unlabelled stream are all shorter than a clip "
            f"of {data.unlabelled_clip_length} frames, {data.unlabelled_step_s:g} s apart; lower "
            "--data.unlabelled-clip-length or --data.unlabelled-step-s, or play them to and fro with --data.unlabelled-mirror"
        )
    return kept, len(wanted) - len(kept)
