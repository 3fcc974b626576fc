"""Layers that two or more methods use unchanged."""

from echoseg.nn.attention import Attention, FeedForward
from echoseg.nn.ema import Ema
from echoseg.nn.encoder import Encoder
from echoseg.nn.unet import UNet, UNetConfig

__all__ = ["Attention", "Ema", "Encoder", "FeedForward", "UNet", "UNetConfig"]
