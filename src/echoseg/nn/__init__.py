"""Layers that two or more methods use unchanged."""

from echoseg.nn.attention import Attention, FeedForward
from echoseg.nn.encoder import Encoder

__all__ = ["Attention", "Encoder", "FeedForward"]
