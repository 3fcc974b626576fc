"""Pure functions on logits with IGNORE pixels, one idea a file."""

from echoseg.losses.consistency import bernoulli_kl, gaussian_ramp, probability_mse, quadratic_ramp
from echoseg.losses.pseudo import confident_bce, confident_ce
from echoseg.losses.segmentation import cross_entropy, soft_dice, supervised_loss, targets

__all__ = [
    "bernoulli_kl",
    "confident_bce",
    "confident_ce",
    "cross_entropy",
    "gaussian_ramp",
    "probability_mse",
    "quadratic_ramp",
    "soft_dice",
    "supervised_loss",
    "targets",
]
