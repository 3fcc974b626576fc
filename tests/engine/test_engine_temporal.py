"""The windowing scheme, told by networks that answer with what they were shown."""

from collections.abc import Mapping

import numpy as np
import pytest

from echoseg.engine import Temporal
from echoseg.engine.temporal import predict


class Spy:
    """Logits = the input's values; remembers which frames each call saw (frame t is filled with value t)."""

    def __init__(self, inputs: Mapping[str, tuple[int, ...]]) -> None:
        self.inputs = inputs
        self.outputs = {"logits": (1,)}
        self.calls: list[list[int]] = []

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        (values,) = feeds.values()
        flat = values[0] if "clip" in feeds else values
        self.calls.append([round(float(v) * 255) for v in flat[:, 0, 0, 0]])
        return {"logits": values.copy()}


def frames(n: int, size: int) -> list[np.ndarray]:
    return [np.full((size, size), t, np.uint8) for t in range(n)]


def seen(logits) -> list[int]:
    return [round(float(x[0, 0, 0]) * 255) for x in logits]


@pytest.mark.parametrize("n", [1, 15, 16, 17, 33])
@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_frames_come_back_in_order(tiny, n, chunk):
    spy = Spy({"frames": (1,)})
    assert seen(predict(spy, tiny.config(), frames(n, tiny.size), None, chunk)) == list(range(n))
    assert max(map(len, spy.calls)) <= chunk
    assert [t for call in spy.calls for t in call] == list(range(n))


def test_windows_are_interleaved_at_the_step_in_seconds(tiny):
    spy = Spy({"clip": (1,)})
    config = tiny.config(temporal=Temporal("window", 4, 0.04))
    assert seen(predict(spy, config, frames(16, tiny.size), 50.0, 16)) == list(range(16))
    assert spy.calls == [[0, 2, 4, 6], [1, 3, 5, 7], [8, 10, 12, 14], [9, 11, 13, 15]]


def test_the_last_block_moves_back_to_end_with_the_cine(tiny):
    spy = Spy({"clip": (1,)})
    config = tiny.config(temporal=Temporal("window", 4, None))
    assert seen(predict(spy, config, frames(10, tiny.size), None, 16)) == list(range(10))
    assert spy.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [6, 7, 8, 9]]


@pytest.mark.parametrize(("n", "calls"), [(1, [[0, 0, 0, 0]]), (3, [[0, 2, 2, 2], [1, 2, 2, 2]])])
def test_short_cines_repeat_the_last_frame(tiny, n, calls):
    spy = Spy({"clip": (1,)})
    config = tiny.config(temporal=Temporal("window", 4, 0.04))
    assert seen(predict(spy, config, frames(n, tiny.size), 50.0, 16)) == list(range(n))
    assert spy.calls == calls


@pytest.mark.parametrize("n", range(1, 40))
@pytest.mark.parametrize(("length", "step_s"), [(1, None), (5, None), (5, 0.06), (3, 0.04)])
def test_every_frame_is_predicted_once_from_itself(tiny, n, length, step_s):
    config = tiny.config(temporal=Temporal("window", length, step_s))
    assert seen(predict(Spy({"clip": (1,)}), config, frames(n, tiny.size), 50.0, 16)) == list(range(n))


def test_input_is_consumed_lazily(tiny):
    """No more than one window span is read ahead: memory is bounded by it."""
    read = 0

    def source():
        nonlocal read
        for image in frames(100, tiny.size):
            read += 1
            yield image

    config = tiny.config(temporal=Temporal("window", 4, 0.04))
    predictions = predict(Spy({"clip": (1,)}), config, source(), 50.0, 16)
    for given in range(1, 40):
        next(predictions)
        assert read <= given + 8
