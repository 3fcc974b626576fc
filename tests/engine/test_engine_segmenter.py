import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from echoseg.cine import Cine, CineMeta
from echoseg.engine import CONFIG_FILE, MODEL_FILE, Segmenter, Temporal, find_model, list_models, mean_gray
from echoseg.errors import InputError, ModelError, UsageError


def cine_of(frames: np.ndarray, **known: object) -> Cine:
    return Cine(CineMeta("made", frames.shape[1], frames.shape[2], len(frames), **known), frames)


@pytest.mark.parametrize("kind", ["frame", "window", "stream"])
@pytest.mark.parametrize(("n", "shape"), [(1, (40, 52)), (7, (112, 112)), (21, (64, 48))])
def test_masks_of_every_frame_at_native_size(tiny, discs, tmp_path, kind, n, shape):
    frames = discs(n, shape)
    result = Segmenter.load(tiny.folder(tmp_path, kind))(cine_of(frames, fps=50.0))
    assert result.masks.shape == (n, *shape)
    assert result.model == "tiny 1.0"
    assert result.confidence.shape == (n,)
    assert (result.confidence > 0.9).all()
    truth = np.maximum.accumulate(frames > 128) if kind == "stream" else frames > 128
    masks = result.masks.to_array() > 0
    dice = 2 * (masks & truth).sum((1, 2)) / (masks.sum((1, 2)) + truth.sum((1, 2)))
    assert dice.min() > 0.95


def test_softmax_labels_are_channels(tiny, tmp_path):
    config = tiny.config(structures={1: "LV", 2: "MYOCARDIUM", 3: "LA"}, activation="softmax")
    segmenter = Segmenter.load(tiny.write(tmp_path / "m", tiny.bands_frame(), config))
    frames = np.repeat(np.repeat(np.array([[0, 85], [170, 255]], np.uint8), 16, 0), 16, 1)[None]
    result = segmenter(cine_of(frames))
    np.testing.assert_array_equal(result.masks[0], frames[0] // 85)


@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_no_influence_of_chunk_or_batch_mates(tiny, discs, tmp_path, chunk):
    frames = discs(19, (112, 112))
    loaded = Segmenter.load(tiny.folder(tmp_path, "frame"))
    whole = loaded(cine_of(frames))
    chunked = Segmenter(loaded.config, loaded._backend, chunk=chunk)(cine_of(frames))
    np.testing.assert_array_equal(chunked.masks.to_array(), whole.masks.to_array())
    np.testing.assert_array_equal(chunked.confidence, whole.confidence)
    mates = frames.copy()
    mates[np.arange(19) != 7] = 255 - mates[np.arange(19) != 7]
    np.testing.assert_array_equal(loaded(cine_of(mates)).masks[7], whole.masks[7])


@pytest.mark.parametrize("kind", ["frame", "stream"])
def test_live_session_equals_the_whole_cine(tiny, discs, tmp_path, kind):
    frames = discs(9, (60, 80))
    segmenter = Segmenter.load(tiny.folder(tmp_path, kind))
    cine = cine_of(frames, fps=25.0)
    whole = segmenter(cine)
    for _ in range(2):  # a second session starts from nothing
        session = segmenter.session(cine.meta)
        for t, frame in enumerate(frames):
            result = session.step(frame)
            np.testing.assert_array_equal(result.mask, whole.masks[t])
            assert np.float32(result.confidence) == whole.confidence[t]
            assert result.probabilities.shape == (1, 60, 80)
            np.testing.assert_array_equal(result.probabilities[0] > 0.5, result.mask > 0)


def test_live_session_refuses_clip_models_and_other_sizes(tiny, tmp_path):
    meta = CineMeta("live", 60, 80, 1)
    with pytest.raises(UsageError, match="sees clips of 4"):
        Segmenter.load(tiny.folder(tmp_path, "window")).session(meta)
    session = Segmenter.load(tiny.folder(tmp_path, "frame")).session(meta)
    with pytest.raises(InputError, match=r"live, frame 0: .*one size"):
        session.step(np.zeros((60, 81), np.uint8))


def test_postprocessing_follows_the_config(tiny, tmp_path):
    frame = np.zeros((1, 32, 32), np.uint8)
    frame[0, 4:20, 4:20] = 255
    frame[0, 9:13, 9:13] = 0
    frame[0, 25:28, 25:28] = 255
    raw = Segmenter.load(tiny.folder(tmp_path / "a", "frame"))(cine_of(frame)).masks[0]
    np.testing.assert_array_equal(raw, frame[0] // 255)
    steps = ("largest_component", "fill_holes")
    clean = Segmenter.load(tiny.folder(tmp_path / "b", "frame", postprocess=steps))(cine_of(frame)).masks[0]
    assert clean[4:20, 4:20].all()
    assert np.count_nonzero(clean) == 256


def test_empty_masks_have_no_confidence(tiny, tmp_path):
    result = Segmenter.load(tiny.folder(tmp_path, "frame"))(cine_of(np.zeros((2, 40, 40), np.uint8)))
    assert not result.masks.to_array().any()
    assert (result.confidence == 0).all()


def test_a_temperature_makes_a_model_less_sure_of_the_same_masks(tiny, discs, tmp_path):
    cine = cine_of(discs(3, (32, 32)))
    sure, warm = (Segmenter.load(tiny.folder(tmp_path / str(t), "frame", temperature=t))(cine) for t in (1.0, 4.0))
    np.testing.assert_array_equal(sure.masks.to_array(), warm.masks.to_array())
    assert (warm.confidence < sure.confidence).all()


def test_frame_rate_warnings(tiny, discs, tmp_path):
    frames = discs(5, (40, 40))
    window = Segmenter.load(tiny.folder(tmp_path, "window"))
    assert any("frame rate unknown" in w for w in window(cine_of(frames)).meta.warnings)
    assert window(cine_of(frames, fps=50.0)).meta.warnings == ()


def test_what_the_model_has_not_learned_on_is_said(tiny, discs, tmp_path):
    frames = discs(5, (40, 40))
    gray = np.median([mean_gray(frame) for frame in frames])
    slow = Segmenter.load(tiny.folder(tmp_path, "frame", min_fps=20.0, gray_range=(gray / 2, gray * 1.1)))
    assert slow(cine_of(frames, fps=20.0)).beyond_training == ()
    (said,) = slow(cine_of(frames, fps=10.0)).beyond_training
    assert said == "10 frames per second, tiny 1.0 learned on 20 or more"
    (said,) = slow(cine_of(np.full_like(frames, 255), fps=20.0)).beyond_training
    assert said.startswith("images of a mean gray value of 100 %, tiny 1.0 learned on")
    small = discs(5, (8, 8))
    assert "frames of 8 x 8 pixels" in " ".join(slow(cine_of(small, fps=20.0)).beyond_training)


def test_mean_gray_leaves_out_what_is_black():
    assert mean_gray(np.array([[0, 51], [12, 153]], np.uint8)) == pytest.approx(0.4)
    assert mean_gray(np.zeros((4, 4), np.uint8)) == 0


def test_shipped_models_are_found_by_name(tiny, tmp_path):
    tiny.write(tmp_path / "small", tiny.threshold_frame(), tiny.config(name="small"))
    (found,) = list_models(tmp_path)
    assert (found.config.name, found.card) == ("small", "# tiny\n")
    assert find_model("small", tmp_path).path == tmp_path / "small"
    assert find_model(tmp_path / "small").path == tmp_path / "small"
    with pytest.raises(ModelError, match="'nosuch': no such model or folder; shipped models: small"):
        find_model("nosuch", tmp_path)
    assert list_models(tmp_path / "nowhere") == ()
    for model in list_models():
        model.read_weights()  # what ships must pass its own checksum


@pytest.mark.parametrize("missing", [MODEL_FILE, CONFIG_FILE])
def test_missing_files_are_named(tiny, tmp_path, missing):
    folder = tiny.folder(tmp_path, "frame")
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=f"holds no {missing}"):
        Segmenter.load(folder)


def test_a_changed_model_file_is_refused(tiny, tmp_path):
    folder = tiny.folder(tmp_path, "frame")
    content = (folder / MODEL_FILE).read_bytes()
    (folder / MODEL_FILE).write_bytes(content[:-1])
    with pytest.raises(ModelError, match=r"model\.onnx: sha256 .* cut short"):
        Segmenter.load(folder)
    document = json.loads((folder / CONFIG_FILE).read_text())
    document["sha256"] = {}
    (folder / CONFIG_FILE).write_text(json.dumps(document))
    with pytest.raises(ModelError, match="no sha256"):
        Segmenter.load(folder)


def test_a_bad_config_names_its_file(tiny, tmp_path):
    folder = tiny.folder(tmp_path, "frame")
    (folder / CONFIG_FILE).write_text('{"schema": 9}')
    with pytest.raises(ModelError, match=r"config\.json: schema 9"):
        Segmenter.load(folder)
    (folder / CONFIG_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"config\.json: cannot be read"):
        Segmenter.load(folder)


def test_what_is_not_onnx_is_refused(tiny, tmp_path):
    folder = tiny.write(tmp_path / "m", b"not a network", tiny.config())
    with pytest.raises(ModelError, match=r"model\.onnx: not a model that ONNX Runtime can load"):
        Segmenter.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"height": 64},
        {"structures": {1: "LV", 2: "MYOCARDIUM"}, "activation": "softmax"},
        {"temporal": Temporal("stream")},
        {"temporal": Temporal("window", 4)},
    ],
)
def test_a_network_unlike_its_config_is_refused(tiny, tmp_path, changes):
    folder = tiny.write(tmp_path / "m", tiny.threshold_frame(), tiny.config(**changes))
    with pytest.raises(ModelError, match=r"model\.onnx: .*but config\.json asks for .*export the model again"):
        Segmenter.load(folder)


def test_a_window_of_another_length_is_refused(tiny, tmp_path):
    config = tiny.config(temporal=Temporal("window", 8))
    with pytest.raises(ModelError, match="input 'clip'"):
        Segmenter.load(tiny.write(tmp_path / "m", tiny.threshold_window(4), config))


def test_values_that_are_not_finite_are_refused(tiny, discs, tmp_path):
    segmenter = Segmenter.load(tiny.folder(tmp_path, "frame"))

    class Broken:
        inputs = segmenter._backend.inputs
        outputs = segmenter._backend.outputs

        def run(self, feeds):
            return {"logits": np.full_like(feeds["frames"], np.nan)}

    with pytest.raises(ModelError, match="not finite on made, frame 0"):
        Segmenter(segmenter.config, Broken())(cine_of(discs(2, (40, 40))))


def test_unknown_backend_and_threads(tiny, tmp_path):
    folder = tiny.folder(tmp_path, "frame")
    with pytest.raises(UsageError, match="'tensorrt': unknown; use one of onnx"):
        Segmenter.load(folder, backend="tensorrt")
    with pytest.raises(UsageError, match="threads=0"):
        Segmenter.load(folder, threads=0)


def test_decoder_has_the_last_word_on_the_number_of_frames(tiny, discs, tmp_path):
    frames = discs(5, (40, 40))

    class Stream:
        meta = CineMeta("stream", 40, 40, 99)

        def __iter__(self):
            yield from frames
            self.meta = replace(self.meta, warnings=("cut short",))

    result = Segmenter.load(tiny.folder(tmp_path, "frame"))(Stream())
    assert result.meta.n_frames == 5
    assert result.meta.warnings == ("cut short",)


_LONG = """
import resource, sys
import numpy as np
from echoseg.cine import CineMeta
from echoseg.engine import Segmenter
segmenter = Segmenter.load(sys.argv[1], threads=1)
rows, cols = np.ogrid[:112, :112]
class Stream:
    meta = CineMeta("long", 112, 112, int(sys.argv[2]), fps=50.0)
    def __iter__(self):
        for t in range(self.meta.n_frames):
            yield (((rows - 56) ** 2 + (cols - 50 - t % 9) ** 2 < 700) * 200).astype(np.uint8)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
class Short(Stream):
    meta = CineMeta("short", 112, 112, 40, fps=50.0)
segmenter(Short())
before = peak()
assert len(segmenter(Stream()).masks) == int(sys.argv[2])
assert not {"torch", "timm", "matplotlib"} & set(sys.modules), "torch was imported"
print(peak() - before)
"""


def test_memory_is_bounded_and_torch_is_not_imported(tiny, tmp_path):
    """4000 frames of 112 px would take 50 MB as uint8 and 200 MB as float32; far less may be held."""
    folder = tiny.folder(tmp_path, "frame")
    done = subprocess.run([sys.executable, "-c", _LONG, folder, "4000"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 20
