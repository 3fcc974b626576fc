"""Networks that regress the ejection fraction from clips: stages 2 and 3 of CSS, and the list of such methods.

Paper: W. Dai, X. Li, X. Ding, K.-T. Cheng, "Cyclical Self-Supervision for Semi-Supervised Ejection Fraction Prediction from
Echocardiogram Videos", IEEE Transactions on Medical Imaging 41(6), 2022. Licence: Apache-2.0 (nothing was copied).

    base.py        the contract, smaller than that of methods that draw masks; the exported graph
    network.py     R(2+1)D: D. Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018
    guided.py      stage 2, f_m: gray frames and the masks of stage 1, equation 10
    distilled.py   stage 3, f_e: gray frames alone, taught by f_m, equations 11-13
"""

from __future__ import annotations

from typing import Any

from echoseg.methods.ef.base import EfMethod
from echoseg.methods.registry import build_in, config_in

EF_METHODS = {
    "css-ef-e": ("echoseg.methods.ef.distilled", "DistilledEf", "DistilledEfConfig"),
    "css-ef-m": ("echoseg.methods.ef.guided", "GuidedEf", "GuidedEfConfig"),
}

__all__ = ["EF_METHODS", "EfMethod", "build_ef_method", "ef_config_class"]


def ef_config_class(name: str) -> type[Any]:
    """Configuration dataclass of a method."""
    return config_in(EF_METHODS, name)


def build_ef_method(name: str, config: object) -> EfMethod:
    """A method from its name and configuration, with fresh weights."""
    built: EfMethod = build_in(EF_METHODS, name, config)
    return built
