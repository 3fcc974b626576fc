"""OpenVINO beside ONNX Runtime: the same masks, the same refusals, and silence towards its maker."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom.examples
import pytest

from echoseg.cine import Cine, CineMeta, Structure
from echoseg.engine import Segmenter
from echoseg.engine.backends import BACKENDS, load_backend
from echoseg.errors import ModelError
from echoseg.metrics import dice

OPENVINO = ("openvino", "openvino-bf16")


@pytest.mark.parametrize("kind", ["frame", "window", "stream"])
def test_the_same_masks_for_every_temporal_kind(tiny, discs, tmp_path, kind):
    frames = discs(21, (64, 48))
    cine = Cine(CineMeta("made", 64, 48, 21, fps=50.0), frames)
    folder = tiny.folder(tmp_path, kind)
    onnx, openvino = (Segmenter.load(folder, backend=name, threads=1)(cine) for name in ("onnx", "openvino"))
    np.testing.assert_array_equal(openvino.masks.to_array(), onnx.masks.to_array())
    np.testing.assert_allclose(openvino.confidence, onnx.confidence, atol=1e-5)


@pytest.mark.parametrize("model", ["a4c", "a4c-small"])
def test_a_shipped_model_in_16_bits_draws_the_same_ventricle(model):
    path = pydicom.examples.get_path("ybr_color")
    exact, half = (Segmenter.load(model, backend=name, threads=1)(path).masks for name in ("onnx", "openvino-bf16"))
    scores = [dice(a == Structure.LV, b == Structure.LV) for a, b in zip(exact, half, strict=True)]
    assert min(scores) > 0.99


def test_two_threads_share_a_network(tiny, tmp_path):
    backend = Segmenter.load(tiny.folder(tmp_path, "frame"), backend="openvino", threads=1)._backend
    images = np.random.default_rng(0).random((64, 1, 1, tiny.size, tiny.size), np.float32)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: backend.run({"frames": image})["logits"], images))
    np.testing.assert_allclose(np.stack(found), (images - 0.5) * tiny.gain, atol=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_no_network_is_refused_by_name(backend):
    with pytest.raises(ModelError, match=r"broken\.onnx: not a model that"):
        load_backend(backend, b"no network", "broken.onnx", 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_wrong_inputs_fail_with_the_name_of_the_file(backend, tiny):
    loaded = load_backend(backend, tiny.threshold_frame(), "tiny.onnx", 1)
    with pytest.raises(ModelError, match=r"tiny\.onnx: the network failed"):
        loaded.run({"pictures": np.zeros((1, 1, tiny.size, tiny.size), np.float32)})


@pytest.mark.parametrize("backend", OPENVINO)
def test_without_the_extra_the_message_says_how_to_get_it(backend, tiny, tmp_path):
    folder = tiny.folder(tmp_path, "frame")
    code = (
        "import sys; sys.modules['openvino'] = None\n"
        "from echoseg.engine import Segmenter\nfrom echoseg.errors import UsageError\n"
        f"try:\n    Segmenter.load({str(folder)!r}, backend={backend!r})\n"
        "except UsageError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'echoseg[openvino]'" in done.stdout


def test_openvino_tells_its_maker_nothing(tiny, tmp_path):
    """Its Python package sends an event when it is imported; a hospital's machine must not."""
    folder, home = tiny.folder(tmp_path / "m", "frame"), tmp_path / "home"
    home.mkdir()
    code = (
        "import sys\nfrom echoseg.engine import Segmenter\n"
        f"Segmenter.load({str(folder)!r}, backend='openvino')\n"
        "assert 'openvino' in sys.modules\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"HOME": str(home)}
    )
    assert done.stdout.strip() == "[]"
    assert list(home.iterdir()) == []
