"""The three ways in which a model sees time, as generators: network inputs in, logits of each frame out, in order.

Each iterates its input once and holds no more than one chunk, one window span or one state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from echoseg.cine import Float32, UInt8
from echoseg.engine.backends import Backend
from echoseg.engine.config import ModelConfig

Normalise = Callable[[UInt8], Float32]


def normaliser(config: ModelConfig) -> Normalise:
    """uint8 network inputs, any shape, to the values that the network was trained on."""
    lookup = config.lookup()
    return lambda images: lookup[images]


def predict(
    backend: Backend, config: ModelConfig, images: Iterable[UInt8], fps: float | None, chunk: int
) -> Iterator[Float32]:
    """Logits (K, rows, cols) of each image, uint8 (rows, cols), in order.

    Args:
        backend: the network.
        config: how it sees time.
        images: network inputs, iterated once.
        fps: frame rate, None if unknown.
        chunk: images per call of a `frame` model; no result depends on it.
    """
    normalise = normaliser(config)
    if config.temporal.kind == "frame":
        return _frames(backend, normalise, images, chunk)
    if config.temporal.kind == "window":
        return _windows(backend, normalise, images, config.temporal.clip_length, config.temporal.stride(fps))
    stream = StreamState(backend, normalise)
    return (stream.step(image) for image in images)


def _frames(backend: Backend, normalise: Normalise, images: Iterable[UInt8], chunk: int) -> Iterator[Float32]:
    source = iter(images)
    while batch := list(islice(source, chunk)):
        yield from backend.run({"frames": normalise(np.stack(batch))[:, None]})["logits"]


def _windows(
    backend: Backend, normalise: Normalise, images: Iterable[UInt8], length: int, stride: int
) -> Iterator[Float32]:
    """Clips of `length` images, `stride` apart, interleaved.

    A block of `length * stride` consecutive images is covered by `stride` clips: clip j holds images j, j + stride, ..., so
    that every image lies in exactly one clip. Blocks follow each other; the last one is moved back to end with the cine, and
    gives only the images that no earlier block gave. A cine shorter than a block repeats the last image in its place.
    """
    span = length * stride
    block: deque[UInt8] = deque(maxlen=span)
    fresh = 0  # images at the end of `block` that have no prediction yet
    for image in images:
        block.append(image)
        fresh += 1
        if fresh == span:
            yield from _block(backend, normalise, block, length, stride)
            fresh = 0
    if fresh:
        yield from _block(backend, normalise, block, length, stride)[-fresh:]


def _block(backend: Backend, normalise: Normalise, block: Sequence[UInt8], length: int, stride: int) -> list[Float32]:
    logits: list[Float32] = [np.empty(0, np.float32)] * len(block)
    for phase in range(min(stride, len(block))):
        wanted = [min(phase + k * stride, len(block) - 1) for k in range(length)]
        clip = normalise(np.stack([block[i] for i in wanted]))[None, :, None]
        predicted = backend.run({"clip": clip})["logits"][0]
        for k, i in enumerate(range(phase, len(block), stride)):
            logits[i] = predicted[k]
    return logits


class StreamState:
    """A `stream` model with the state that it carries from frame to frame."""

    def __init__(self, backend: Backend, normalise: Normalise) -> None:
        """A state before the first frame: all zeros."""
        self._backend = backend
        self._normalise = normalise
        self._first = True
        self._state: Mapping[str, Float32] = {
            name: np.zeros(fixed_shape(shape), np.float32) for name, shape in state_inputs(backend).items()
        }

    def step(self, image: UInt8) -> Float32:
        """Logits (K, rows, cols) of the next image, uint8 (rows, cols)."""
        feeds = {
            "frame": self._normalise(image)[None, None],
            "first": np.array([float(self._first)], np.float32),
            **self._state,
        }
        outputs = self._backend.run(feeds)
        self._state = {name: outputs[f"next_{name}"] for name in self._state}
        self._first = False
        logits: Float32 = outputs["logits"][0]
        return logits


def state_inputs(backend: Backend) -> dict[str, tuple[int | None, ...]]:
    """Name -> shape of a stream model's state inputs."""
    return {name: shape for name, shape in backend.inputs.items() if name.startswith("state_")}


def fixed_shape(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """A shape with free dimensions taken as 1 (the batch)."""
    return tuple(1 if n is None else n for n in shape)
