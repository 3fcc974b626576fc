"""Pure functions on logits with IGNORE pixels, one idea a file."""

from echoseg.losses.pseudo import confident_bce
from echoseg.losses.segmentation import cross_entropy, soft_dice, supervised_loss, targets

__all__ = ["confident_bce", "cross_entropy", "soft_dice", "supervised_loss", "targets"]
