"""SSCF: noise-resilient spatiotemporal semantic calibration and fusion in a mean teacher.

Paper: H. Wu, J. Liu, F. Xiao, Z. Wen, L. Cheng, J. Qin, "Semi-supervised segmentation of echocardiography videos via noise-resilient
spatiotemporal semantic calibration and fusion", Medical Image Analysis 78, 2022. The network follows the authors' public model where text
and model differ; the training loop is not public and is built from the paper's equations. Deviations and our own choices stand in
docs/methods/sscf.md. Licence: Apache-2.0 (nothing was copied).

    calibration.py   ASSC, kernels made from two neighbouring frames, and BSSF, the fusion of three frames
    network.py       TCE, three encoders, one for each place in a triplet; the decoder; triplets of a clip
    config.py        configuration, presets, ablation switches
    method.py        losses, mean teacher, training step, export
"""

from echoseg.methods.sscf.config import SSCFConfig
from echoseg.methods.sscf.method import SSCF

__all__ = ["SSCF", "SSCFConfig"]
