"""EchoForge's configuration and presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from echoseg.errors import UsageError
from echoseg.methods.echoforge.cpr import FlameRise


@dataclass(frozen=True)
class EchoForgeConfig:
    """Configuration of EchoForge. The paper gives backbone, losses and anchors; everything else is our choice.

    Attributes:
        backbone: timm name of a ResNet (paper: resnet50).
        weights: `none`, `hub` (ImageNet, paper) or a file.
        width: channels C of the recalibrated features.
        hidden: units of the feed-forward blocks.
        layers: decoder layers L.
        heads: attention heads.
        queries: learned queries.
        tsf: temporal semantic fusion; off = frame-wise head (ablation I).
        arc: anchor recalibration.
        cpr: pseudo-labels for unlabelled frames.
        anchors: number of anchors (paper: 2, foreground and background).
        neighbours: K nearest pixels that update an anchor.
        patch: side of ARC's patches in feature pixels.
        arc_temperature: of the soft assignment of patches to anchors.
        references: frames whose tokens guide the current one.
        head: `weighted` (softmax over queries of sigmoid masks) or `literal` (the paper's figure).
        joint_self_attention: queries and prototypes in one self-attention.
        arc_aux: weight of the loss that ties anchor 0 to the LV; without ARC, of that on the map which starts the memory.
        embedding_aux: weight of the loss of a 1x1 convolution on the pixel embedding, which learns long before the queries do.
        cpr_aux: weight of the ED <-> ES loss that trains the reforging.
        curriculum: FlameRise.
    """

    backbone: str = "resnet50"
    weights: str = "none"
    width: int = 512
    hidden: int = 2048
    layers: int = 5
    heads: int = 8
    queries: int = 20
    tsf: bool = True
    arc: bool = True
    cpr: bool = True
    anchors: int = 2
    neighbours: int = 32
    patch: int = 2
    arc_temperature: float = 0.1
    references: Literal["first_and_previous", "previous"] = "first_and_previous"
    head: Literal["weighted", "literal"] = "weighted"
    joint_self_attention: bool = False
    arc_aux: float = 0.1
    embedding_aux: float = 0.5
    cpr_aux: float = 0.5
    curriculum: FlameRise = field(default_factory=FlameRise)

    def __post_init__(self) -> None:
        for name in ("width", "hidden", "layers", "heads", "queries", "anchors", "neighbours", "patch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least 1")
        if self.width % 32 or self.width % self.heads:
            raise UsageError(f"width={self.width}: must be divisible by 32 and by heads={self.heads}")
        if self.arc_temperature <= 0:
            raise UsageError(f"arc_temperature={self.arc_temperature}: must be positive")

    @classmethod
    def paper(cls, weights: str = "none") -> EchoForgeConfig:
        """ResNet-50, 67 M class, 256 px."""
        return cls(weights=weights)

    @classmethod
    def lite(cls) -> EchoForgeConfig:
        """ResNet-18 at 112-128 px."""
        return cls(backbone="resnet18", width=256, hidden=1024, layers=3)
