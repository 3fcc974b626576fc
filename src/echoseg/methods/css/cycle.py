"""The cyclical loss: a phase of the heart's cycle is found again later in the clip, and what follows must match, too.

A clip is cut into a template region P, a search region Q and a buffer. With the paper's numbers these are frames 0-14, 15-35
and 36-39. Pure functions on the embeddings z of one clip, (T, d); equation numbers are the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from echoseg.errors import UsageError


@dataclass(frozen=True)
class Cycle:
    """How the cyclical loss reads a clip.

    Attributes:
        template: frames of the template region P.
        search: frames of the search region Q.
        phase: embeddings of a phase, s.
        shift: frames between a phase and the one that must follow it, c.
        temperature: the factor tau on the similarity; large is sharp.
        candidates: phases that compete: `code` = those that start at c or later (11), `paper` = all of P (13).
    """

    template: int = 15
    search: int = 21
    phase: int = 3
    shift: int = 2
    temperature: float = 10.0
    candidates: Literal["code", "paper"] = "code"

    def __post_init__(self) -> None:
        for name in ("template", "search", "phase", "shift"):
            if getattr(self, name) < 1:
                raise UsageError(f"cycle.{name}={getattr(self, name)}: must be at least 1")
        if self.template < self.phase + self.shift:
            raise UsageError(
                f"cycle.template={self.template}: must hold a phase of {self.phase} frames and the one {self.shift} later"
            )
        if self.temperature <= 0:
            raise UsageError(f"cycle.temperature={self.temperature}: must be positive")

    @property
    def length(self) -> int:
        """Frames of a clip: template, search, and the buffer for the phases that run out of the search region."""
        return self.template + self.search + self.phase + self.shift - 1

    @property
    def starts(self) -> int:
        """Number of template phases p* that may be drawn: 0 .. P - (s + c)."""
        return self.template - (self.phase + self.shift) + 1

    @property
    def first_candidate(self) -> int:
        """Start of the first phase that the soft match is compared with."""
        return self.shift if self.candidates == "code" else 0


def phases(z: Float[Tensor, "T d"], length: int) -> Float[Tensor, "N s d"]:
    """All phases E^t = [z^t, ..., z^(t+s-1)] of a row of embeddings (eq. 1)."""
    return z.unfold(0, length, 1).transpose(1, 2)


def similarity(one: Float[Tensor, "*batch s d"], two: Float[Tensor, "*#batch s d"]) -> Float[Tensor, "*batch"]:
    """Similarity gamma = -|E - E'|^2 / (d s) of phases (eq. 3)."""
    return -(one - two).square().mean((-2, -1))


def match_weights(z: Float[Tensor, "T d"], start: int, cycle: Cycle) -> Float[Tensor, " Q"]:
    """Weights alpha: where in the search region the phase that starts at `start` is found again (eq. 2)."""
    first = cycle.template
    searched = phases(z[first : first + cycle.search + cycle.phase - 1], cycle.phase)
    reference = z[start : start + cycle.phase].expand_as(searched)
    return F.softmax(cycle.temperature * similarity(searched, reference), dim=0)


def followed(z: Float[Tensor, "T d"], weights: Float[Tensor, " Q"], cycle: Cycle) -> Float[Tensor, "s d"]:
    """The expected phase `shift` frames after the match (eqs. 4-5); its last frames come from the buffer."""
    first = cycle.template + cycle.shift
    candidates = phases(z[first : first + cycle.search + cycle.phase - 1], cycle.phase)
    return torch.einsum("q,qsd->sd", weights, candidates)


def cycle_logits(z: Float[Tensor, "T d"], start: int, cycle: Cycle) -> Float[Tensor, " P"]:
    """Logits of beta (eq. 6): tau * gamma between the expected phase and each candidate of the template region."""
    expected = followed(z, match_weights(z, start, cycle), cycle)
    candidates = phases(z[cycle.first_candidate : cycle.template], cycle.phase)
    return cycle.temperature * similarity(candidates, expected.expand_as(candidates))


def cycle_loss(z: Float[Tensor, "T d"], start: int, cycle: Cycle) -> Float[Tensor, ""]:
    """-log beta of the phase at `start` + `shift` (eq. 7), in fp32: squared distances of sums overflow in half precision.

    Args:
        z: embeddings of the frames of one clip, `cycle.length` of them.
        start: the drawn template phase p*, 0 .. `cycle.starts` - 1.
        cycle: regions, phase length, candidates.
    """
    if len(z) != cycle.length or not 0 <= start < cycle.starts:
        raise ValueError(
            f"{len(z)} frames and start {start}; need {cycle.length} frames and a start below {cycle.starts}"
        )
    logits = cycle_logits(z.float(), start, cycle)
    target = torch.tensor(start + cycle.shift - cycle.first_candidate, device=z.device)
    return F.cross_entropy(logits, target)
