"""NCM-style: neighbourhood correlations in space, time and scale, attention among unreliable pixels, steady boundaries.

An interpretation, not a reproduction. It is built from the abstract of X. Deng, H. Wu, "NCM-Net", IEEE TMI 2025,
alone: no equation, number, schedule or code of the paper was known to us. Three ideas are the paper's: correlations
of a feature with its spatio-temporal neighbourhood and across scales (NCM), attention that masks reliable pixels
(UMA), and a constraint on boundaries between frames. How each is computed is our choice, marked so in
docs/methods/ncm.md. No number of the paper may be attached to it, and none of ours says anything about the paper.
Licence: Apache-2.0 (nothing was copied).

    local.py        NCM-local: a pixel and its neighbours in the frames before, at and after it
    deformable.py   NCM-cross-scale: multi-scale deformable attention in plain torch
    uma.py          attention among unreliable pixels
    boundary.py     cross-frame boundary constraint
    network.py      the network
    config.py       configuration, presets, ablation switches
    method.py       the training step
"""

from echoseg.methods.ncm.config import NCMConfig
from echoseg.methods.ncm.method import NCM

__all__ = ["NCM", "NCMConfig"]
