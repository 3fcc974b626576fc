"""What spoils an echo image: shadows, acoustic windows that close and open, clutter, noise, uneven and unsteady gain.

Levels are dB relative to bright myocardium; times are seconds. Nothing here depends on the frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from echoseg.cine import Float32, Float64
from echoseg.simulator.presets import Preset
from echoseg.simulator.randomness import smooth_noise, uniform
from echoseg.simulator.ultrasound import Complex64, Scanner, SpeckleBank

_BLOOD_MEMORY_S = 0.040
_NOISE_AT_DEPTH_DB = 14.0
_FLICKER_STEP_S = 0.020


@dataclass(frozen=True)
class Shadow:
    """Angular shadow of a rib or of lung.

    Attributes:
        angle_deg: mean place.
        width_deg: half width.
        depth_db: attenuation at its centre.
        sweep_deg: amplitude of its sideways motion.
        sweep_hz: frequency of that motion.
        phase_rad: phase of that motion.
        starts_mm: depth from which it acts.
        pulsation: part of the attenuation that comes and goes.
    """

    angle_deg: float
    width_deg: float
    depth_db: float
    sweep_deg: float
    sweep_hz: float
    phase_rad: float
    starts_mm: float
    pulsation: float

    def attenuation_db(self, time_s: float, r_mm: NDArray[Any], angle_deg: NDArray[Any]) -> NDArray[Any]:
        """Attenuation at points (broadcast)."""
        turn = 2 * np.pi * self.sweep_hz * time_s
        centre = self.angle_deg + self.sweep_deg * np.sin(turn + self.phase_rad)
        strength = self.depth_db * (1 - self.pulsation * 0.5 * (1 + np.sin(0.7 * turn + 2 * self.phase_rad)))
        across = np.exp(-(((angle_deg - centre) / self.width_deg) ** 4))
        return np.asarray(strength * across / (1 + np.exp(-(r_mm - self.starts_mm) / 4)))


@dataclass(frozen=True)
class Closure:
    """The acoustic window closes over a part of the sector, and opens again within the beat.

    Attributes:
        start_s: when it begins to close.
        ramp_s: how long it takes to close, and to open.
        hold_s: how long it stays closed.
        angle_deg: place.
        width_deg: half width.
        depth_db: attenuation while it is closed.
        starts_mm: depth from which it acts.
    """

    start_s: float
    ramp_s: float
    hold_s: float
    angle_deg: float
    width_deg: float
    depth_db: float
    starts_mm: float

    def closed(self, time_s: float) -> float:
        """How far it is closed, 0..1."""
        since, left = time_s - self.start_s, self.start_s + 2 * self.ramp_s + self.hold_s - time_s
        share = min(since, left) / self.ramp_s
        return float(0.5 - 0.5 * np.cos(np.pi * min(max(share, 0.0), 1.0)))

    def attenuation_db(self, time_s: float, r_mm: NDArray[Any], angle_deg: NDArray[Any]) -> NDArray[Any]:
        """Attenuation at points (broadcast)."""
        closed = self.closed(time_s)
        if closed == 0:
            return np.zeros(1)
        across = np.exp(-(((angle_deg - self.angle_deg) / self.width_deg) ** 4))
        return np.asarray(closed * self.depth_db * across / (1 + np.exp(-(r_mm - self.starts_mm) / 3)))


def _sample_shadows(rng: np.random.Generator, preset: Preset, sector_deg: float) -> tuple[Shadow, ...]:
    """None, one or two shadows, more often over the lateral wall (lung) than over the septum."""
    if rng.random() >= preset.p_shadow:
        return ()
    shadows = []
    for _ in range(int(rng.integers(1, 3))):
        lateral, moves = rng.random() < 0.62, rng.random() < preset.p_shadow_moves
        shadows.append(
            Shadow(
                angle_deg=uniform(rng, (8, 0.48 * sector_deg)) if lateral else uniform(rng, (-0.45 * sector_deg, 8)),
                width_deg=uniform(rng, preset.shadow_width_deg),
                depth_db=uniform(rng, preset.shadow_db),
                sweep_deg=uniform(rng, (3, 12)) * moves,
                sweep_hz=uniform(rng, (0.3, 1.4)),
                phase_rad=uniform(rng, (0, 2 * np.pi)),
                starts_mm=uniform(rng, (0, 45)),
                pulsation=uniform(rng, (0.3, 1)) * moves,
            )
        )
    return tuple(shadows)


_CONTACT_DEG = 200.0
"""Half width of a loss that takes the whole probe."""


def _sample_closures(
    rng: np.random.Generator, preset: Preset, sector_deg: float, duration_s: float
) -> tuple[Closure, ...]:
    """Losses at random times at a few places of a patient: lung beside the lateral wall, a rib, the apex, the whole probe."""
    sites = []
    for _ in range(int(rng.integers(1, 4))):
        lateral = rng.random() < 0.65
        angle = uniform(rng, (0, 0.42 * sector_deg)) if lateral else uniform(rng, (-0.4 * sector_deg, 0))
        sites.append((angle, uniform(rng, preset.window_width_deg), uniform(rng, (-10, 40))))
    closures = []
    for start_s in rng.uniform(-0.2, duration_s, int(rng.poisson(preset.windows_per_s * (duration_s + 0.2)))):
        angle, width, starts_mm = sites[int(rng.integers(len(sites)))]
        if rng.random() < preset.p_contact:
            angle, width, starts_mm = 0.0, _CONTACT_DEG, -30.0
        closures.append(
            Closure(
                start_s=float(start_s),
                ramp_s=uniform(rng, (0.015, 0.06)),
                hold_s=uniform(rng, preset.window_s),
                angle_deg=angle + float(rng.normal(0, 3)),
                width_deg=width,
                depth_db=uniform(rng, preset.window_db),
                starts_mm=starts_mm,
            )
        )
    return tuple(closures)


class Attenuation:
    """Shadows and losses of a cine."""

    def __init__(self, rng: np.random.Generator, preset: Preset, sector_deg: float, duration_s: float) -> None:
        """Draw them."""
        self._parts: tuple[Shadow | Closure, ...] = (
            *_sample_shadows(rng, preset, sector_deg),
            *_sample_closures(rng, preset, sector_deg, duration_s),
        )

    def db(self, time_s: float, r_mm: NDArray[Any], angle_deg: NDArray[Any]) -> NDArray[Any]:
        """Sum of all attenuations at points (broadcast), dB >= 0."""
        total = np.zeros(np.broadcast_shapes(r_mm.shape, angle_deg.shape), np.float32)
        for part in self._parts:
            total += part.attenuation_db(time_s, r_mm, angle_deg)
        return total


def _static_gain_db(rng: np.random.Generator, scanner: Scanner) -> Float64:
    """Imperfect depth compensation, uneven beams and a weak sector edge."""
    depth_db = [rng.normal(0, 2.5), 0, rng.normal(0, 2.5), rng.normal(-2, 4)]
    along = np.interp(scanner.ranges_mm / scanner.depth_mm, [0, 0.3, 0.6, 1], depth_db)
    across = 2.5 * smooth_noise(rng, scanner.n_beams, 0.106 * scanner.n_beams)
    off_centre = np.abs(scanner.angles_deg) / (scanner.sector_deg / 2)
    edge = -10 * np.clip((off_centre - 0.82) / 0.18, 0, 1) ** 2
    return along[:, None] + (across + edge)[None]


def _ghosts(rng: np.random.Generator, preset: Preset, scanner: Scanner) -> Float64:
    """Amplitude (n_ranges, n_beams) of echoes that stand still: repeats of bright layers, side lobes of ribs.

    They look like pieces of wall, and only time tells them from one.
    """
    r, angle = scanner.ranges_mm[:, None], scanner.angles_deg[None]
    amplitude = np.zeros(scanner.shape)
    for _ in range(int(rng.poisson(preset.ghosts))):
        along_beam = rng.random() < 0.4
        centre_mm = uniform(rng, (12, 0.75 * scanner.depth_mm))
        centre_deg = uniform(rng, (-0.42 * scanner.sector_deg, 0.42 * scanner.sector_deg))
        aside_mm = np.deg2rad(angle - centre_deg) * r
        down_mm = r - centre_mm - uniform(rng, (-0.5, 0.5)) * np.deg2rad(angle - centre_deg) * centre_mm
        long_mm, thick_mm = uniform(rng, (7, 22)), uniform(rng, (1.0, 3.0))
        size = (2 * thick_mm, 0.7 * long_mm) if along_beam else (long_mm, thick_mm)
        shape = (aside_mm / size[0]) ** 4 + (down_mm / size[1]) ** 2
        amplitude += 10 ** (uniform(rng, preset.ghost_db) / 20) * np.exp(-0.5 * shape)
    return amplitude


def _static_clutter(rng: np.random.Generator, preset: Preset, scanner: Scanner, haze_db: float) -> Complex64:
    """Reverberation that does not move: haze, layers of the near field, and ghosts."""
    samples = scanner.axial_sd_mm / scanner.range_step_mm, scanner.beam_sd_deg / scanner.beam_step_deg
    speckle = SpeckleBank(rng, scanner.shape, (1.2 * samples[0], 2.2 * samples[1])).draw(rng)
    clouds = gaussian_filter(rng.standard_normal(scanner.shape), (scanner.n_ranges / 14, scanner.n_beams / 8))
    r = scanner.ranges_mm[:, None]
    haze = haze_db + 5 * clouds / clouds.std() - 8 * r / scanner.depth_mm
    near_db, falloff_mm = uniform(rng, preset.near_field_db), uniform(rng, (0.5, 1.6))
    layers = 5 * smooth_noise(rng, scanner.n_ranges, 2.0 / scanner.range_step_mm)[:, None]
    near = near_db - r / falloff_mm + layers
    band = near_db - 16 - ((r - uniform(rng, (18, 40))) / 6) ** 2
    amplitude = 10 ** (haze / 20) + 10 ** (near / 20) + 10 ** (band / 20) + _ghosts(rng, preset, scanner)
    return np.asarray(speckle * amplitude, dtype=np.complex64)


class Acoustics:
    """Everything between the tissue's echo and the received signal of one cine.

    Attributes:
        contrast_db: myocardium over blood.
        side_lobe_db: level of the side lobes.
        floor_db: level of an ideal cavity.
        attenuation: shadows and losses.
    """

    def __init__(self, rng: np.random.Generator, preset: Preset, scanner: Scanner, duration_s: float) -> None:
        """Draw the acoustics of a cine that lasts `duration_s`."""
        self.contrast_db = uniform(rng, preset.contrast_db)
        self.side_lobe_db = uniform(rng, preset.side_lobe_db)
        haze_db, noise_db = uniform(rng, preset.haze_db), uniform(rng, preset.noise_db)
        powers_db = np.array([-self.contrast_db, noise_db + 6, haze_db - 3])
        self.floor_db = float(10 * np.log10(np.sum(10 ** (powers_db / 10))))
        self.attenuation = Attenuation(rng, preset, scanner.sector_deg, duration_s)
        self._r = scanner.ranges_mm[:, None].astype(np.float32)
        self._angle = scanner.angles_deg[None].astype(np.float32)
        self._gain_db = _static_gain_db(rng, scanner).astype(np.float32)
        self._clutter = _static_clutter(rng, preset, scanner, haze_db)
        noise = 10 ** ((noise_db + _NOISE_AT_DEPTH_DB * (self._r / scanner.depth_mm) ** 2) / 20)
        self._noise_level = noise.astype(np.float32)
        steps = rng.normal(0, preset.flicker_db * np.sqrt(_FLICKER_STEP_S), int(duration_s / _FLICKER_STEP_S) + 2)
        walk = np.cumsum(steps)
        self._flicker_db = walk - np.linspace(0, walk[-1], len(walk))
        axial, lateral = scanner.axial_sd_mm / scanner.range_step_mm, scanner.beam_sd_deg / scanner.beam_step_deg
        self._blood_bank = SpeckleBank(rng, scanner.shape, (axial, lateral))
        self._noise_bank = SpeckleBank(rng, scanner.shape, (0.7 * axial, 0.0))
        self._blood: Complex64 | None = None

    def _next_blood(self, rng: np.random.Generator, step_s: float) -> Complex64:
        """Blood speckle, which forgets itself within some 40 ms."""
        fresh = self._blood_bank.draw(rng)
        if self._blood is not None:
            kept = np.exp(-step_s / _BLOOD_MEMORY_S)
            fresh *= np.float32(np.sqrt(1 - kept**2))
            fresh += np.float32(kept) * self._blood
        self._blood = fresh
        return fresh

    def receive(self, rng: np.random.Generator, echo: Complex64, time_s: float, step_s: float) -> Float32:
        """Received level in dB (n_ranges, n_beams) of the tissue's echo at a time, `step_s` after the frame before."""
        gain_db = self._gain_db - self.attenuation.db(time_s, self._r, self._angle)
        signal = self._next_blood(rng, step_s) * np.float32(10 ** (-self.contrast_db / 20))
        signal += echo
        signal *= np.exp(gain_db * np.float32(np.log(10) / 20))
        signal += self._clutter
        signal += self._noise_bank.draw(rng) * self._noise_level
        level_db = np.log10(signal.real**2 + signal.imag**2 + np.float32(1e-12))
        level_db *= np.float32(10)
        level_db += np.float32(np.interp(time_s / _FLICKER_STEP_S, np.arange(len(self._flicker_db)), self._flicker_db))
        return level_db
