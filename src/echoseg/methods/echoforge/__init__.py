"""EchoForge: anchor recalibration, temporal semantic fusion and continuous pseudo-label reforging.

Paper: Y. Fang, Z. Sun, J. Guo, H. Wu, J. Qin, "Semi-supervised Echocardiography Video Segmentation via Anchor Semantic Awareness
and Continuous Pseudo-label Reforging", CVPR 2026, pp. 8535-8544. No code is public; hyper-parameters that the paper does not
give are our choice and marked so beside their default. Licence: Apache-2.0 (nothing was copied).

    arc.py       anchor recalibration: uncertain patches are pulled towards learnable foreground and background anchors
    tsf.py       temporal semantic fusion: semantic tokens of reference frames guide the current frame
    cpr.py       pseudo-label reforging by channel attention, and FlameRise, its curriculum
    network.py   the network, frame after frame with an explicit memory
    config.py    configuration, presets, ablation switches
    method.py    the training step
"""

from echoseg.methods.echoforge.config import EchoForgeConfig
from echoseg.methods.echoforge.cpr import FlameRise
from echoseg.methods.echoforge.method import EchoForge

__all__ = ["EchoForge", "EchoForgeConfig", "FlameRise"]
