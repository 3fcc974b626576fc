"""The stream, the door, atomic files and the sniffer."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.io.sample_files import N_FRAMES, SAMPLES, SHAPE, noise

from echoseg import io as echo_io
from echoseg.cine import CineMeta, Spacing
from echoseg.errors import EchosegError, InputError, OutputError
from echoseg.io import (
    CineStream,
    atomic_path,
    atomic_write_bytes,
    atomic_write_text,
    open_cine,
    read_cine,
    read_masks,
    write_nifti,
)
from echoseg.io.door import quiet, reading


@pytest.fixture(params=list(SAMPLES))
def sample(request, tmp_path):
    return SAMPLES[request.param](tmp_path / request.param)


def open_files() -> set[str]:
    folder = Path("/proc/self/fd")
    return {str(entry.readlink()) for entry in folder.iterdir() if entry.exists()}


def test_every_format_streams_what_it_reads_whole(sample):
    cine, stream = read_cine(sample), open_cine(sample)
    assert stream.meta.source == str(sample)
    assert stream.meta.n_frames == len(cine) == (1 if "still" in sample.name else N_FRAMES)
    frames = list(stream)
    assert all(frame.dtype == np.uint8 and frame.shape == SHAPE for frame in frames)
    np.testing.assert_array_equal(frames, cine.frames)
    assert len(np.unique(cine.frames)) > 50


def test_the_name_of_a_file_does_not_matter(sample):
    renamed = sample.with_name("some.thing")
    expected = read_cine(sample).frames
    sample.rename(renamed)
    np.testing.assert_array_equal(read_cine(renamed).frames, expected)


def test_iterators_start_anew_and_do_not_disturb_each_other(sample):
    stream = open_cine(sample)
    expected = list(stream)
    np.testing.assert_array_equal([pair[0] for pair in zip(stream, stream, strict=True)], expected)
    np.testing.assert_array_equal([pair[1] for pair in zip(stream, stream, strict=True)], expected)


def test_frames_may_be_kept_and_written_to(sample):
    """A consumer may hold frames while the decoder goes on: no buffer is used twice."""
    kept = list(open_cine(sample))
    again = [frame.copy() for frame in open_cine(sample)]
    np.testing.assert_array_equal(kept, again)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_closing_closes_the_files_of_unfinished_iterators(sample):
    with open_cine(sample) as stream:
        unfinished = iter(stream)
        next(unfinished)
    assert str(sample) not in open_files()
    with pytest.raises(InputError, match="after it was closed"):
        iter(stream)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_abandoned_iterator_leaves_no_open_file(sample):
    next(iter(open_cine(sample)))
    assert str(sample) not in open_files()


def test_what_the_user_says_wins_and_silences_the_warning(tmp_path):
    write_nifti(tmp_path / "a.nii", noise(), N_FRAMES, SHAPE, None)
    assert len(open_cine(tmp_path / "a.nii").meta.warnings) == 1
    stream = open_cine(str(tmp_path / "a.nii"), fps=33.0, spacing=Spacing(0.3, 0.6))
    assert (stream.meta.fps, stream.meta.spacing, stream.meta.aspect) == (33.0, Spacing(0.3, 0.6), 0.5)
    assert stream.meta.warnings == ()
    np.testing.assert_array_equal(list(stream), noise())


@pytest.mark.parametrize("fps", [0, -1.0, float("nan")])
def test_absurd_frame_rate_of_the_user_is_refused(tmp_path, fps):
    write_nifti(tmp_path / "a.nii", noise(), N_FRAMES, SHAPE, None)
    with pytest.raises(InputError, match="--fps"):
        open_cine(tmp_path / "a.nii", fps=fps)


def test_only_npz_holds_masks_beside_frames(sample):
    stream = open_cine(sample)
    assert bool(stream.masks) == bool(stream.instants) == (sample.suffix == ".npz")


def test_masks_are_not_read_from_pictures(sample):
    said = "label|masks of 2" if sample.suffix in (".nii", ".gz", ".npz", ".mha") else "masks are read from NIfTI"
    with pytest.raises(InputError, match=said):
        read_masks(sample)


def test_more_frames_than_announced_are_read_and_fewer_too():
    def stream(announced: int) -> CineStream:
        return CineStream(CineMeta("x", *SHAPE, announced), lambda: (frame for frame in noise()))

    for announced in (1, 4, 6, 100):
        cine = stream(announced).read()
        np.testing.assert_array_equal(cine.frames, noise())
        assert cine.meta.n_frames == N_FRAMES
    with pytest.raises(InputError, match="not a single frame"):
        CineStream(CineMeta("x", *SHAPE, 3), lambda: (frame for frame in ())).read()


def test_a_frame_of_another_size_is_an_error():
    frames = [noise()[0], noise()[1][1:]]
    with pytest.raises(InputError, match=r"x: frame 1 has shape \(55, 48\)"):
        CineStream(CineMeta("x", *SHAPE, 2), lambda: (frame for frame in frames)).read()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "gone"), "no such file"),
        (PermissionError(13, "locked"), "no permission"),
        (MemoryError(), "more memory"),
        (EOFError("ended\n  early"), r"\(ended early\)"),
        (ValueError(), r"\(ValueError\)"),
        (RecursionError("deep"), "deep"),
    ],
)
def test_the_door_names_file_and_cure(error, said):
    with pytest.raises(InputError, match=rf"^a\.dcm: .*{said}.*; ") as caught, reading("a.dcm", "frame 3"):
        raise error
    assert caught.value.__cause__ is error


def test_the_door_does_not_hide_mistakes_of_this_package():
    with pytest.raises(TypeError), reading("a.dcm"):
        raise TypeError("wrong call")
    with pytest.raises(EchosegError, match="inner"), reading("a.dcm"):
        raise InputError("inner")


def test_quiet_is_over_when_it_ends():
    with quiet():
        warnings.warn("unheard", stacklevel=1)
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)


@pytest.mark.parametrize(("name", "said"), [("nowhere.avi", "no such file"), ("a\0b", "cannot be read")])
def test_paths_that_lead_nowhere(tmp_path, name, said):
    with pytest.raises(InputError, match=said):
        open_cine(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mkfifo")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.avi")
    with pytest.raises(InputError, match="device or pipe"):
        open_cine(tmp_path / "pipe.avi")


def test_atomic_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert (temporary.parent, temporary.suffix) == (path.parent, ".txt")
    assert path.read_text() == "half"
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("other")
        raise ZeroDivisionError
    assert path.read_text() == "half"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_atomic_write_replaces(tmp_path):
    atomic_write_text(tmp_path / "a", "é\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\n"
    atomic_write_bytes(tmp_path / "a", b"\0")
    assert (tmp_path / "a").read_bytes() == b"\0"


def test_full_disk_and_blocked_paths_are_clear_errors(tmp_path):
    full = r"a\.txt: cannot be written \(No space left on device\); free space"
    with pytest.raises(OutputError, match=full), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        atomic_write_text(tmp_path / "file" / "a.txt", "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        atomic_write_text(tmp_path / "folder", "text")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


def test_every_public_name_is_there():
    assert all(callable(getattr(echo_io, name)) for name in echo_io.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        echo_io.nothing  # noqa: B018


def test_import_loads_no_library():
    code = (
        "import sys, echoseg.io; "
        "print(sorted({'av', 'pydicom', 'PIL', 'nibabel', 'scipy', 'torch', 'gdcm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nifti_needs_neither_libav_nor_pydicom(tmp_path):
    write_nifti(tmp_path / "a.nii.gz", noise(), N_FRAMES, SHAPE, None)
    code = "import sys, echoseg.io; echoseg.io.read_cine(sys.argv[1]); print({'av', 'pydicom'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.nii.gz")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
