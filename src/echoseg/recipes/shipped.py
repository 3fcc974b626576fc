"""The runs that made the models in `echoseg/models/`, and the one that trains the first of them on with a user's labels."""

from __future__ import annotations

from dataclasses import asdict, replace

from echoseg.data import AugmentConfig
from echoseg.methods.distilled import DistilledConfig
from echoseg.methods.framewise import FrameWiseConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.train import TrainConfig

_CAMUS = (
    "CAMUS (S. Leclerc et al., IEEE TMI 38(9), 2019), apical four-chamber ED and ES stills of 399 training patients; validated on 50 "
    "others. A quarter of the stills of a step is simulated (preset broad, both apical views of 700 patients). Random initial weights. "
    "CAMUS is licensed CC BY-NC-SA 4.0, and so are these weights: non-commercial use, attribution, share alike."
)
_LIMITS = (
    "Frame by frame: nothing is known of neighbouring frames.",
    "Real stills of one hospital's machines; other machines are covered by simulation and augmentation alone.",
    "The 50 validation patients also chose the checkpoint: expect a little less on unseen patients.",
    "Apical four-chamber views only; on any other view the masks mean nothing.",
)


def a4c() -> RunConfig:
    """The shipped model: a small U-Net on CAMUS A4C stills and, for a quarter, simulated ones (`--also`), augmented for other machines.

    The simulated stills are those of `echoseg simulate DIR --format camus --preset broad --foreshortened --fps 6 --splits 700 5 5 --seed 41`.
    """
    return RunConfig(
        "framewise",
        FrameWiseConfig(stages=3, decoder=(96, 64, 32), channels=4),
        DataConfig(
            size=160, stored_size=224, clip_length=2, batch=8, also_share=0.25, augment=AugmentConfig.machines()
        ),
        TrainConfig(
            steps=5600, steps_per_epoch=50, optimiser="adamw", lr=2e-3, warmup_steps=100, weight_decay=2e-2,
            average=0.999, validate_every=5,
        ),
        ModelInfo(
            name="a4c",
            version="2",
            summary=(
                "Left ventricle, myocardium and left atrium in apical four-chamber views, frame by frame: a ResNet-18 cut after "
                "its third stage with a U-Net decoder."
            ),
            data=_CAMUS,
            licence="CC BY-NC-SA 4.0",
            limits=_LIMITS,
            half=True,
        ),
    )  # fmt: skip


def a4c_fine() -> RunConfig:
    """The second part of the shipped model's training, with augmentation that is often mild: made version 3 (`--init RUN`) from the run of version 2."""
    first = a4c()
    augment = replace(first.data.augment, strength=(0.0, 1.0))
    return replace(
        first,
        data=replace(first.data, also_share=0.125, augment=augment),
        train=replace(first.train, steps=5200, lr=1.5e-3, weight_decay=1e-2, init="a4c"),
        model=replace(first.model, version="3", data=_CAMUS.replace("A quarter of", "A quarter, later an eighth of")),
    )


def a4c_final() -> RunConfig:
    """The third part of the shipped model's training: larger images, elastic deformation, more weight decay.

    `a4c` 4 was made with `--init MODEL` from the model folder of `a4c` 3; without it the shipped model is trained on once more.
    """
    second = a4c_fine()
    augment = replace(second.data.augment, elastic=0.03)
    return replace(
        second,
        data=replace(second.data, size=192, stored_size=256, augment=augment),
        train=replace(second.train, steps=3200, weight_decay=5e-2),
        model=replace(second.model, version="4"),
    )


def adapt() -> RunConfig:
    """The shipped `a4c` trained on with your own labelled cines; --network.channels 1 where they hold the LV alone."""
    shipped = a4c_final()
    return replace(
        shipped,
        data=replace(shipped.data, also_share=0.0),
        train=replace(
            shipped.train, steps=600, steps_per_epoch=20, lr=5e-4, warmup_steps=50, average=0.99, init="a4c"
        ),
        model=ModelInfo(
            name="a4c-adapted",
            summary="The shipped a4c, trained on with a user's own cines.",
            licence="CC BY-NC-SA 4.0, that of a4c's weights, and that of the training data",
            half=True,
        ),
    )  # fmt: skip


def a4c_small() -> RunConfig:
    """The small shipped model: a plain network at 112 px, trained on the stills of `a4c`."""
    large = a4c()
    augment = replace(large.data.augment, strength=(0.0, 1.0))
    return replace(
        large,
        network=FrameWiseConfig(backbone="plain", stages=3, decoder=(64, 32, 16), channels=4),
        data=replace(large.data, size=112, stored_size=160, also_share=0.125, augment=augment),
        train=replace(large.train, steps=9000),
        model=replace(
            large.model,
            name="a4c-small",
            version="3",
            summary=(
                "Left ventricle, myocardium and left atrium in apical four-chamber views, frame by frame, where every millisecond counts: "
                "a plain convolutional encoder with a U-Net decoder."
            ),
            data=_CAMUS.replace("A quarter of", "An eighth of"),
        ),
    )


def a4c_small_fine() -> RunConfig:
    """The second part of the small model's training: from the first (`--init RUN`), with `a4c` as its teacher.

    `a4c-small` 4 was made with the run of `a4c-small` 3; without `--init` the shipped model is trained on once more.
    """
    first = a4c_small()
    return replace(
        first,
        method="distilled",
        network=DistilledConfig(**asdict(first.network), share=0.7),
        data=replace(first.data, batch=4, augment=replace(first.data.augment, elastic=0.03)),
        train=replace(first.train, steps=900, lr=1e-3, weight_decay=5e-2, average=0.995, init="a4c-small"),
        model=replace(first.model, version="4", summary=f"{first.model.summary} It learned from labels and from a4c."),
    )


def a4c_sim() -> RunConfig:
    """The network of `a4c` on simulated stills alone: train it on those that `a4c` takes beside the real ones."""
    large = a4c()
    return replace(
        large,
        data=replace(large.data, size=128, stored_size=160, also_share=0.0),
        train=replace(large.train, steps=1800, weight_decay=1e-2, average=0.998),
        model=ModelInfo(
            name="a4c-sim",
            summary="Left ventricle, myocardium and left atrium in apical views, learned from simulation alone.",
            data="Simulated stills alone (echoseg's own simulator, preset broad, both apical views of 700 patients).",
            licence="Apache-2.0",
            limits=("Has never seen a real heart.", "Frame by frame: nothing is known of neighbouring frames."),
            half=True,
        ),
    )
