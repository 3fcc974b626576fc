"""CSS, stage 1: left-ventricle segmentation that learns from the heart's cycle in unlabelled cines.

Paper: W. Dai, X. Li, X. Ding, K.-T. Cheng, "Cyclical Self-Supervision for Semi-Supervised Ejection Fraction Prediction from
Echocardiogram Videos", IEEE Transactions on Medical Imaging 41(6), 2022. Licence: Apache-2.0 (nothing was copied).

    cycle.py     the cyclical loss on embeddings of a clip, equations 1-7
    config.py    configuration and presets
    method.py    DeepLabV3, the embedding, the training step, equations 8-9

Deviations: a gray stem in place of three equal channels; masks of several structures are possible (`channels=4`); a batch of
one clip passes ED and ES in one forward, because batch normalisation of the image-level pooling needs two values. Stages 2
and 3, the regressors of the ejection fraction, are the package `ef` beside this one.
"""

from echoseg.methods.css.config import CssConfig
from echoseg.methods.css.cycle import Cycle
from echoseg.methods.css.method import Css

__all__ = ["Css", "CssConfig", "Cycle"]
