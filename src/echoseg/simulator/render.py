"""One simulated cine with its masks and volumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from echoseg.cine import Float64, Structure, UInt8, View
from echoseg.errors import UsageError
from echoseg.simulator.anatomy import LeftVentricle
from echoseg.simulator.artefacts import Acoustics, Attenuation
from echoseg.simulator.display import Display, ImageGrid, ScanConverter, draw_screen_marks
from echoseg.simulator.geometry import Mask, Pose, fill_polygon
from echoseg.simulator.heart import Heart, Outlines
from echoseg.simulator.motion import VolumeCurve, labelled_instants, schedule_beats
from echoseg.simulator.patient import Patient, ViewGeometry, sample_patient, sample_view
from echoseg.simulator.presets import STYLES, Preset, Style, get_preset
from echoseg.simulator.randomness import Stream, stream, uniform
from echoseg.simulator.simulated import SimulatedCine
from echoseg.simulator.tissue import Tissue
from echoseg.simulator.ultrasound import Beamformer, Scanner, sample_scanner

Layout = Literal["echonet", "camus"]
Span = Literal["all", "half_beat"]

_SHORTEST_CINE_S = 1.2
_P_VISIBLE = 0.95
"""Part of the endocardium that the sonographer brings into the sector."""
_HALF_SEEN_DB = 10.0
_P_FILLING = 0.3
"""Chance that a doctor labels end-systole and the end-diastole after it."""


def _times(duration_s: float | None, fps: float, heart_rate_bpm: float) -> Float64:
    """Times of the frames; two beats unless told otherwise."""
    if duration_s is None:
        duration_s = max(2 * 60 / heart_rate_bpm, _SHORTEST_CINE_S)
    return np.arange(max(1, int(np.ceil(duration_s * fps - 1e-6)))) / fps


def _set_up(
    rng: np.random.Generator,
    preset: Preset,
    style: Style,
    patient: Patient,
    geometry: ViewGeometry,
    a4c: ViewGeometry | None,
    *,
    fine: bool,
) -> tuple[ViewGeometry, Scanner]:
    """Place the probe as a sonographer does.

    The heart is moved away from the probe until all but a small part of the ventricle lies in the sector; the depth shows
    the ventricle and, as the preset says, some of the atrium.
    """
    sector_deg = uniform(rng, style.sector_deg)
    lv = LeftVentricle(patient, geometry, np.array([patient.edv_ml]), a4c)
    x, z = Pose(geometry.apex_x_mm, 0.0, geometry.tilt_rad).to_sector(lv.rest_endo[:, 0], lv.rest_endo[:, 1])
    needed = np.abs(x) / np.tan(np.deg2rad(sector_deg / 2)) - z
    apex_z_mm = max(geometry.apex_z_mm, float(np.quantile(needed, _P_VISIBLE)))
    deepest = apex_z_mm + lv.rest_length + geometry.atrium_height_mm * uniform(rng, preset.atrium_shown)
    return replace(geometry, apex_z_mm=apex_z_mm), sample_scanner(rng, style, deepest, sector_deg, fine=fine)


@dataclass(frozen=True)
class _Request:
    """The arguments of `simulate`, checked."""

    seed: int
    preset: Preset
    view: View
    layout: Layout
    duration_s: float | None
    fps: float
    span: Span

    def __post_init__(self) -> None:
        if self.view is View.UNKNOWN:
            raise UsageError("view unknown: a cine is simulated in view A4C or A2C")
        if self.layout not in ("echonet", "camus"):
            raise UsageError(f"{self.layout}: no such layout; choose echonet or camus")
        if self.span not in ("all", "half_beat"):
            raise UsageError(f"{self.span}: no such span; choose all or half_beat")
        if not self.fps > 0 or (self.duration_s is not None and not self.duration_s > 0):
            raise UsageError(f"{self.fps} frames/s for {self.duration_s} s: give positive numbers")

    @property
    def fine(self) -> bool:
        """Whether the image has its native size."""
        return self.layout == "camus"

    def stream(self, purpose: Stream) -> np.random.Generator:
        """Random stream of this view."""
        return stream(self.seed, purpose, self.view)


@dataclass(frozen=True)
class _Examination:
    """What is imaged, by what and when: all that is known before the first echo."""

    patient: Patient
    curve: VolumeCurve
    heart: Heart
    style: Style
    scanner: Scanner
    grid: ImageGrid
    times_s: Float64
    duration_s: float
    ed_frame: int
    es_frame: int


def _sample_view(request: _Request, view: View, patient: Patient) -> ViewGeometry:
    return sample_view(stream(request.seed, Stream.VIEW, view), request.preset, view, patient.infarct)


def _examine(request: _Request) -> _Examination:
    """Draw patient, rhythm, view and scanner."""
    patient = sample_patient(stream(request.seed, Stream.PATIENT), request.preset)
    times = _times(request.duration_s, request.fps, patient.heart_rate_bpm)
    duration_s = len(times) / request.fps
    beats = schedule_beats(stream(request.seed, Stream.RHYTHM), patient, duration_s)
    curve = VolumeCurve(beats, patient.rhythm)
    filling = request.stream(Stream.LABELS).random() < _P_FILLING
    ed_frame, es_frame = labelled_instants(curve, times, filling=filling)
    if request.span == "half_beat":
        first, last = sorted((ed_frame, es_frame))
        times, ed_frame, es_frame = times[first : last + 1], ed_frame - first, es_frame - first
    geometry = _sample_view(request, request.view, patient)
    a4c = None if request.view is View.A4C else _sample_view(request, View.A4C, patient)
    style = _choose_style(stream(request.seed, Stream.STYLE), request.preset)
    geometry, scanner = _set_up(
        request.stream(Stream.SCANNER), request.preset, style, patient, geometry, a4c, fine=request.fine
    )
    mirrored = bool(stream(request.seed, Stream.LAYOUT).random() < request.preset.p_mirrored)
    return _Examination(
        patient=patient,
        curve=curve,
        heart=Heart(patient, geometry, curve, times, a4c),
        style=style,
        scanner=scanner,
        grid=(ImageGrid.camus if request.fine else ImageGrid.echonet)(scanner, mirrored=mirrored),
        times_s=times,
        duration_s=duration_s,
        ed_frame=ed_frame,
        es_frame=es_frame,
    )


def _choose_style(rng: np.random.Generator, preset: Preset) -> Style:
    """One scanner for all views of a patient."""
    return STYLES[preset.styles[int(rng.integers(len(preset.styles)))]]


def _image(request: _Request, exam: _Examination, acoustics: Acoustics, converter: ScanConverter) -> UInt8:
    """Frames (T, H, W) of an examination."""
    tissue = Tissue(request.stream(Stream.TISSUE), exam.heart, exam.scanner.region, request.preset)
    screen = request.stream(Stream.DISPLAY)
    display = Display(screen, exam.style, exam.scanner)
    beamformer = Beamformer(exam.scanner, acoustics.side_lobe_db)
    noise, step_s = request.stream(Stream.NOISE), 1 / request.fps
    levels_db = np.empty((len(exam.times_s), *exam.scanner.shape), np.float32)
    for frame, time in enumerate(exam.times_s):
        received = acoustics.receive(noise, beamformer(tissue.echoes(frame)), float(time), step_s)
        levels_db[frame] = display.reduce_speckle(received)
    levels_db = display.persist(levels_db, step_s)
    display.adjust_gain(levels_db)
    frames = np.stack([converter(display.to_gray(level)) for level in levels_db])
    if screen.random() < request.preset.p_marks:
        frames = np.maximum(frames, draw_screen_marks(screen, converter.inside))
    return frames


def _paint_labels(outlines: Outlines, grid: ImageGrid, inside: Mask) -> UInt8:
    """Label map of a frame. The myocardium is an open horseshoe: nothing lies over the mitral valve."""
    spacing = np.array([grid.spacing.row_mm, grid.spacing.col_mm])
    endo, epi, atrium = (grid.to_image_mm(*points.T) / spacing for points in outlines)
    labels = np.zeros(grid.shape, np.uint8)
    labels[fill_polygon(atrium, grid.shape)] = Structure.LA
    labels[fill_polygon(np.concatenate([epi, endo[::-1]]), grid.shape)] = Structure.MYOCARDIUM
    labels[fill_polygon(endo, grid.shape)] = Structure.LV
    labels *= inside
    return labels


def _visibility(endo: Float64, attenuation: Attenuation, scanner: Scanner, time_s: float) -> float:
    """Mean visibility of an endocardium (M, 2) along its length: 1 where nothing attenuates its echo, 1/2 at 10 dB, 0 outside the sector."""
    x, z = endo.T
    r, angle = np.hypot(x, z), np.rad2deg(np.arctan2(x, z))
    seen = (r < scanner.depth_mm) & (np.abs(angle) < scanner.sector_deg / 2)
    visible = seen / (1 + (attenuation.db(time_s, r, angle) / _HALF_SEEN_DB) ** 4)
    step = np.hypot(*np.gradient(endo, axis=0).T)
    return float(np.average(visible, weights=step))


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
    request = _Request(seed, get_preset(preset), view, layout, duration_s, fps, span)
    exam = _examine(request)
    acoustics = Acoustics(request.stream(Stream.ACOUSTICS), request.preset, exam.scanner, exam.duration_s)
    converter = ScanConverter(exam.scanner, exam.grid)
    outlines = [exam.heart.outlines(frame) for frame in range(len(exam.times_s))]
    visibility = [
        _visibility(endo, acoustics.attenuation, exam.scanner, float(time))
        for (endo, _, _), time in zip(outlines, exam.times_s, strict=True)
    ]
    start, end = float(exam.times_s[0]), float(exam.times_s[-1])
    return SimulatedCine(
        frames=_image(request, exam, acoustics, converter),
        labels=np.stack([_paint_labels(o, exam.grid, converter.inside) for o in outlines]),
        volume_ml=exam.heart.volume_ml,
        times_s=exam.times_s - start,
        ed_frame=exam.ed_frame,
        es_frame=exam.es_frame,
        spacing=exam.grid.spacing,
        contours_mm=np.stack([exam.grid.to_image_mm(*o[0].T) for o in outlines]),
        visibility=np.array(visibility, np.float32),
        inside_sector=converter.inside,
        r_waves_s=tuple(beat.start_s - start for beat in exam.curve.beats if start <= beat.start_s <= end),
        fps=fps,
        view=view,
        seed=seed,
        preset=request.preset.name,
        style=exam.style.name,
        patient=exam.patient,
    )
