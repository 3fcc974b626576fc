"""The suites: what their variants share, and in what a control differs."""

import dataclasses
import json

import pytest
import torch

from echoseg.errors import UsageError
from echoseg.methods import METHODS, build_method
from echoseg.methods.ef import build_ef_method
from echoseg.recipes.base import config_from_json
from echoseg.recipes.ef_base import EfRunConfig, ef_config_from_json
from echoseg.recipes.suites import ALL_LABELS, SUITES, Cell, suite

STEPS = 500


@pytest.fixture(params=sorted(SUITES))
def chosen(request):
    return suite(request.param, STEPS)


def by_name(name: str) -> dict:
    return {variant.name: variant for variant in suite(name, STEPS).variants}


def test_every_variant_builds_its_network_and_survives_its_record(chosen):
    for variant in chosen.variants:
        config = Cell(variant, 3).config
        regresses = isinstance(config, EfRunConfig)
        with torch.device("meta"):
            build = build_ef_method if regresses else build_method
            assert build(config.method, config.network).inference_parameters() > 1e5
        read = ef_config_from_json if regresses else config_from_json
        assert read(json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_all_variants_have_the_same_steps_labels_and_labelled_clips(chosen):
    for variant in chosen.variants:
        data, train = variant.config.data, variant.config.train
        assert (train.steps, train.steps_per_epoch) == (STEPS, STEPS // 50)
        if isinstance(variant.config, EfRunConfig):
            continue  # its labels are those of the run that it is built on
        assert data.batch == 2
        assert data.augment == chosen.variants[0].config.data.augment
        if chosen.name != "labels":
            assert data.labelled_cines == (60 if variant.name == ALL_LABELS else 20)
        if chosen.name != "paper":
            assert data.size == 112


def test_names_are_unique_and_controls_are_in_the_suite(chosen):
    names = [variant.name for variant in chosen.variants]
    assert len(set(names)) == len(names)
    assert {variant.control for variant in chosen.variants} - {None} <= set(names)
    assert {cell.name for cell in chosen.cells((0, 1))} == {f"{name}-s{seed}" for name in names for seed in (0, 1)}


def test_what_a_variant_needs_stands_before_it(chosen):
    before: set[str] = set()
    for variant in chosen.variants:
        assert variant.needs is None or variant.needs in before
        assert isinstance(variant.config, EfRunConfig) == (variant.needs is not None)
        before.add(variant.name)


def test_lite_has_every_method_with_a_control_of_its_own():
    found = by_name("lite")
    compared = set(METHODS) - {"distilled"}  # it needs a teacher that has seen other labels
    assert {variant.method for variant in found.values()} == compared
    for name in compared:
        assert found[name].control == (None if name == "framewise" else f"{name}-supervised")


def test_one_variant_says_what_the_missing_labels_are_worth():
    found = by_name("lite")
    ours, control = found[ALL_LABELS].config, found[found[ALL_LABELS].control].config
    assert dataclasses.replace(ours, data=dataclasses.replace(ours.data, labelled_cines=20)) == control


@pytest.mark.parametrize("name", ["lite", "paper"])
def test_a_control_differs_in_nothing_but_what_learns_without_labels(name):
    found = by_name(name)
    unsupervised = {
        "consistency_weight", "cross_weight", "cpr", "boundary_weight", "weight", "unlabelled_batch", "clip_length",
    }  # fmt: skip
    for variant in found.values():
        if variant.control is None or variant.name == ALL_LABELS:
            continue
        ours, control = variant.config, found[variant.control].config
        assert ours.train == control.train
        changed = set()
        for part in ("network", "data"):
            one, two = (dataclasses.asdict(getattr(config, part)) for config in (ours, control))
            changed |= {key for key in one if one[key] != two[key]}
        assert changed, variant.name
        assert changed <= unsupervised, variant.name


def test_the_label_budgets_are_those_of_the_papers():
    counts = [v.config.data.labelled_cines for v in suite("labels", STEPS).variants if v.method == "echoforge"]
    assert counts == [4, 8, 15, 30]


def test_ramps_are_stretched_to_the_length_of_the_run():
    for steps in (100, 1000):
        found = {v.name: v.config for v in suite("lite", steps).variants}
        assert found["sscf"].network.ramp == steps
        assert found["meanteacher"].network.start == steps // 2
        assert found["cps"].network.ramp < steps


def test_the_cyclical_loss_gets_clips_of_its_length():
    config = by_name("lite")["css"].config
    assert config.data.unlabelled_clip_length == config.network.cycle.length


def test_methods_are_chosen_with_their_controls():
    assert [v.name for v in suite("lite").only(["sscf", "framewise"]).variants] == [
        "framewise", ALL_LABELS, "sscf", "sscf-supervised",
    ]  # fmt: skip
    assert [v.name for v in suite("ablations").only(["sscf-tce"]).variants] == ["sscf-none", "sscf-tce"]
    with pytest.raises(UsageError, match=r"--methods unet: is not in suite lite; choose among .*sscf"):
        suite("lite").only(["unet"])


@pytest.mark.parametrize(
    ("name", "steps", "said"), [("tiny", 5, "suite 'tiny' is not known"), ("lite", 0, "--steps 0")]
)
def test_what_is_asked_for_wrongly_is_said(name, steps, said):
    with pytest.raises(UsageError, match=said):
        suite(name, steps)
