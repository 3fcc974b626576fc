"""Speckle statistics, point spread function, artefacts and display against what physics says."""

from dataclasses import replace

import numpy as np
import pytest

from echoseg.cine import Spacing
from echoseg.simulator.artefacts import Acoustics, Attenuation, Closure, Shadow
from echoseg.simulator.display import Display, ImageGrid, ScanConverter, draw_screen_marks
from echoseg.simulator.presets import STYLES, get_preset
from echoseg.simulator.scatterers import Echoes, rayleigh_amplitudes, scatter
from echoseg.simulator.ultrasound import MEDIUM_DB, Beamformer, Scanner, SpeckleBank, sample_scanner

NO_SIDE_LOBES_DB = -200.0
RAYLEIGH_SNR = np.sqrt(np.pi / (4 - np.pi))  # 1.913


def _plain_tissue(scanner: Scanner, seed: int) -> Echoes:
    rng = np.random.default_rng(seed)
    r, angle = scatter(rng, scanner.region)
    x, z = (r * np.sin(angle)).astype(np.float32), (r * np.cos(angle)).astype(np.float32)
    return Echoes(x, z, rayleigh_amplitudes(rng, np.zeros(len(r))))


def _point(scanner: Scanner, row: int, beam: int) -> Echoes:
    r, angle = scanner.ranges_mm[row], np.deg2rad(scanner.angles_deg[beam])
    x, z = np.float32([r * np.sin(angle)]), np.float32([r * np.cos(angle)])
    return Echoes(x, z, np.ones(1, np.float32))


@pytest.mark.parametrize(
    "scanner",
    [Scanner(), Scanner(axial_sd_mm=0.4, beam_sd_deg=0.6, wavelength_mm=0.8, n_ranges=640, n_beams=180)],
    ids=["echonet", "camus"],
)
def test_plain_tissue_is_fully_developed_speckle_of_equal_power_at_every_depth(scanner):
    beamformer = Beamformer(scanner, NO_SIDE_LOBES_DB)
    envelope = np.abs(np.concatenate([beamformer(_plain_tissue(scanner, seed)) for seed in range(10)], axis=1))
    for shallow in range(5, 145, 20):
        band = envelope[(scanner.ranges_mm >= shallow) & (scanner.ranges_mm < shallow + 20)]
        assert band.mean() / band.std() == pytest.approx(RAYLEIGH_SNR, abs=0.06)
        assert 10 * np.log10(np.mean(band**2)) == pytest.approx(MEDIUM_DB, abs=0.25)


def _sd(profile: np.ndarray) -> float:
    place = np.arange(len(profile))
    centre = np.average(place, weights=profile)
    return float(np.sqrt(np.average((place - centre) ** 2, weights=profile)))


def test_point_spread_function_has_the_scanners_width():
    scanner = Scanner()
    image = np.abs(Beamformer(scanner, NO_SIDE_LOBES_DB)(_point(scanner, 192, 60)))
    row, beam = np.unravel_index(image.argmax(), image.shape)
    assert (row, beam) == (192, 60)
    pulse, sweep = image[row - 12 : row + 13, beam], image[row, beam - 12 : beam + 13]
    assert _sd(pulse) == pytest.approx(scanner.axial_sd_mm / scanner.range_step_mm, rel=0.05)
    assert _sd(sweep) == pytest.approx(scanner.beam_sd_deg / scanner.beam_step_deg, rel=0.05)


def test_beam_is_wider_out_of_focus_and_side_lobes_have_their_level():
    scanner = Scanner()
    beamformer = Beamformer(scanner, NO_SIDE_LOBES_DB)
    focus, deep = (np.abs(beamformer(_point(scanner, row, 60))[row]) for row in (192, 360))
    assert _sd(deep) > 1.35 * _sd(focus)
    lobes = np.abs(Beamformer(scanner, -24.0)(_point(scanner, 192, 60))[192])
    peak = 20 * np.log10(lobes[60 + 10] / lobes[60])
    assert -60 < peak < -24
    assert focus[60 + 10] < 1e-4 * focus[60]


def test_echoes_keep_the_phase_of_the_two_way_path():
    scanner = Scanner()
    beamformer = Beamformer(scanner, NO_SIDE_LOBES_DB)
    point = _point(scanner, 200, 66)
    moved = Echoes(point.x, point.z + np.float32(scanner.wavelength_mm / 8), point.amplitude)
    turn = np.angle(beamformer(moved)[200, 66] / beamformer(point)[200, 66])
    assert turn == pytest.approx(-np.pi / 2 * np.cos(np.deg2rad(scanner.angles_deg[66])), abs=0.03)


def test_scatterers_outside_the_sector_do_not_wrap_around():
    scanner = Scanner()
    beamformer = Beamformer(scanner, -24.0)
    below = Echoes(np.zeros(1, np.float32), np.float32([scanner.depth_mm + 3]), np.ones(1, np.float32))
    assert np.abs(beamformer(below)).max() < 1e-3
    angle = np.deg2rad(scanner.angles_deg[-1] + 6)
    aside = Echoes(np.float32([80 * np.sin(angle)]), np.float32([80 * np.cos(angle)]), np.ones(1, np.float32))
    assert np.abs(beamformer(aside)[:, :66]).max() < 1e-3


def test_speckle_bank_draws_are_rayleigh_of_unit_power_and_independent():
    bank = SpeckleBank(np.random.default_rng(0), (384, 132), (1.4, 1.2))
    rng = np.random.default_rng(1)
    draws = np.stack([bank.draw(rng) for _ in range(6)])
    assert np.mean(np.abs(draws) ** 2) == pytest.approx(1, abs=0.05)
    assert np.abs(draws).mean() / np.abs(draws).std() == pytest.approx(RAYLEIGH_SNR, abs=0.06)
    assert np.abs(np.mean(draws[0] * draws[1].conj())) < 0.05


def test_sampled_scanner_shows_the_whole_heart():
    for seed in range(20):
        scanner = sample_scanner(np.random.default_rng(seed), STYLES["gray"], 150.0, 80.0, fine=False)
        assert 150 <= scanner.depth_mm <= 175


def test_shadow_attenuates_its_beams_below_its_start_and_nothing_else():
    shadow = Shadow(
        angle_deg=10, width_deg=6, depth_db=20, sweep_deg=0, sweep_hz=1, phase_rad=0, starts_mm=30, pulsation=0
    )
    db = shadow.attenuation_db(0.0, np.array([[10.0], [100.0]]), np.array([[-20.0, 10.0]]))
    np.testing.assert_allclose(db, [[0, 0], [0, 20]], atol=0.2)


def test_moving_shadow_sweeps_in_seconds():
    shadow = Shadow(
        angle_deg=0, width_deg=5, depth_db=20, sweep_deg=12, sweep_hz=0.5, phase_rad=0, starts_mm=0, pulsation=0
    )
    angles = np.linspace(-30, 30, 121)
    centre = [angles[np.argmax(shadow.attenuation_db(time, np.array([90.0]), angles))] for time in (0.0, 0.5, 1.5)]
    np.testing.assert_allclose(centre, [0, 12, -12], atol=0.5)


def _closure(**changes) -> Closure:
    usual = {
        "start_s": 0.2,
        "ramp_s": 0.04,
        "hold_s": 0.1,
        "angle_deg": 10,
        "width_deg": 8,
        "depth_db": 15,
        "starts_mm": 0,
    }
    return Closure(**(usual | changes))


def test_closure_ramps_holds_and_ends_in_its_place_only():
    closure, r, angle = _closure(), np.array([[50.0]]), np.array([[10.0, -30.0]])
    assert not closure.attenuation_db(0.19, r, angle).any() and not closure.attenuation_db(0.39, r, angle).any()
    np.testing.assert_allclose(closure.attenuation_db(0.22, r, angle), [[7.5, 0]], atol=1e-5)
    np.testing.assert_allclose(closure.attenuation_db(0.30, r, angle), [[15, 0]], atol=1e-5)
    np.testing.assert_allclose(closure.attenuation_db(0.36, r, angle), [[7.5, 0]], atol=1e-5)


def test_closure_acts_below_its_start():
    attenuation = _closure(starts_mm=60).attenuation_db(0.3, np.array([[20.0], [100.0]]), np.array([[10.0]]))
    np.testing.assert_allclose(attenuation, [[0], [15]], atol=0.01)


def test_windows_close_as_often_and_as_long_as_the_preset_says():
    preset = replace(get_preset("standard"), p_shadow=0.0, windows_per_s=2.0, window_s=(0.1, 0.1), p_contact=1.0)
    point, shut = (np.array([[50.0]]), np.array([[0.0]])), []
    for seed in range(60):
        attenuation = Attenuation(np.random.default_rng(seed), preset, 84.0, 5.0)
        shut.append(np.mean([attenuation.db(time, *point)[0, 0] > 5 for time in np.arange(0, 5, 0.01)]))
    # a closure of 0.1 s and two ramps of about 0.04 s, half of each above 5 of 18 dB; some overlap
    assert np.mean(shut) == pytest.approx(1 - np.exp(-2.0 * 0.14), abs=0.04)


def test_easy_preset_keeps_its_window_open_and_attenuation_is_never_negative():
    r, angle = np.linspace(0, 150, 20)[:, None], np.linspace(-40, 40, 30)[None]
    still = replace(get_preset("easy"), p_shadow=0.0)
    for seed in range(20):
        assert not Attenuation(np.random.default_rng(seed), still, 84.0, 2.0).db(0.7, r, angle).any()
        attenuation = Attenuation(np.random.default_rng(seed), get_preset("hard"), 84.0, 2.0)
        assert min(attenuation.db(time, r, angle).min() for time in (0.0, 0.7, 1.9)) >= 0


def test_received_level_of_an_empty_cavity_is_the_contrast_below_tissue():
    scanner = Scanner()
    preset = replace(get_preset("easy"), p_shadow=0.0, haze_db=(-90.0, -90.0), noise_db=(-90.0, -90.0), flicker_db=0.0)
    acoustics = Acoustics(np.random.default_rng(3), preset, scanner, 1.0)
    level = acoustics.receive(np.random.default_rng(0), np.zeros(scanner.shape, np.complex64), 0.0, 0.02)
    assert 10 * np.log10(np.mean(10 ** (level[200:260, 50:82] / 10))) == pytest.approx(-acoustics.contrast_db, abs=6)


def test_ghosts_stand_still_while_speckle_of_blood_does_not():
    scanner = Scanner()
    quiet = replace(
        get_preset("easy"), p_shadow=0.0, haze_db=(-90.0, -90.0), near_field_db=(-90.0, -90.0), noise_db=(-90.0, -90.0),
        flicker_db=0.0, ghosts=6.0, ghost_db=(0.0, 0.0),
    )  # fmt: skip
    acoustics = Acoustics(np.random.default_rng(4), quiet, scanner, 1.0)
    noise, silence = np.random.default_rng(0), np.zeros(scanner.shape, np.complex64)
    first, later = (acoustics.receive(noise, silence, time, 0.3) for time in (0.0, 0.3))
    ghost = first > -10
    assert 50 < ghost.sum() < 0.2 * ghost.size
    assert np.abs(first - later)[ghost].mean() < 1.0 < 3.0 < np.abs(first - later)[~ghost].mean()


def test_scan_conversion_keeps_a_constant_and_is_black_outside():
    scanner = Scanner()
    converter = ScanConverter(scanner, ImageGrid.echonet(scanner))
    image = converter(np.full(scanner.shape, 100.0, np.float32))
    assert np.all(image[converter.inside] == 100) and not image[~converter.inside].any()
    assert 0.5 < converter.inside.mean() < 0.8


def test_scan_conversion_puts_depth_and_angle_in_place():
    scanner = Scanner()
    grid = ImageGrid.camus(scanner)
    converter = ScanConverter(scanner, grid)
    row, col = 600, grid.shape[1] // 2 + 100
    x = (col + 0.5) * grid.spacing.col_mm + grid.left_mm
    z = (row + 0.5) * grid.spacing.row_mm
    depth = np.broadcast_to(scanner.ranges_mm[:, None], scanner.shape).astype(np.float32)
    assert converter(depth)[row, col] == pytest.approx(np.hypot(x, z), abs=0.6)
    angle = np.broadcast_to(scanner.angles_deg[None] + 90, scanner.shape).astype(np.float32)
    assert converter(angle)[row, col] == pytest.approx(np.rad2deg(np.arctan2(x, z)) + 90, abs=0.6)
    assert grid.spacing == Spacing(0.154, 0.308)
    np.testing.assert_allclose(grid.to_image_mm(np.array(x), np.array(z)) / [0.154, 0.308], [row, col])


def _display(style: str = "gray") -> Display:
    return Display(np.random.default_rng(0), STYLES[style], Scanner())


@pytest.mark.parametrize("style", STYLES)
def test_gain_gives_the_operators_gray_whatever_the_level(style):
    speckle = 8 * np.random.default_rng(1).standard_normal((3, 40, 30)).astype(np.float32)
    low, high = STYLES[style].mean_gray
    for level_db in (-60.0, 0.0):
        display = _display(style)
        display.adjust_gain(speckle + np.float32(level_db))
        gray = display.to_gray(speckle + np.float32(level_db))
        assert low - 2 < np.average(gray.mean(axis=(0, 2)), weights=np.arange(40)) < high + 2


def test_styles_differ_in_what_lies_between_black_and_white():
    ramp = np.linspace(-80, 0, 800, dtype=np.float32)[None, :, None].repeat(30, axis=2)
    shades = {}
    for style in ("gray", "contrast"):
        display = _display(style)
        display.adjust_gain(ramp)
        gray = display.to_gray(ramp[0, :, 0])
        shades[style] = np.mean((gray > 5) & (gray < 250)) * 80
    assert shades["gray"] > 1.25 * shades["contrast"]


def test_mirrored_display_is_the_mirror_image():
    scanner = Scanner()
    levels = np.random.default_rng(0).uniform(0, 255, scanner.shape).astype(np.float32)
    usual, mirrored = (ImageGrid.echonet(scanner, mirrored=flip) for flip in (False, True))
    shown, flipped = (ScanConverter(scanner, grid)(levels) for grid in (usual, mirrored))
    np.testing.assert_allclose(shown[:, ::-1].astype(int), flipped, atol=1)
    x, z = np.array([12.0]), np.array([60.0])
    row, col = (usual.to_image_mm(x, z) / usual.spacing.row_mm)[0]
    np.testing.assert_allclose(mirrored.to_image_mm(x, z)[0] / usual.spacing.row_mm, [row, 111 - col])


def test_persistence_keeps_a_still_and_spreads_a_flash_evenly_to_both_sides():
    display = _display()
    still = np.full((9, 4, 3), -7.0, np.float32)
    np.testing.assert_allclose(display.persist(still, 0.02), still, rtol=1e-6)
    flash = np.zeros((21, 1, 1), np.float32)
    flash[10] = 1
    seen = display.persist(flash, 0.005)[:, 0, 0]
    np.testing.assert_allclose(seen, seen[::-1], atol=1e-7)
    assert seen[10] == seen.max() < 0.7


def test_persistence_depends_on_seconds_not_on_frames():
    display = _display()
    spread = []
    for step_s in (0.001, 0.002):
        n = int(0.2 / step_s)
        flash = np.zeros((n, 1, 1), np.float32)
        flash[n // 2] = 1
        spread.append(_sd(display.persist(flash, step_s)[:, 0, 0]) * step_s)
    assert spread[0] == pytest.approx(spread[1], rel=0.02)
    assert spread[0] > 0.003


def test_gray_scale_is_monotone_from_black_to_white():
    gray = _display().to_gray(np.linspace(-20, 90, 500, dtype=np.float32))
    assert gray[0] == 0 and gray[-1] == 255 and np.all(np.diff(gray) >= 0)


def test_screen_marks_lie_outside_the_sector():
    inside = ScanConverter(Scanner(), ImageGrid.echonet(Scanner())).inside
    drawn = [draw_screen_marks(np.random.default_rng(seed), inside) for seed in range(10)]
    assert not any(marks[inside].any() for marks in drawn)
    assert sum(marks.any() for marks in drawn) > 3
