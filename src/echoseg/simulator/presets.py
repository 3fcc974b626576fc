"""How hard the simulated cines are: ranges of every acoustic and anatomical nuisance, and the scanners that display them.

Levels are in dB relative to the echo of bright myocardium. A pair is the range of a uniform distribution.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from echoseg.errors import UsageError

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """How a maker's scanner forms and displays its images.

    Attributes:
        name: what the style is called.
        range_db: levels between black and white.
        mean_gray: mean gray value of the sector that the operator's gain aims at.
        gamma: exponent of the display curve.
        axial_sd_mm: standard deviation of the pulse envelope.
        beam_sd_deg: standard deviation of the two-way beam in its focus.
        smoothing_mm: axial standard deviation of the speckle reduction.
        persistence_s: standard deviation of the averaging over time.
        sector_deg: opening angle.
    """

    name: str
    range_db: Range
    mean_gray: Range
    gamma: Range = (0.9, 1.15)
    axial_sd_mm: Range = (0.40, 0.62)
    beam_sd_deg: Range = (0.60, 1.05)
    smoothing_mm: Range = (0.25, 0.6)
    persistence_s: Range = (0.004, 0.016)
    sector_deg: Range = (72.0, 92.0)


STYLES = {
    style.name: style
    for style in (
        Style(
            "gray",
            range_db=(48.0, 66.0),
            mean_gray=(50.0, 125.0),
            gamma=(1.0, 1.4),
            axial_sd_mm=(0.30, 0.45),
            smoothing_mm=(0.15, 0.40),
            sector_deg=(70.0, 80.0),
        ),
        Style("contrast", range_db=(28.0, 42.0), mean_gray=(26.0, 62.0), gamma=(0.9, 1.5)),
        Style("soft", range_db=(40.0, 58.0), mean_gray=(40.0, 100.0), smoothing_mm=(0.7, 1.2), beam_sd_deg=(0.8, 1.2)),
        Style(
            "coarse",
            range_db=(32.0, 60.0),
            mean_gray=(35.0, 110.0),
            gamma=(0.75, 1.25),
            axial_sd_mm=(0.55, 0.85),
            beam_sd_deg=(1.0, 1.5),
            smoothing_mm=(0.1, 0.3),
            persistence_s=(0.002, 0.006),
        ),
    )
}
"""Gray: wide dynamic range, every pixel of the sector filled (as CAMUS); contrast: dark cavities (as EchoNet-Dynamic); soft: strong
speckle reduction; coarse: an older machine, in no preset, for tests on a style that no training has seen."""


@dataclass(frozen=True)
class Preset:
    """Ranges from which a cine's nuisances are drawn.

    Attributes:
        name: what the preset is called.
        styles: names of the `STYLES` of the scanners, equally likely.
        contrast_db: myocardium over blood.
        wall_variation_db: standard deviation of the echogenicity along the wall.
        weak_lateral_db: how much weaker the lateral wall is.
        weak_apex_db: how much weaker the apex is.
        background_db: mean level of the tissue around the heart.
        anisotropy: how much weaker a wall is that runs along the beam (0 none, 1 most).
        p_shadow: chance of one or two angular shadows (ribs, lung).
        shadow_db: their depth.
        shadow_width_deg: their half width.
        p_shadow_moves: chance that a shadow sweeps and pulsates.
        windows_per_s: rate at which the acoustic window closes somewhere for a part of a beat (lung, ribs, contact).
        window_db: attenuation while it is closed.
        window_s: how long it is closed.
        window_width_deg: half width of the part that is closed.
        p_contact: share of these losses that take the whole probe.
        ghosts: mean number of echoes that stand still while the heart moves (reverberation, side lobes of ribs).
        ghost_db: their level.
        haze_db: static reverberation clutter.
        near_field_db: clutter at the transducer.
        noise_db: electronic noise at the transducer; 14 dB more at full depth.
        side_lobe_db: level of the lateral side lobes.
        out_of_plane_rad: how far tissue leaves the image plane in systole; pi / 2 would replace all of its speckle.
        p_arrhythmia: chance of atrial fibrillation or premature beats.
        foreshortening: shortest to longest apparent long axis, as a part of the true one.
        septal_bulge: basal bulge of the septum, as a part of the long axis.
        bulge_balanced: whether the ventricle is so much wider that it holds the stated volume beside the bulge.
        hearts: shares of normal, reduced, dilated and hyperdynamic hearts.
        atrium_shown: how much of the left atrium the depth shows; below 0 the image ends above the mitral plane.
        trabeculae: largest number of trabeculae.
        trabeculated: where they lie, as a part of the half diameter.
        p_hypokinesia: chance of a coronary territory that moves less.
        flicker_db: random walk of the gain, dB per square root of a second.
        p_mirrored: chance that the image is shown mirrored, the left ventricle on the left.
        p_marks: chance of text and graphics outside the sector.
    """

    name: str = "standard"
    styles: tuple[str, ...] = ("gray", "contrast", "soft")
    contrast_db: Range = (18.0, 32.0)
    wall_variation_db: float = 4.0
    weak_lateral_db: Range = (0.0, 9.0)
    weak_apex_db: Range = (0.0, 6.0)
    background_db: Range = (-14.0, -3.0)
    anisotropy: Range = (0.4, 1.0)
    p_shadow: float = 0.35
    shadow_db: Range = (8.0, 18.0)
    shadow_width_deg: Range = (5.0, 13.0)
    p_shadow_moves: float = 0.7
    windows_per_s: float = 0.6
    window_db: Range = (10.0, 26.0)
    window_s: Range = (0.04, 0.20)
    window_width_deg: Range = (8.0, 16.0)
    p_contact: float = 0.1
    ghosts: float = 1.5
    ghost_db: Range = (-26.0, -10.0)
    haze_db: Range = (-40.0, -24.0)
    near_field_db: Range = (-18.0, -4.0)
    noise_db: Range = (-54.0, -38.0)
    side_lobe_db: Range = (-34.0, -24.0)
    out_of_plane_rad: Range = (0.2, 0.9)
    p_arrhythmia: float = 0.2
    foreshortening: Range = (0.86, 1.0)
    septal_bulge: Range = (0.0, 0.06)
    bulge_balanced: bool = True
    hearts: tuple[float, float, float, float] = (0.54, 0.24, 0.13, 0.09)
    atrium_shown: Range = (0.5, 1.15)
    trabeculae: float = 30.0
    trabeculated: Range = (0.78, 1.0)
    p_hypokinesia: float = 0.35
    flicker_db: float = 3.5
    p_mirrored: float = 0.04
    p_marks: float = 0.4

    def __post_init__(self) -> None:
        for name in self.styles:
            if name not in STYLES:
                raise UsageError(f"styles {name!r}: no such style; choose from {', '.join(STYLES)}")
        if not self.styles:
            raise UsageError("styles: give at least one")


_EASY = Preset(
    name="easy",
    contrast_db=(22.0, 32.0),
    wall_variation_db=2.0,
    weak_lateral_db=(0.0, 3.0),
    weak_apex_db=(0.0, 2.0),
    background_db=(-18.0, -10.0),
    anisotropy=(0.2, 0.5),
    p_shadow=0.15,
    shadow_db=(6.0, 12.0),
    windows_per_s=0.0,
    ghosts=0.0,
    haze_db=(-44.0, -34.0),
    near_field_db=(-30.0, -18.0),
    noise_db=(-55.0, -45.0),
    side_lobe_db=(-42.0, -34.0),
    out_of_plane_rad=(0.0, 0.3),
    p_arrhythmia=0.05,
    foreshortening=(0.98, 1.0),
    septal_bulge=(0.0, 0.0),
    p_hypokinesia=0.1,
    flicker_db=1.4,
    p_mirrored=0.0,
)

_HARD = Preset(
    name="hard",
    contrast_db=(11.0, 24.0),
    wall_variation_db=6.5,
    weak_lateral_db=(2.0, 18.0),
    weak_apex_db=(0.0, 14.0),
    background_db=(-9.0, 1.0),
    anisotropy=(0.5, 1.0),
    p_shadow=0.5,
    shadow_db=(9.0, 24.0),
    shadow_width_deg=(6.0, 15.0),
    p_shadow_moves=0.85,
    windows_per_s=2.4,
    window_db=(20.0, 44.0),
    window_s=(0.10, 0.30),
    window_width_deg=(14.0, 28.0),
    p_contact=0.4,
    ghosts=3.0,
    ghost_db=(-20.0, -4.0),
    haze_db=(-30.0, -15.0),
    near_field_db=(-12.0, 4.0),
    noise_db=(-45.0, -30.0),
    side_lobe_db=(-28.0, -18.0),
    out_of_plane_rad=(0.3, 1.2),
    p_arrhythmia=0.3,
    foreshortening=(0.82, 1.0),
    p_hypokinesia=0.5,
    flicker_db=7.0,
    p_mirrored=0.06,
)


def halfway(name: str, first: Preset, second: Preset) -> Preset:
    """The preset whose every number is the mean of two others'; it has the styles of the first."""
    mixed: dict[str, float | tuple[float, ...]] = {}
    for item in fields(Preset):
        a, b = getattr(first, item.name), getattr(second, item.name)
        if item.name == "styles":
            continue
        if isinstance(a, tuple):
            mixed[item.name] = tuple((x + y) / 2 for x, y in zip(a, b, strict=True))
        elif isinstance(a, float):
            mixed[item.name] = (a + b) / 2
    return Preset(name=name, styles=first.styles, **mixed)  # type: ignore[arg-type]  # each kind is that of its source


_STANDARD = Preset()
_BROAD = Preset(
    name="broad",
    contrast_db=(11.0, 32.0),
    wall_variation_db=5.5,
    weak_lateral_db=(0.0, 18.0),
    weak_apex_db=(0.0, 14.0),
    background_db=(-14.0, 1.0),
    windows_per_s=0.2,
    ghosts=2.0,
    haze_db=(-40.0, -15.0),
    near_field_db=(-18.0, 4.0),
    noise_db=(-54.0, -30.0),
    hearts=(0.34, 0.30, 0.29, 0.07),
    atrium_shown=(-0.1, 1.15),
    trabeculae=60.0,
    trabeculated=(0.6, 1.0),
)

PRESETS = {preset.name: preset for preset in (_EASY, _STANDARD, halfway("mid", _STANDARD, _HARD), _HARD, _BROAD)}
"""The first four from easy to hard; broad is for models that are to work on real hearts: from clear to poor, with large hearts, cut images and
few losses, as stills are chosen by those who label them."""


def through_the_apex(preset: str | Preset) -> Preset:
    """A preset with views that are not foreshortened, as in studies whose volumes are to be measured from both views."""
    return replace(get_preset(preset), foreshortening=(1.0, 1.0))


def get_preset(preset: str | Preset) -> Preset:
    """The preset of that name; a `Preset` is returned as it is."""
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise UsageError(f"{preset}: no such preset; choose one of {', '.join(PRESETS)}")
    return PRESETS[preset]
