"""Suites of runs that are compared with each other: the same cines, labels, steps and labelled clips a step for all.

A suite is a list of variants. Each semi-supervised variant names its control: the same run, learning from labels alone. What
belongs to a method stays as its own recipe has it: network, optimiser, learning rate, loss. What does not is the same for all:
size of the images, labels, augmentation, steps, labelled clips a step, validation. Ramps and curricula are stretched to the
length of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from echoseg.data import AugmentConfig
from echoseg.errors import UsageError
from echoseg.recipes import ef_recipe, recipe
from echoseg.recipes.base import ModelInfo, RunConfig
from echoseg.recipes.ef_base import EfRunConfig
from echoseg.train import TrainConfig

SET = "simecho-v1-mid"
LABELLED, SET_LABELLED = 20, 60
"""Labelled cines of the lite suite, and those of the whole set."""
ALL_LABELS = f"framewise-{SET_LABELLED}-labels"
"""Variant that has all labels of the set."""
SIZE, BATCH, CLIP = 112, 2, 6
EPOCHS = 50
"""Epochs of a run, whatever its length: curricula and snapshot teachers count them."""
LICENCE = "Apache-2.0 (trained on simulated cines)"

AUGMENT = AugmentConfig(
    rotate_deg=15.0, zoom=(0.82, 1.2), aspect=(0.92, 1.09), shift=0.06, gamma=(0.65, 1.5), contrast=(0.75, 1.3),
    brightness=0.1, blur_px=0.6, noise=0.04, speckle=0.15, shadow=0.3, gain=0.25,
)  # fmt: skip
"""That of all variants: what a student sees beside what its teacher sees is the same for all methods."""


@dataclass(frozen=True)
class Variant:
    """A way to train, for any seed.

    Attributes:
        name: in tables and folders.
        config: the run; its seed is replaced.
        control: name of the variant that learns from labels alone, None where there is none.
        says: what it is, a few words.
        needs: name of the variant whose run of the same seed this one is built on; it stands before.
    """

    name: str
    config: RunConfig | EfRunConfig
    control: str | None = None
    says: str = ""
    needs: str | None = None

    @property
    def method(self) -> str:
        """Name of its method."""
        return self.config.method


@dataclass(frozen=True)
class Cell:
    """A variant with a seed: one run."""

    variant: Variant
    seed: int

    @property
    def name(self) -> str:
        """Its name, also that of its folder."""
        return f"{self.variant.name}-s{self.seed}"

    @property
    def config(self) -> RunConfig | EfRunConfig:
        """The run, named after the cell."""
        config = self.variant.config
        info = ModelInfo(self.name, summary=self.variant.says, licence=LICENCE, limits=config.model.limits)
        return replace(config, train=replace(config.train, seed=self.seed), model=info)

    @property
    def needs(self) -> str | None:
        """Name of the cell that this one is built on."""
        return None if self.variant.needs is None else f"{self.variant.needs}-s{self.seed}"


@dataclass(frozen=True)
class Suite:
    """Variants on one data set.

    Attributes:
        name: of the suite.
        variants: in the order of the table; a control follows its variant.
        set_name: benchmark set that is simulated where no data folder is given.
        steps: optimiser steps of every run.
    """

    name: str
    variants: tuple[Variant, ...]
    set_name: str
    steps: int

    def cells(self, seeds: Sequence[int]) -> tuple[Cell, ...]:
        """All runs, seed after seed, so that a suite that was stopped early can be read."""
        return tuple(Cell(variant, seed) for seed in seeds for variant in self.variants)

    def only(self, methods: Sequence[str]) -> Suite:
        """The variants of some methods, or some variants, each with its control.

        Raises:
            UsageError: a name is neither that of a method of the suite nor that of a variant.
        """
        known = {v.method for v in self.variants} | {v.name for v in self.variants}
        for name in methods:
            if name not in known:
                raise UsageError(
                    f"--methods {name}: is not in suite {self.name}; choose among {', '.join(sorted(known))}"
                )
        chosen = {v.name for v in self.variants if v.method in methods or v.name in methods}
        chosen |= {v.control for v in self.variants if v.name in chosen and v.control is not None}
        for variant in reversed(self.variants):  # what is needed stands before what needs it
            if variant.name in chosen and variant.needs is not None:
                chosen.add(variant.needs)
        return replace(self, variants=tuple(v for v in self.variants if v.name in chosen))


def suite(name: str, steps: int | None = None) -> Suite:
    """The suite of that name.

    Args:
        name: one of `SUITES`.
        steps: optimiser steps of every run, None = the suite's own number.
    """
    if name not in SUITES:
        raise UsageError(f"suite {name!r} is not known; choose one of {', '.join(SUITES)}")
    build, usual = SUITES[name]
    chosen = usual if steps is None else steps
    if chosen < 1:
        raise UsageError(f"--steps {steps}: must be at least 1")
    return Suite(name, tuple(build(chosen)), SET, chosen)


def lite(steps: int, labelled: int = LABELLED) -> list[Variant]:
    """Every method at 112 px with small networks from random weights, and its supervised control.

    With all labels of the set the frame-wise network says how much there is to gain for methods that do without most of them.
    """
    return [
        Variant("framewise", _lite("framewise", steps, labelled, clip_length=2), None, "ED and ES frames alone"),
        Variant(
            ALL_LABELS,
            _lite("framewise", steps, SET_LABELLED, clip_length=2),
            "framewise",
            f"all {SET_LABELLED} labelled cines",
        ),
        *_pair(_mean_teacher(steps, labelled), "no consistency", consistency_weight=0.0),
        *_pair(_cps(steps, labelled), "two networks apart", cross_weight=0.0),
        *_pair(_css(steps, labelled), "no cyclical loss", unlabelled_batch=0),
        *_pair(_echoforge(steps, labelled), "no pseudo-labels", cpr=False, unlabelled_batch=0),
        *_pair(_ncm(steps, labelled), "no boundary constraint", boundary_weight=0.0, unlabelled_batch=0),
        *_pair(_lite("pkecho", steps, labelled), "ED and ES alone, no frame between", clip_length=2),
        *_pair(_sscf(steps, labelled), "no consistency", weight=0.0, unlabelled_batch=0),
    ]


def labels(steps: int) -> list[Variant]:
    """The methods of `lite` with 1/16, 1/8, 1/4 and 1/2 of the set's labelled cines: 4, 8, 15 and 30. All other training cines are unlabelled.

    The control is `framewise` with as many labels.
    """
    found = []
    for share in (16, 8, 4, 2):
        count, end = round(SET_LABELLED / share + 0.01), f"-1of{share}"
        for variant in lite(steps, count):
            if variant.name == ALL_LABELS:
                continue
            if variant.name == "framewise" or variant.control is not None:
                control = None if variant.name == "framewise" else f"framewise{end}"
                found.append(Variant(variant.name + end, variant.config, control, f"{count} labelled cines"))
    return found


def ablations(steps: int) -> list[Variant]:
    """What the parts of each method are worth, as in the papers' tables, at the size of `lite`; the whole methods are the cells of `lite`."""
    return [*_echoforge_parts(steps), *_pkecho_parts(steps), *_sscf_parts(steps), *_css_parts(steps)]


def _echoforge_parts(steps: int) -> list[Variant]:
    full = _echoforge(steps, LABELLED)
    off: dict[str, dict[str, Any]] = {
        "none": {"tsf": False, "arc": False, "cpr": False},
        "tsf": {"arc": False, "cpr": False},
        "arc": {"tsf": False, "cpr": False},
        "tsf-arc": {"cpr": False},
        "tsf-cpr": {"arc": False},
    }
    parts = [Variant(f"echoforge-{name}", _changed(full, **change), None, name) for name, change in off.items()]
    anchors = [
        Variant(f"echoforge-anchors{n}", _changed(full, anchors=n), "echoforge", f"{n} anchors") for n in (1, 3, 4)
    ]
    return [*parts, Variant("echoforge", full, "echoforge-none", full.model.summary), *anchors]


def _pkecho_parts(steps: int) -> list[Variant]:
    full = _lite("pkecho", steps, LABELLED)
    proxies = {"bilinear": (), "interval2": (32, 8), "interval3": (32, 4)}
    return [
        Variant("pkecho", full, None, full.model.summary),
        *(
            Variant(f"pkecho-mrp-{name}", _changed(full, region_proxies=strides), "pkecho", f"MRP {name}")
            for name, strides in proxies.items()
        ),
        *(
            Variant(f"pkecho-kss{n}", _changed(full, iterations=n), "pkecho", f"KSS, {n} iterations")
            for n in (0, 1, 2, 4)
        ),
    ]


def _sscf_parts(steps: int) -> list[Variant]:
    full = _sscf(steps, LABELLED)
    return [
        Variant("sscf", full, "sscf-none", full.model.summary),
        Variant("sscf-none", _changed(full, tce=False, bssf=False), None, "neither TCE nor BSSF"),
        Variant("sscf-tce", _changed(full, bssf=False), "sscf-none", "TCE alone"),
        Variant("sscf-bssf", _changed(full, tce=False), "sscf-none", "BSSF alone"),
    ]


def _css_parts(steps: int) -> list[Variant]:
    """EF from frames and masks of stage 1 (Seg), with its cyclical loss (CSS), and distilled to frames alone (Dist)."""
    full, supervised = _pair(_css(steps, LABELLED), "no cyclical loss", unlabelled_batch=0)
    guided, distilled = (_ef(f"css-ef-{stage}-lite", steps) for stage in ("m", "e"))
    alone = replace(distilled, network=replace(distilled.network, unlabelled_weight=0.0))
    return [
        full,
        supervised,
        Variant("css-ef-seg", guided, None, "EF: Seg", supervised.name),
        Variant("css-ef-css", guided, "css-ef-seg", "EF: Seg and CSS", full.name),
        Variant("css-ef-dist", distilled, "css-ef-alone", "EF: Seg, CSS and Dist", "css-ef-css"),
        Variant("css-ef-alone", alone, None, "EF: frames alone, no Dist", "css-ef-css"),
    ]


def _ef(name: str, steps: int) -> EfRunConfig:
    """A lite recipe of an EF network with the suite's schedule; which cines are labelled is said by stage 1."""
    config = ef_recipe(name)
    return replace(config, train=_schedule(config.train, steps))


def paper(steps: int) -> list[Variant]:
    """The published networks and sizes in bf16, for a GPU: ResNet-50 at 256 px, PKEcho-Net at 320 px, CSS at 112 px; random weights."""
    return [
        replace(variant, config=_at_paper_size(variant.config))
        for variant in lite(steps)
        if isinstance(variant.config, RunConfig)
    ]


PAPER: dict[str, tuple[str, tuple[str, ...]]] = {
    "css": ("echonet-css", ("cycle",)),
    "echoforge": ("camus-echoforge", ("cpr",)),
    "ncm": ("camus-ncm", ("boundary_weight", "boundary_ramp")),
    "pkecho": ("camus-pkecho", ()),
    "sscf": ("camus-sscf", ("weight", "ramp", "decay")),
}
"""Method -> recipe of its published setting, and settings of the network that stay the suite's: ramps, and what makes a control."""


def _at_paper_size(config: RunConfig) -> RunConfig:
    """The published network, size and optimiser with the suite's labels, clips and steps; baselines get ResNet-50 and 256 px."""
    if config.method not in PAPER:
        larger = replace(config.network, backbone="resnet50")
        return replace(config, network=larger, data=replace(config.data, size=256))
    name, kept = PAPER[config.method]
    published = recipe(name)
    network = replace(published.network, **{key: getattr(config.network, key) for key in kept})
    train = replace(_schedule(published.train, config.train.steps), precision="bf16-mixed")
    return replace(config, network=network, data=replace(config.data, size=published.data.size), train=train)


def _lite(method: str, steps: int, labelled: int, **data: Any) -> RunConfig:
    """The lite recipe of a method with what all runs of a suite share."""
    config = recipe(method if method == "framewise" else f"{method}-lite")
    shared: dict[str, Any] = {
        "size": SIZE, "batch": BATCH, "clip_length": CLIP, "unlabelled_batch": 0, "labelled_cines": labelled, "augment": AUGMENT,
    }  # fmt: skip
    return replace(config, data=replace(config.data, **shared | data), train=_schedule(config.train, steps))


def _schedule(train: TrainConfig, steps: int) -> TrainConfig:
    """The optimiser of a recipe over the suite's steps."""
    epoch = max(1, steps // EPOCHS)
    return replace(
        train, steps=steps, steps_per_epoch=epoch, warmup_steps=steps // 20, validate_every=10, checkpoint_every=5
    )


def _mean_teacher(steps: int, labelled: int) -> RunConfig:
    """Hard targets of a teacher that has learned for half of the run: soft ones from the start gain nothing here."""
    config = _lite("meanteacher", steps, labelled, clip_length=4, unlabelled_batch=BATCH, unlabelled_step_s=0.1)
    return _changed(config, target="hard", threshold=0.8, start=steps // 2, ramp=steps // 16, frames=2)


def _cps(steps: int, labelled: int) -> RunConfig:
    config = _lite("cps", steps, labelled, clip_length=4, unlabelled_batch=BATCH, unlabelled_step_s=0.1)
    return _changed(config, ramp=steps * 3 // 4, frames=2)


def _css(steps: int, labelled: int) -> RunConfig:
    """One clip of 21 frames over 1.6 s beside the labelled frames; cines that are shorter give none."""
    return _lite("css", steps, labelled, clip_length=2, unlabelled_batch=1, unlabelled_step_s=0.08)


def _echoforge(steps: int, labelled: int) -> RunConfig:
    """Patches of one feature pixel: a map of 7 x 7 has no tiles of two, and a seventh of the image is about the paper's share."""
    return _changed(_lite("echoforge", steps, labelled, unlabelled_batch=BATCH // 2), patch=1)


def _ncm(steps: int, labelled: int) -> RunConfig:
    config = _lite("ncm", steps, labelled, unlabelled_batch=BATCH // 2)
    return _changed(config, boundary_ramp=steps * 2 // 5)


def _sscf(steps: int, labelled: int) -> RunConfig:
    """The teacher remembers one epoch: with the paper's 100 steps it would trail a student that has learned all it knows in 500."""
    config = _lite("sscf", steps, labelled, unlabelled_batch=BATCH, unlabelled_source="both")
    return _changed(config, ramp=steps, decay=max(0.0, min(config.network.decay, 1 - EPOCHS / steps)))


def _pair(config: RunConfig, without: str, **off: Any) -> tuple[Variant, Variant]:
    """A method and its control, which lacks what learns without labels."""
    control = f"{config.method}-supervised"
    return (
        Variant(config.method, config, control, config.model.summary),
        Variant(control, _changed(config, **off), None, without),
    )


def _changed(config: RunConfig, **changes: Any) -> RunConfig:
    """The run with other settings of its network or its data, told apart by their names."""
    names = {name for name in changes if hasattr(config.network, name)}
    network = replace(config.network, **{name: changes[name] for name in names})
    data = replace(config.data, **{name: value for name, value in changes.items() if name not in names})
    return replace(config, network=network, data=data)


SUITES: dict[str, tuple[Callable[[int], list[Variant]], int]] = {
    "ablations": (ablations, 500),
    "labels": (labels, 500),
    "lite": (lite, 500),
    "paper": (paper, 10_000),
}
"""Name -> its variants as a function of the steps, and its usual number of steps."""
