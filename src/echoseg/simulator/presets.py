"""How hard the simulated cines are: ranges of every acoustic and anatomical nuisance.

Levels are in dB relative to the echo of bright myocardium. A pair is the range of a uniform distribution.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from echoseg.errors import UsageError

Range = tuple[float, float]


@dataclass(frozen=True)
class Preset:
    """Ranges from which a cine's nuisances are drawn.

    Attributes:
        name: what the preset is called.
        contrast_db: myocardium over blood.
        wall_variation_db: standard deviation of the echogenicity along the wall.
        anisotropy: how much weaker a wall is that runs along the beam (0 none, 1 most).
        p_shadow: chance of one or two angular shadows (ribs, lung).
        shadow_db: their depth.
        shadow_width_deg: their half width.
        p_shadow_moves: chance that a shadow sweeps and pulsates.
        haze_db: static reverberation clutter.
        near_field_db: clutter at the transducer.
        noise_db: electronic noise at the transducer; 14 dB more at full depth.
        side_lobe_db: level of the lateral side lobes.
        black_db: display black relative to the cavity's floor; below 0 the cavity looks grey.
        white_db: display white over the mean wall.
        gamma: exponent of the display curve.
        smoothing_mm: axial standard deviation of the scanner's speckle reduction.
        persistence_s: standard deviation of the scanner's averaging over time.
        p_arrhythmia: chance of atrial fibrillation or premature beats.
        foreshortening: shortest to longest apparent long axis, as a part of the true one.
        p_hypokinesia: chance of a segment that moves less.
        flicker_db: random walk of the gain, dB per square root of a second.
        losses_per_s: rate of brief acoustic losses (probe contact, breathing).
    """

    name: str = "standard"
    contrast_db: Range = (16.0, 30.0)
    wall_variation_db: float = 5.0
    anisotropy: Range = (0.5, 1.0)
    p_shadow: float = 0.55
    shadow_db: Range = (10.0, 28.0)
    shadow_width_deg: Range = (5.0, 14.0)
    p_shadow_moves: float = 0.7
    haze_db: Range = (-34.0, -20.0)
    near_field_db: Range = (-18.0, -4.0)
    noise_db: Range = (-48.0, -34.0)
    side_lobe_db: Range = (-34.0, -24.0)
    black_db: Range = (-6.0, 6.0)
    white_db: Range = (6.0, 14.0)
    gamma: Range = (0.85, 1.5)
    smoothing_mm: Range = (0.7, 1.4)
    persistence_s: Range = (0.004, 0.016)
    p_arrhythmia: float = 0.2
    foreshortening: Range = (0.86, 1.0)
    p_hypokinesia: float = 0.35
    flicker_db: float = 3.5
    losses_per_s: float = 0.75


_EASY = Preset(
    name="easy",
    contrast_db=(26.0, 36.0),
    wall_variation_db=2.0,
    anisotropy=(0.2, 0.5),
    p_shadow=0.15,
    shadow_db=(6.0, 12.0),
    haze_db=(-44.0, -34.0),
    near_field_db=(-30.0, -18.0),
    noise_db=(-55.0, -45.0),
    side_lobe_db=(-42.0, -34.0),
    p_arrhythmia=0.05,
    foreshortening=(0.96, 1.0),
    p_hypokinesia=0.1,
    flicker_db=1.4,
    losses_per_s=0.0,
)

_HARD = Preset(
    name="hard",
    contrast_db=(10.0, 22.0),
    wall_variation_db=7.0,
    anisotropy=(0.7, 1.0),
    p_shadow=0.9,
    shadow_db=(16.0, 38.0),
    shadow_width_deg=(8.0, 22.0),
    p_shadow_moves=0.85,
    haze_db=(-24.0, -10.0),
    near_field_db=(-12.0, 2.0),
    noise_db=(-40.0, -24.0),
    side_lobe_db=(-28.0, -18.0),
    black_db=(-9.0, 8.0),
    white_db=(3.0, 16.0),
    gamma=(0.7, 1.9),
    p_arrhythmia=0.35,
    foreshortening=(0.78, 1.0),
    p_hypokinesia=0.5,
    flicker_db=8.5,
    losses_per_s=1.5,
)


def halfway(name: str, first: Preset, second: Preset) -> Preset:
    """The preset whose every number is the mean of two others'."""
    mixed: dict[str, float | Range] = {}
    for item in fields(Preset):
        a, b = getattr(first, item.name), getattr(second, item.name)
        if isinstance(a, tuple):
            mixed[item.name] = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        elif isinstance(a, float):
            mixed[item.name] = (a + b) / 2
    return Preset(name=name, **mixed)  # type: ignore[arg-type]  # the kind of each field is that of its source


_STANDARD = Preset()
PRESETS = {preset.name: preset for preset in (_EASY, _STANDARD, halfway("mid", _STANDARD, _HARD), _HARD)}


def get_preset(preset: str | Preset) -> Preset:
    """The preset of that name; a `Preset` is returned as it is."""
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise UsageError(f"{preset}: no such preset; choose one of {', '.join(PRESETS)}")
    return PRESETS[preset]
