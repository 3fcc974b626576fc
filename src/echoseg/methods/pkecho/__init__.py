"""PKEcho-Net: multi-scale region proxies and kernel-based semi-supervised segmentation.

Paper: H. Wu, J. Lin, W. Xie, J. Qin, "Super-efficient Echocardiography Video Segmentation via Proxy- and Kernel-Based
Semi-supervised Learning", AAAI 2023. Equations 1 to 6; where the public model code and the paper differ, the paper is the default and
the code a configuration. Ours: no attention over the clips of a batch, distances normalised, any input size and any clip
length. Licence: Apache-2.0 (nothing was copied).

    affinity.py    multi-scale region proxies (MRP): affinities enlarge the logits, there is no decoder
    kss.py         kernel-based segmentation (KSS): a kernel per frame, refined three times
    boundary.py    boundary loss and its distance map
    network.py     the network
    config.py      configuration, presets, ablation switches
    method.py      the training step
"""

from echoseg.methods.pkecho.config import PKEchoConfig
from echoseg.methods.pkecho.method import PKEcho

__all__ = ["PKEcho", "PKEchoConfig"]
