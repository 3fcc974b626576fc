"""Cines in memory, clips, augmentation, and the labelled and unlabelled streams that training draws from."""

from echoseg.data.animated import AnimatedStills, is_pair_of_stills
from echoseg.data.augment import AugmentConfig, augment_clip
from echoseg.data.clips import (
    STEP_S,
    beat_indices,
    beat_step_s,
    clip_indices,
    frame_step,
    long_enough,
    mirrored_indices,
    window_indices,
)
from echoseg.data.ef import EfCine, EfClips, EfStream, ef_cines, mask_channel
from echoseg.data.store import CineStore, StoredCine, store_cine
from echoseg.data.stream import ClipStream, MixedStream, StreamConfig, clip_masks

__all__ = [
    "STEP_S",
    "AnimatedStills",
    "AugmentConfig",
    "CineStore",
    "ClipStream",
    "EfCine",
    "EfClips",
    "EfStream",
    "MixedStream",
    "StoredCine",
    "StreamConfig",
    "augment_clip",
    "beat_indices",
    "beat_step_s",
    "clip_indices",
    "clip_masks",
    "ef_cines",
    "frame_step",
    "is_pair_of_stills",
    "long_enough",
    "mask_channel",
    "mirrored_indices",
    "store_cine",
    "window_indices",
]
