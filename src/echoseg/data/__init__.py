"""Cines in memory, clips, augmentation, and the labelled and unlabelled streams that training draws from."""

from echoseg.data.animated import AnimatedStills, is_pair_of_stills
from echoseg.data.augment import AugmentConfig, augment_clip
from echoseg.data.clips import beat_indices, clip_indices, window_indices
from echoseg.data.store import CineStore, StoredCine, store_cine
from echoseg.data.stream import ClipStream, StreamConfig, clip_masks

__all__ = [
    "AnimatedStills",
    "AugmentConfig",
    "CineStore",
    "ClipStream",
    "StoredCine",
    "StreamConfig",
    "augment_clip",
    "beat_indices",
    "clip_indices",
    "clip_masks",
    "is_pair_of_stills",
    "store_cine",
    "window_indices",
]
