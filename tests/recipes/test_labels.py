"""Who is labelled, and who gives unlabelled clips."""

import pytest
from tests.data.conftest import stored_cine

from echoseg.data import CineStore
from echoseg.datasets import open_dataset
from echoseg.datasets.label_split import css_label_split, listed_names
from echoseg.errors import InputError, UsageError
from echoseg.recipes import DataConfig
from echoseg.recipes.labels import split_labels, unlabelled_cines


def names(store: CineStore) -> list[str]:
    return [cine.case.id for cine in store]


@pytest.fixture(scope="module")
def train(simulated_echonet) -> CineStore:
    return CineStore.load(open_dataset(simulated_echonet), "train", size=32)


def test_the_published_split_is_drawn_from_the_table(simulated_echonet, train):
    dataset = open_dataset(simulated_echonet)
    data = DataConfig(labelled_cines=1, unlabelled_cines=2, label_split="css")
    labelled, rest = split_labels(train, dataset, data, seed=99)
    expected = css_label_split(listed_names(dataset, "train"), 1, 2)
    assert names(labelled) == list(expected[0])
    assert names(rest) == sorted(expected[1])
    assert not any(cine.masks for cine in rest)


def test_the_published_split_does_not_depend_on_the_seed_and_the_seeded_one_does(simulated_echonet, train):
    dataset = open_dataset(simulated_echonet)

    def drawn(split: str) -> set[tuple[str, ...]]:
        data = DataConfig(labelled_cines=1, label_split=split)
        return {tuple(names(split_labels(train, dataset, data, seed)[0])) for seed in range(8)}

    assert len(drawn("css")) == 1
    assert len(drawn("seeded")) > 1


def test_a_seeded_split_may_leave_cines_out(simulated_echonet, train):
    labelled, rest = split_labels(
        train, open_dataset(simulated_echonet), DataConfig(labelled_cines=1, unlabelled_cines=2), seed=0
    )
    assert (len(labelled), len(rest)) == (1, 2)
    assert not set(names(labelled)) & set(names(rest))


def test_unlabelled_clips_come_from_where_the_recipe_says():
    labelled, rest = CineStore([stored_cine("a")]), CineStore([stored_cine("b").without_labels()])
    for source, expected in (("unlabelled", ["b"]), ("labelled", ["a"]), ("both", ["a", "b"])):
        found, too_short = unlabelled_cines(labelled, rest, DataConfig(unlabelled_source=source))
        assert (names(found), too_short) == (expected, 0)
        assert not any(cine.masks or cine.ed_frame is not None for cine in found)


def test_cines_that_are_too_short_are_counted():
    cines = CineStore([stored_cine(f"c{n}", n_frames=n, fps=50.0).without_labels() for n in (12, 20, 40)])
    data = DataConfig(unlabelled_clip_length=10, unlabelled_step_s=0.04)
    found, too_short = unlabelled_cines(CineStore([]), cines, data)
    assert (names(found), too_short) == (["c20", "c40"], 1)


def test_mirrored_clips_fit_into_every_cine():
    cines = CineStore([stored_cine(n_frames=3, ed_frame=0, es_frame=2)])
    data = DataConfig(unlabelled_clip_length=40, unlabelled_mirror=True)
    assert len(unlabelled_cines(CineStore([]), cines, data)[0]) == 1


def test_where_every_cine_is_too_short_the_flags_are_named():
    cines = CineStore([stored_cine("only")])
    data = DataConfig(unlabelled_clip_length=40)
    with pytest.raises(
        InputError, match=r"only and the 0 other .* shorter than a clip of 40 frames.*--data\.unlabelled-mirror"
    ):
        unlabelled_cines(CineStore([]), cines, data)


@pytest.mark.parametrize(
    ("wrong", "flag"),
    [
        ({"unlabelled_cines": 0}, "unlabelled_cines"),
        ({"unlabelled_clip_length": 0}, "unlabelled_clip_length"),
        ({"unlabelled_step_s": 0.0}, "unlabelled_step_s"),
        ({"label_split": "css"}, "label_split"),
    ],
)
def test_configuration_names_the_flag(wrong, flag):
    with pytest.raises(UsageError, match=rf"data\.{flag}"):
        DataConfig(**wrong)
