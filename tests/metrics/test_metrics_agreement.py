"""Agreement of ejection fractions, comparison of methods and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from echoseg.errors import InputError
from echoseg.metrics import compare_paired, ef_agreement, ef_agreement_memsam, interval_95, resampled_sums


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.fixture
def pairs(rng) -> tuple[np.ndarray, np.ndarray]:
    ref = rng.uniform(20, 75, 80)
    return ref + rng.normal(2, 5, 80), ref


def test_statistics_are_those_of_numpy(pairs, rng):
    pred, ref = pairs
    found, d = ef_agreement(pred, ref, rng), pred - ref
    assert found.n == 80
    assert found.bias == pytest.approx(d.mean())
    assert found.sd == pytest.approx(d.std(ddof=1))
    assert found.mae == pytest.approx(np.abs(d).mean())
    assert found.r == pytest.approx(np.corrcoef(pred, ref)[0, 1])
    assert found.limits == pytest.approx((d.mean() - 1.96 * d.std(ddof=1), d.mean() + 1.96 * d.std(ddof=1)))


def test_the_intraclass_correlation_is_the_one_of_the_analysis_of_variance(pairs, rng):
    table = np.stack(pairs, axis=1)
    n, k = table.shape
    rows = k * ((table.mean(axis=1) - table.mean()) ** 2).sum() / (n - 1)
    columns = n * ((table.mean(axis=0) - table.mean()) ** 2).sum() / (k - 1)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    expected = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    assert ef_agreement(*pairs, rng).icc == pytest.approx(expected)


def test_the_sign_of_the_bias_is_prediction_minus_reference(rng):
    ref = np.array([40.0, 50.0, 60.0])
    assert ef_agreement(ref + 3, ref, rng).bias == pytest.approx(3)
    assert ef_agreement(ref - 3, ref, rng).bias == pytest.approx(-3)
    assert ef_agreement(ref - 3, ref, rng).mae == pytest.approx(3)


def test_correlation_does_not_see_a_linear_error_but_the_others_do(rng):
    ref = np.linspace(20, 70, 11)
    found = ef_agreement(2 * ref + 5, ref, rng)
    assert found.r == pytest.approx(1)
    assert found.icc < 0.7
    assert ef_agreement(ref, ref, rng).icc == pytest.approx(1)


def test_intervals_hold_the_truth_about_95_times_in_100():
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        ref = rng.uniform(30, 70, 60)
        found = ef_agreement(ref + rng.normal(1.5, 6, 60), ref, rng, n_resamples=400)
        low, high = found.intervals["bias"]
        held += low <= 1.5 <= high
        assert found.intervals["mae"][0] < found.mae < found.intervals["mae"][1]
    assert 88 <= held <= 99


def test_intervals_by_patient_are_wider_where_the_cases_of_a_patient_are_alike(rng):
    offsets = rng.normal(0, 5, 30)
    ref = rng.uniform(30, 70, 120)
    pred = ref + np.repeat(offsets, 4) + rng.normal(0, 0.5, 120)
    patients = np.repeat(np.arange(30), 4).tolist()
    by_case = ef_agreement(pred, ref, np.random.default_rng(0)).intervals["bias"]
    by_patient = ef_agreement(pred, ref, np.random.default_rng(0), patients=patients).intervals["bias"]
    assert np.diff(by_patient) > 1.5 * np.diff(by_case)


def test_the_same_generator_gives_the_same_intervals(pairs):
    one, two, other = (ef_agreement(*pairs, np.random.default_rng(seed)).intervals for seed in (5, 5, 6))
    assert dict(one) == dict(two)
    assert dict(one) != dict(other)


def test_memsams_words_mean_other_quantities(pairs, rng):
    pred, ref = pairs
    theirs, ours = ef_agreement_memsam(pred, ref), ef_agreement(pred, ref, rng)
    assert theirs.mae_called_bias == pytest.approx(ours.mae)
    assert theirs.sd_of_predictions == pytest.approx(pred.std())
    assert theirs.sd_of_predictions > 2 * ours.sd
    assert theirs.r == pytest.approx(ours.r)


def test_rounding_is_no_correlation(rng):
    """A still heart, EF 0 in both cases, once correlated perfectly: what varied was the last digit of a sum."""
    reference = [22.250615272948348, 58.76111203181726]
    assert np.isnan(ef_agreement([0.0, 0.0], reference, rng).r)
    assert np.isnan(ef_agreement([0.1, 0.1], reference, rng).r)
    assert ef_agreement([0.0, 1e-3], reference, rng).r == pytest.approx(1)


def test_constant_predictions_have_no_correlation(rng):
    found = ef_agreement([55.0, 55.0, 55.0], [50.0, 60.0, 70.0], rng)
    assert np.isnan(found.r)
    assert np.isnan(found.intervals["r"]).all()
    assert found.bias == pytest.approx(-5)


@pytest.mark.parametrize(
    ("pred", "ref", "message"),
    [
        ([1.0], [1.0], "at least two"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "equally long"),
        ([1.0, float("nan")], [1.0, 2.0], "not finite"),
    ],
)
def test_bad_pairs_are_refused(pred, ref, message, rng):
    with pytest.raises(InputError, match=message):
        ef_agreement(pred, ref, rng)


def test_a_paired_comparison_uses_the_pairing(rng):
    difficulty = rng.uniform(0.7, 0.95, 40)
    first, second = difficulty + 0.01 + rng.normal(0, 0.004, 40), difficulty
    found = compare_paired(first, second, rng)
    assert found.mean_difference == pytest.approx((first - second).mean())
    assert 0 < found.interval[0] < found.mean_difference < found.interval[1]
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(first, second).pvalue)
    assert found.ranksums_p == pytest.approx(stats.ranksums(first, second).pvalue)
    assert found.wilcoxon_p < 1e-6 < 0.2 < found.ranksums_p
    back = compare_paired(second, first, rng)
    assert back.mean_difference == pytest.approx(-found.mean_difference)


def test_identical_methods_do_not_differ(rng):
    found = compare_paired([0.9, 0.8, 0.7], [0.9, 0.8, 0.7], rng)
    assert (found.mean_difference, found.interval, found.wilcoxon_p) == (0, (0, 0), 1)


def test_resamples_draw_whole_groups(rng):
    terms = np.array([[1.0, 1], [10, 1], [10, 1], [10, 1]])
    sums = resampled_sums(terms, rng, groups=["a", "b", "b", "b"], n_resamples=200)
    assert {tuple(row) for row in sums} == {(2.0, 2.0), (31.0, 4.0), (60.0, 6.0)}
    with pytest.raises(InputError, match="one per row"):
        resampled_sums(terms, rng, groups=["a"])


def test_an_interval_leaves_undefined_samples_out():
    samples = np.concatenate([np.arange(101.0), [np.nan] * 50])
    assert interval_95(samples) == pytest.approx((2.5, 97.5))
    assert np.isnan(interval_95(np.array([np.nan]))).all()
