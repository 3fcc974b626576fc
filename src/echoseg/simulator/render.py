"""One simulated cine with its masks and volumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from echoseg.cine import Float32, Float64, Structure, UInt8, View
from echoseg.errors import UsageError
from echoseg.simulator.anatomy import LeftVentricle
from echoseg.simulator.artefacts import Acoustics
from echoseg.simulator.display import Display, ImageGrid, ScanConverter, draw_screen_marks
from echoseg.simulator.geometry import Mask, Pose, fill_polygon
from echoseg.simulator.heart import Heart
from echoseg.simulator.motion import VolumeCurve, labelled_instants, schedule_beats
from echoseg.simulator.patient import Patient, ViewGeometry, sample_patient, sample_view
from echoseg.simulator.presets import Preset, get_preset
from echoseg.simulator.randomness import Stream, stream, uniform
from echoseg.simulator.simulated import SimulatedCine
from echoseg.simulator.tissue import Tissue
from echoseg.simulator.ultrasound import Beamformer, Scanner, sample_scanner

Layout = Literal["echonet", "camus"]
Span = Literal["all", "half_beat"]

_SHORTEST_CINE_S = 1.2
_P_VISIBLE = 0.95
"""Part of the endocardium that the sonographer brings into the sector."""
_P_FILLING = 0.3
"""Chance that a doctor labels end-systole and the end-diastole after it."""


def _paint_labels(heart: Heart, grid: ImageGrid, inside: Mask, frame: int) -> UInt8:
    """Label map of a frame. The myocardium is an open horseshoe: nothing lies over the mitral valve."""
    spacing = np.array([grid.spacing.row_mm, grid.spacing.col_mm])
    endo, epi, atrium = (grid.to_image_mm(points[:, 0], points[:, 1]) / spacing for points in heart.outlines(frame))
    labels = np.zeros(grid.shape, np.uint8)
    labels[fill_polygon(atrium, grid.shape)] = Structure.LA
    labels[fill_polygon(np.concatenate([epi, endo[::-1]]), grid.shape)] = Structure.MYOCARDIUM
    labels[fill_polygon(endo, grid.shape)] = Structure.LV
    labels *= inside
    return labels


def _dropout_db(heart: Heart, acoustics: Acoustics, frame: int, time_s: float) -> float:
    """Largest attenuation on the endocardium."""
    endo = heart.outlines(frame)[0]
    angle = np.rad2deg(np.arctan2(endo[:, 0], endo[:, 1]))
    return float(acoustics.attenuation.db(time_s, np.hypot(endo[:, 0], endo[:, 1]), angle).max())


def _times(duration_s: float | None, fps: float, heart_rate_bpm: float) -> Float64:
    """Times of the frames; two beats unless told otherwise."""
    if duration_s is None:
        duration_s = max(2 * 60 / heart_rate_bpm, _SHORTEST_CINE_S)
    return np.arange(max(1, int(np.ceil(duration_s * fps - 1e-6)))) / fps


def _set_up(
    rng: np.random.Generator, patient: Patient, geometry: ViewGeometry, *, fine: bool
) -> tuple[ViewGeometry, Scanner]:
    """Place the probe as a sonographer does.

    The heart is moved away from the probe until all but a small part of the ventricle lies in the sector; the depth shows
    the ventricle and at least half of the atrium.
    """
    sector_deg = uniform(rng, (72, 92))
    lv = LeftVentricle(patient, geometry, np.array([patient.edv_ml]))
    x, z = Pose(geometry.apex_x_mm, 0.0, geometry.tilt_rad).to_sector(lv.rest_endo[:, 0], lv.rest_endo[:, 1])
    needed = np.abs(x) / np.tan(np.deg2rad(sector_deg / 2)) - z
    apex_z_mm = max(geometry.apex_z_mm, float(np.quantile(needed, _P_VISIBLE)))
    deepest = apex_z_mm + lv.rest_length + geometry.atrium_height_mm * uniform(rng, (0.5, 1.15))
    return replace(geometry, apex_z_mm=apex_z_mm), sample_scanner(rng, deepest, sector_deg, fine=fine)


@dataclass(frozen=True)
class _Examination:
    """What is rendered: the heart, the scanner and the seeded streams of a cine."""

    heart: Heart
    scanner: Scanner
    preset: Preset
    grid: ImageGrid
    times_s: Float64
    step_s: float
    duration_s: float
    seed: int
    view: View
    fine: bool


def _render(exam: _Examination) -> tuple[UInt8, UInt8, Float32, Mask]:
    """Frames, labels, dropout and sector of an examination."""
    acoustics = Acoustics(stream(exam.seed, Stream.ACOUSTICS, exam.view), exam.preset, exam.scanner, exam.duration_s)
    tissue = Tissue(stream(exam.seed, Stream.TISSUE, exam.view), exam.heart, exam.scanner.region, exam.preset)
    screen_rng = stream(exam.seed, Stream.DISPLAY, exam.view)
    display = Display(screen_rng, exam.preset, exam.scanner, acoustics.floor_db, fine=exam.fine)
    beamformer = Beamformer(exam.scanner, acoustics.side_lobe_db)
    noise = stream(exam.seed, Stream.NOISE, exam.view)
    levels_db = np.empty((len(exam.times_s), *exam.scanner.shape), np.float32)
    for frame, time in enumerate(exam.times_s):
        received = acoustics.receive(noise, beamformer(tissue.echoes(frame)), float(time), exam.step_s)
        levels_db[frame] = display.reduce_speckle(received)
    levels_db = display.persist(levels_db, exam.step_s)
    converter = ScanConverter(exam.scanner, exam.grid)
    frames = np.stack([converter(display.to_gray(level)) for level in levels_db])
    if not exam.fine:
        np.maximum(frames, draw_screen_marks(screen_rng, converter.inside), out=frames)
    indices = range(len(exam.times_s))
    labels = np.stack([_paint_labels(exam.heart, exam.grid, converter.inside, frame) for frame in indices])
    dropout = [_dropout_db(exam.heart, acoustics, frame, float(exam.times_s[frame])) for frame in indices]
    return frames, labels, np.array(dropout, np.float32), converter.inside


def simulate(
    seed: int,
    *,
    preset: str | Preset = "standard",
    view: View = View.A4C,
    layout: Layout = "echonet",
    duration_s: float | None = None,
    fps: float = 50.0,
    span: Span = "all",
) -> SimulatedCine:
    """Simulate a cine of one patient; the same arguments give the same bytes.

    Args:
        seed: the patient; the same seed with another view shows the same heart.
        preset: how hard it is: a name (easy, standard, mid, hard) or ranges of your own.
        view: A4C or A2C.
        layout: "echonet": 112 x 112 pixels; "camus": native size with pixels of 0.154 x 0.308 mm.
        duration_s: length of the cine; two beats if not given.
        fps: frames per second.
        span: "all" frames, or only those between end-diastole and end-systole ("half_beat").

    Returns:
        The cine with masks and volumes of every frame.
    """
    if view is View.UNKNOWN:
        raise UsageError("view unknown: a cine is simulated in view A4C or A2C")
    if layout not in ("echonet", "camus"):
        raise UsageError(f"{layout}: no such layout; choose echonet or camus")
    if span not in ("all", "half_beat"):
        raise UsageError(f"{span}: no such span; choose all or half_beat")
    if not fps > 0 or (duration_s is not None and not duration_s > 0):
        raise UsageError(f"{fps} frames/s for {duration_s} s: give positive numbers")
    chosen, fine = get_preset(preset), layout == "camus"
    patient = sample_patient(stream(seed, Stream.PATIENT), chosen)
    times = _times(duration_s, fps, patient.heart_rate_bpm)
    duration = len(times) / fps
    curve = VolumeCurve(schedule_beats(stream(seed, Stream.RHYTHM), patient, duration), patient.rhythm)
    filling = stream(seed, Stream.LABELS, view).random() < _P_FILLING
    ed_frame, es_frame = labelled_instants(curve, times, filling=filling)
    if span == "half_beat":
        first, last = sorted((ed_frame, es_frame))
        times, ed_frame, es_frame = times[first : last + 1], ed_frame - first, es_frame - first
    geometry = sample_view(stream(seed, Stream.VIEW, view), chosen, view)
    geometry, scanner = _set_up(stream(seed, Stream.SCANNER, view), patient, geometry, fine=fine)
    heart = Heart(patient, geometry, curve, times)
    grid = ImageGrid.camus(scanner) if fine else ImageGrid.echonet(scanner)
    exam = _Examination(heart, scanner, chosen, grid, times, 1 / fps, duration, seed, view, fine)
    frames, labels, dropout_db, inside = _render(exam)
    contours = [grid.to_image_mm(*heart.outlines(frame)[0].T) for frame in range(len(times))]
    return SimulatedCine(
        frames=frames,
        labels=labels,
        volume_ml=heart.volume_ml,
        times_s=times - times[0],
        ed_frame=ed_frame,
        es_frame=es_frame,
        spacing=grid.spacing,
        contours_mm=np.stack(contours),
        dropout_db=dropout_db,
        inside_sector=inside,
        r_waves_s=tuple(b.start_s - float(times[0]) for b in curve.beats if times[0] <= b.start_s <= times[-1]),
        fps=fps,
        view=view,
        seed=seed,
        preset=chosen.name,
        patient=patient,
    )
