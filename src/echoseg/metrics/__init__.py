"""Segmentation and agreement metrics: pure functions and one accumulator."""

from echoseg.metrics.agreement import (
    Agreement,
    MemSamAgreement,
    PairedComparison,
    compare_paired,
    ef_agreement,
    ef_agreement_memsam,
)
from echoseg.metrics.bootstrap import interval_95, resampled_sums
from echoseg.metrics.calibration import Reliability, ReliabilityBin, auroc
from echoseg.metrics.distances import (
    BorderDistances,
    asd_directed,
    assd,
    border,
    border_distances,
    distance_unit,
    hausdorff,
    hd95_max_of_directed,
    hd95_pooled_distances,
)
from echoseg.metrics.overlap import dice, dice_pooled
from echoseg.metrics.regression import RegressionScores, regression_scores
from echoseg.metrics.scores import FrameScore, MeanScore, ScoresSummary, SegmentationScores
from echoseg.metrics.temporal import TemporalConsistency, temporal_consistency

__all__ = [
    "Agreement",
    "BorderDistances",
    "FrameScore",
    "MeanScore",
    "MemSamAgreement",
    "PairedComparison",
    "RegressionScores",
    "Reliability",
    "ReliabilityBin",
    "ScoresSummary",
    "SegmentationScores",
    "TemporalConsistency",
    "asd_directed",
    "assd",
    "auroc",
    "border",
    "border_distances",
    "compare_paired",
    "dice",
    "dice_pooled",
    "distance_unit",
    "ef_agreement",
    "ef_agreement_memsam",
    "hausdorff",
    "hd95_max_of_directed",
    "hd95_pooled_distances",
    "interval_95",
    "regression_scores",
    "resampled_sums",
    "temporal_consistency",
]
