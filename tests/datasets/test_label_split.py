"""The labelled cines of CSS's protocol."""

from echoseg.datasets import open_dataset
from echoseg.datasets.label_split import css_label_split, listed_names

TEN = tuple("abcdefghij")


def test_the_order_is_that_of_numpys_legacy_shuffle_with_seed_zero():
    """RandomState(0).permutation(10), as every numpy since 1.0 gives it."""
    labelled, rest = css_label_split(TEN, 3)
    assert "".join((*labelled, *rest)) == "ciejbghdaf"
    assert [TEN.index(name) for name in labelled] == [2, 8, 4]


def test_an_eighth_of_echonet_leaves_105_of_7465_videos_out():
    names = [f"{i:05d}" for i in range(7465)]
    labelled, rest = css_label_split(names, 920, 6440)
    assert (len(labelled), len(rest)) == (920, 6440)
    assert not set(labelled) & set(rest)
    assert len(set(labelled) | set(rest)) == 7465 - 105


def test_budgets_are_nested():
    """A quarter holds the eighth: both take the beginning of one shuffle."""
    names = [str(i) for i in range(200)]
    eighth, quarter = css_label_split(names, 20)[0], css_label_split(names, 40)[0]
    assert quarter[:20] == eighth


def test_positions_count_and_not_the_text_of_a_name():
    """Copies of the tables with and without `.avi` give the same split."""
    with_ending = css_label_split([f"{name}.avi" for name in TEN], 4)[0]
    assert tuple(name[0] for name in with_ending) == css_label_split(TEN, 4)[0]


def test_names_are_listed_in_the_order_of_the_table_those_without_a_video_included(simulated_echonet, tmp_path):
    dataset = open_dataset(simulated_echonet)
    rows = (simulated_echonet / "FileList.csv").read_text().splitlines()[1:]
    in_table = [row.split(",")[0].removesuffix(".avi") for row in rows if row.endswith("TRAIN")]
    assert list(listed_names(dataset, "train")) == in_table
    assert sorted(in_table) == [case.id for case in dataset.cases("train")]


def test_other_layouts_list_their_cases_sorted(simulated_camus):
    dataset = open_dataset(simulated_camus)
    assert listed_names(dataset, "train") == tuple(case.id for case in dataset.cases("train"))
