"""CSS, stage 1: the network against torchvision's, the training step, the recipes' numbers."""

import dataclasses
import math

import pytest
import torch
from tests.contract.test_methods_contract import TINY, clip_batch
from torchvision.models.segmentation import deeplabv3_resnet50

from echoseg.batch import ClipBatch
from echoseg.errors import UsageError
from echoseg.methods.css import Css, CssConfig, Cycle
from echoseg.methods.css.cycle import cycle_loss
from echoseg.methods.css.method import draw_starts, summed_cross_entropy
from echoseg.nn.cost import gmacs, parameters
from echoseg.recipes import recipe

CONFIG: CssConfig = TINY["css"]
EASY = dataclasses.replace(CONFIG, cycle=Cycle(template=2, search=1, phase=1, shift=1))


def make(config: CssConfig = CONFIG) -> Css:
    torch.manual_seed(0)
    return Css(config)


def without_dropout(method: Css) -> Css:
    for module in method.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return method


def deeplab() -> torch.nn.Module:
    return deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=1, aux_loss=False)


def from_torchvision(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names of the published network -> ours; its stem sees three equal channels."""
    renamed = {name.replace("backbone.", "backbone.body."): value for name, value in state.items()}
    renamed["backbone.body.conv1.weight"] = renamed["backbone.body.conv1.weight"].sum(1, keepdim=True)
    return renamed


def test_the_paper_size_is_deeplabv3_with_a_gray_stem():
    with torch.device("meta"):
        ours, theirs = Css(CssConfig.paper()), deeplab()
    assert (parameters(ours), parameters(theirs)) == (39_627_457, 39_633_729)
    assert ours.inference_parameters() == pytest.approx(39.63e6, rel=0.01)
    assert parameters(theirs) - parameters(ours) == 2 * 64 * 7 * 7
    frame = torch.zeros(1, 1, 1, 112, 112, device="meta")
    assert gmacs(ours.eval(), frame) == pytest.approx(7.807, abs=0.001)


def test_the_lite_size_fits_a_laptop():
    with torch.device("meta"):
        method = Css(CssConfig.lite()).eval()
    assert parameters(method) == 3_309_953
    assert gmacs(method, torch.zeros(1, 1, 1, 112, 112, device="meta")) < 0.75


def test_torchvisions_weights_give_torchvisions_logits():
    """The names of parameters map one to one, and dilations lie where the published network has them."""
    torch.manual_seed(0)
    theirs, ours = deeplab().eval(), Css(CssConfig.paper()).eval()
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    frames = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            ours.segment_frames(frames), theirs(frames.expand(-1, 3, -1, -1))["out"], atol=1e-4, rtol=1e-4
        )


def test_an_embedding_is_the_sum_over_196_positions():
    with torch.device("meta"):
        method = Css(CssConfig.paper())
        assert method.features(torch.zeros(1, 1, 112, 112)).shape == (1, 2048, 14, 14)
    method = make().eval()
    frames = clip_batch().clip[0]
    features = method.features(frames)
    torch.testing.assert_close(method.embeddings(frames), features.flatten(2).sum(2))


def test_the_segmentation_loss_is_a_sum_twice_the_batch_is_twice_the_loss():
    logits, masks = torch.randn(3, 1, 8, 8), torch.randint(0, 2, (3, 8, 8), dtype=torch.uint8)
    once = summed_cross_entropy(logits, masks)
    twice = summed_cross_entropy(torch.cat([logits, logits]), torch.cat([masks, masks]))
    assert float(twice) == pytest.approx(2 * float(once), rel=1e-5)
    signs = 1 - 2 * masks.float()
    by_hand = sum(math.log1p(math.exp(x)) for x in (signs * logits[:, 0]).flatten().tolist())
    assert float(once) == pytest.approx(by_hand, rel=1e-5)


def test_the_step_halves_the_sum_over_ed_and_es():
    method, batch = without_dropout(make()).train(), clip_batch()
    state = {k: v.clone() for k, v in method.state_dict().items()}
    loss = method.training_step(batch, None, 0).loss
    method.load_state_dict(state)
    terms = [
        torch.nn.functional.binary_cross_entropy_with_logits(
            method.segment_frames(batch.clip[:, i])[:, 0], (batch.masks[:, i] == 1).float(), reduction="sum"
        )
        for i in (0, -1)
    ]
    assert float(loss.detach()) == pytest.approx(float((terms[0] + terms[1]).detach()) / 2, rel=1e-4)


def test_ed_es_and_clip_are_three_forwards_in_training_mode():
    """Batch statistics are taken apart, and those of the head see the unlabelled frames as well."""
    method = make().train()
    sizes = []
    method.backbone.register_forward_hook(lambda _module, inputs, _output: sizes.append(len(inputs[0])))
    method.training_step(clip_batch(), clip_batch(1, batch=1, labelled=False), 0)
    assert sizes == [2, 2, 5]
    assert int(method.classifier[2].num_batches_tracked) == 3
    assert int(method.backbone.body.bn1.num_batches_tracked) == 3


def test_a_single_clip_joins_ed_and_es():
    """One value is too few for the batch statistics of the image-level pooling."""
    result = make().train().training_step(clip_batch(batch=1), None, 0)
    assert math.isfinite(float(result.loss.detach()))


def test_the_cyclical_loss_is_added_with_its_weight():
    unlabelled = clip_batch(1, batch=1, labelled=False)
    method = without_dropout(make())
    alone, both = method.training_step(clip_batch(), None, 0), method.training_step(clip_batch(), unlabelled, 0)
    assert "css" not in alone.logs
    assert float(both.loss.detach()) == pytest.approx(both.logs["seg"] + 0.01 * both.logs["css"], rel=1e-6)
    starts = draw_starts(0, 1, CONFIG.cycle)
    expected = cycle_loss(method.embeddings(unlabelled.clip[0]), starts[0], CONFIG.cycle)
    assert both.logs["css"] == pytest.approx(float(expected.detach()), rel=1e-4)


def test_the_cyclical_loss_of_a_clip_does_not_depend_on_the_others():
    method = make().eval()
    clip = clip_batch(batch=3).clip
    together = method.cyclical(clip, [0, 1, 0])
    alone = [method.cyclical(clip[i : i + 1], [start]) for i, start in enumerate([0, 1, 0])]
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_the_cyclical_loss_trains_the_encoder_and_not_the_head():
    method = make()
    method.cyclical(clip_batch().clip[:1], [1]).backward()
    assert all(p.grad is None for p in method.classifier.parameters())
    assert all(p.grad is not None for p in method.backbone.parameters())


def test_unlabelled_masks_are_never_looked_at():
    batch, unlabelled = clip_batch(), clip_batch(1, batch=1, labelled=False)
    garbage = dataclasses.replace(unlabelled, masks=torch.randint(0, 4, unlabelled.masks.shape, dtype=torch.uint8))

    def loss(other: ClipBatch) -> float:
        return float(without_dropout(make()).training_step(batch, other, 3).loss.detach())

    assert loss(unlabelled) == loss(garbage)


def test_clips_of_another_length_name_the_flag():
    with pytest.raises(UsageError, match=r"clips of 5 frames: .* = 4; set --data\.unlabelled-clip-length 4"):
        make(EASY).training_step(clip_batch(), clip_batch(1, labelled=False), 0)


def test_starts_are_uniform_and_a_function_of_the_step():
    cycle = Cycle()
    drawn = [draw_starts(step, 1, cycle)[0] for step in range(2200)]
    assert drawn == [draw_starts(step, 1, cycle)[0] for step in range(2200)]
    counts = [drawn.count(start) for start in range(11)]
    assert sum(counts) == 2200
    assert min(counts) > 150 and max(counts) < 250


def test_several_structures_use_the_summed_softmax_loss():
    method = make(dataclasses.replace(CONFIG, channels=4))
    assert method(clip_batch().clip).shape[2] == 4
    assert math.isfinite(float(method.training_step(clip_batch(), None, 0).loss.detach()))


@pytest.mark.parametrize("wrong", [{"channels": 2}, {"stages": 1}, {"rates": (0, 2, 3)}, {"css_weight": -1.0}])
def test_configuration_names_what_is_wrong(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        dataclasses.replace(CONFIG, **wrong)


@pytest.mark.parametrize(
    ("name", "labelled", "rest"), [("eighth", 920, 6440), ("quarter", 1840, 5520), ("half", 3680, 3680)]
)
def test_recipes_have_the_papers_budgets_and_schedule(name, labelled, rest):
    config = recipe(f"echonet-css-{name}")
    assert (config.data.labelled_cines, config.data.unlabelled_cines, config.data.label_split) == (
        labelled,
        rest,
        "css",
    )
    assert config.train.steps == 25 * labelled // 20
    assert [config.train.learning_rate(step) for step in (0, config.train.steps - 1)] == [1e-5, 1e-5]
    assert (config.data.unlabelled_clip_length, config.data.unlabelled_step_s) == (config.network.cycle.length, 0.06)
    assert config.train.grad_clip == 0


def test_the_lite_recipe_asks_for_clips_of_its_own_length():
    config = recipe("css-lite")
    assert config.data.unlabelled_clip_length == config.network.cycle.length == 21
