"""Videos in and out through libav."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.io.sample_files import N_FRAMES, SHAPE, beating_disc, noise

from echoseg.errors import InputError, OutputError, UsageError
from echoseg.io import open_cine, read_cine, write_video
from echoseg.io.gray import expand_limited_range, luma, to_limited_range

ODD = (45, 37)
LIMITED, FULL = 1, 2


def write_planes(path: Path, frames: np.ndarray, pix_fmt: str, codec: str, color_range: int = 0) -> Path:
    """Video whose first plane holds `frames` bit for bit, in any pixel format; other planes are 128."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        stream.codec_context.color_range = color_range
        for number, values in enumerate(frames):
            picture = av.VideoFrame(values.shape[1], values.shape[0], pix_fmt)
            for plane in picture.planes:
                np.frombuffer(memoryview(plane), np.uint8)[:] = 128
            plane = picture.planes[0]
            lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            data = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
            lines[: len(data), : data.shape[1]] = data
            picture.pts, picture.color_range = number, color_range
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("shape", [SHAPE, ODD, (112, 112), (1, 1), (600, 800)])
@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_lossless_round_trip_is_exact(tmp_path, shape, name):
    write_video(tmp_path / name, noise(3, shape), 47.5, shape, "ffv1")
    cine = read_cine(tmp_path / name)
    np.testing.assert_array_equal(cine.frames, noise(3, shape))
    assert (cine.fps, cine.spacing, cine.meta.aspect, cine.meta.warnings) == (47.5, None, None, ())


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "mjpeg"), ("a.mp4", "mjpeg"), ("a.mp4", "h264"), ("a.mov", "h264")]
)
@pytest.mark.parametrize("shape", [SHAPE, ODD])
def test_lossy_round_trip_is_close(tmp_path, name, codec, shape):
    frames = beating_disc(N_FRAMES, shape)
    write_video(tmp_path / name, frames, 30, shape, codec)
    cine = read_cine(tmp_path / name)
    error = cine.frames[:, : shape[0], : shape[1]].astype(int) - frames
    assert np.abs(error).max() <= 24
    assert np.abs(error).mean() <= 2
    assert abs(error.mean()) < 0.3  # a wrong range would shift the mean
    assert len(cine) == N_FRAMES


def test_odd_sizes_are_padded_by_the_edge_for_h264(tmp_path):
    frames = beating_disc(N_FRAMES, ODD)
    write_video(tmp_path / "a.mp4", frames, 30, ODD, "h264")
    cine = read_cine(tmp_path / "a.mp4")
    assert cine.meta.shape == (46, 38)
    assert np.abs(cine.frames[:, -1].astype(int) - cine.frames[:, -2]).max() <= 6


def test_h264_is_what_browsers_play(tmp_path):
    write_video(tmp_path / "a.mp4", beating_disc(), 30, SHAPE, "h264")
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert context.color_range in (0, LIMITED)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(("codec", "most"), [("ffv1", 0), ("mjpeg", 30), ("h264", 30)])
def test_rgb_frames_read_back_as_their_luma(tmp_path, codec, most):
    gray = beating_disc()
    rgb = np.stack([gray, gray // 2, 255 - gray], axis=-1)
    write_video(tmp_path / "a.mkv", rgb, 30, SHAPE, codec)
    assert np.abs(read_cine(tmp_path / "a.mkv").frames.astype(int) - luma(rgb)).max() <= most


def test_equal_input_gives_equal_bytes(tmp_path):
    for codec, suffix in (("mjpeg", "avi"), ("h264", "mp4"), ("ffv1", "avi")):
        for name in "ab":
            write_video(tmp_path / f"{name}.{suffix}", beating_disc(30), 50, SHAPE, codec)
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes(), codec


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "color_range", "full"),
    [
        ("gray", "ffv1", 0, True),
        ("yuv420p", "ffv1", 0, False),
        ("yuv420p", "ffv1", LIMITED, False),
        ("yuv420p", "ffv1", FULL, True),
        ("yuv444p", "ffv1", FULL, True),
        ("yuv422p", "rawvideo", 0, False),
        ("gray", "rawvideo", 0, True),
    ],
)
def test_luma_plane_is_taken_as_it_is_and_video_range_expanded(tmp_path, pix_fmt, codec, color_range, full):
    path = write_planes(tmp_path / "a.mkv", noise(3, ODD), pix_fmt, codec, color_range)
    expected = noise(3, ODD) if full else expand_limited_range(noise(3, ODD))
    np.testing.assert_array_equal(read_cine(path).frames, expected)


def test_range_tables_are_inverse_and_clip():
    levels = np.arange(256, dtype=np.uint8)
    limited = to_limited_range(levels)
    assert (limited.min(), limited.max()) == (16, 235)
    assert np.abs(expand_limited_range(limited).astype(int) - levels).max() <= 1
    assert expand_limited_range(np.array([0, 16, 235, 255], np.uint8)).tolist() == [0, 0, 255, 255]


def test_deep_gray_keeps_its_high_bits(tmp_path):
    deep = noise(2, ODD).astype("<u2") * 256 + 77
    path = write_planes(tmp_path / "a.mkv", deep, "gray16le", "ffv1")
    np.testing.assert_array_equal(read_cine(path).frames, noise(2, ODD))


def test_ten_bit_luma(tmp_path):
    deep = noise(2, ODD).astype("<u2") * 4 + 1
    path = write_planes(tmp_path / "a.mkv", deep, "yuv420p10le", "ffv1", FULL)
    np.testing.assert_array_equal(read_cine(path).frames, noise(2, ODD))


def test_packed_luma(tmp_path):
    """yuyv422 keeps luma in every other byte."""
    packed = np.full((2, 44, 36, 2), 128, np.uint8)
    packed[..., 0] = noise(2, (44, 36))
    path = write_planes(tmp_path / "a.avi", packed, "yuyv422", "rawvideo")
    np.testing.assert_array_equal(read_cine(path).frames, expand_limited_range(noise(2, (44, 36))))


def test_aspect_ratio_of_the_file_is_kept(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SHAPE, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(1, 2)  # twice as high as wide
        for frame in noise():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode(None))
    meta = open_cine(tmp_path / "a.mp4").meta
    assert meta.aspect == 2.0
    assert not meta.square_pixels


def test_frame_count_of_a_file_that_does_not_say(tmp_path):
    write_video(tmp_path / "a.mkv", noise(), 30, SHAPE, "ffv1")
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert container.streams.video[0].frames == 0
    assert open_cine(tmp_path / "a.mkv").meta.n_frames == N_FRAMES


def test_implausible_frame_count_is_counted_instead(tmp_path):
    write_video(tmp_path / "a.avi", noise(), 30, SHAPE, "ffv1")
    data = bytearray((tmp_path / "a.avi").read_bytes())
    position = data.index(b"strh") + 8 + 32
    data[position : position + 4] = (10**9).to_bytes(4, "little")
    (tmp_path / "a.avi").write_bytes(data)
    assert len(read_cine(tmp_path / "a.avi")) == N_FRAMES


def test_missing_frames_are_an_error_not_a_shorter_cine(tmp_path):
    write_video(tmp_path / "a.avi", noise(), 30, SHAPE, "ffv1")
    data = bytearray((tmp_path / "a.avi").read_bytes())
    position = data.index(b"strh") + 8 + 32
    data[position : position + 4] = (N_FRAMES + 3).to_bytes(4, "little")
    (tmp_path / "a.avi").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.avi: only 6 of its 9 frames"):
        read_cine(tmp_path / "a.avi")


def test_damaged_frame_in_the_middle_names_the_frame(tmp_path):
    write_video(tmp_path / "a.avi", beating_disc(), 30, SHAPE, "mjpeg")
    expected = read_cine(tmp_path / "a.avi").frames
    data = bytearray((tmp_path / "a.avi").read_bytes())
    movie = data.index(b"movi")
    starts = [position for position in range(movie, len(data)) if data.startswith(b"00dc", position)]
    data[starts[3] + 8 : starts[4]] = bytes(starts[4] - starts[3] - 8)
    (tmp_path / "a.avi").write_bytes(data)
    frames = iter(open_cine(tmp_path / "a.avi"))
    np.testing.assert_array_equal([next(frames) for _ in range(3)], expected[:3])
    with pytest.raises(InputError, match=r"a\.avi: frame 3 cannot be read"):
        next(frames)


def test_sound_without_pictures(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="no video stream"):
        open_cine(tmp_path / "a.mkv")


@pytest.mark.parametrize(
    ("path", "codec", "frames", "fps", "error"),
    [
        ("a.nii", "mjpeg", noise(), 30, UsageError),
        ("a.avi", "gif", noise(), 30, UsageError),
        ("a.avi", "mjpeg", noise()[:0], 30, InputError),
        ("a.avi", "mjpeg", noise().astype(float), 30, InputError),
        ("a.avi", "mjpeg", noise(2, (8, 8)), 30, InputError),
        ("a.avi", "mjpeg", noise(), 0, InputError),
        ("a.avi", "mjpeg", noise(), float("nan"), InputError),
    ],
)
def test_what_cannot_be_written_leaves_no_file(tmp_path, path, codec, frames, fps, error):
    with pytest.raises(error, match=r"a\.(nii|avi): "):
        write_video(tmp_path / path, frames, fps, SHAPE, codec)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_an_error_with_a_cure(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_video(Path("/proc/a.avi"), noise(), 30, SHAPE)


_MEASURE = """
import sys
from pathlib import Path
import numpy as np
from echoseg.io import open_cine, write_video
path = Path(sys.argv[1])
noise = np.random.default_rng(0).integers(0, 256, (50, 112, 112), dtype=np.uint8)
write_video(path, (noise[i % 50] for i in range(10_000)), 50, (112, 112))
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
with open_cine(path) as stream:
    before, most, count = resident(), 0.0, 0
    for frame in stream:
        count += 1
        if count % 100 == 0:
            most = max(most, resident() - before)
print(count, most)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_thousand_frames_take_no_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path / "long.avi")], capture_output=True, text=True, check=True
    )
    count, megabytes = done.stdout.split()
    assert int(count) == 10_000
    assert float(megabytes) < 50
