"""Warm and cold gas: fluxes, line widths and structure as they are said to be."""

import numpy as np
import pytest
from scipy.stats import kstest

from skastro.datasets import make_hi_phases
from skastro.field_metrics import power_spectrum


def moments(cube, velocity):
    """Flux, and mean width of the lines about their own centres."""
    flux = cube.astype(float).sum(axis=-1)
    centre = (cube * velocity).sum(axis=-1) / flux
    width = np.sqrt((cube * (velocity - centre[..., None]) ** 2).sum(axis=-1) / flux)
    return flux, centre, width


@pytest.fixture(scope="module")
def gas():
    return make_hi_phases(12, n_channels=120, random_state=0)


def test_parts_add_up_to_the_noise(gas):
    assert gas.cube.shape == (12, 64, 64, 120) and gas.velocity.shape == (120,)
    for part in (gas.cube, gas.warm, gas.cold, gas.warm_column, gas.cold_column):
        assert part.dtype == np.float32 and np.isfinite(part).all()
    assert gas.warm.min() >= 0 and gas.cold.min() >= 0
    noise = (gas.cube - gas.warm - gas.cold) / 0.3
    assert kstest(noise[:, ::4, ::4, ::4].ravel(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise[0].ravel(), gas.cold[0].ravel())[0, 1]) < 0.01
    assert (np.diff(gas.velocity) == 1).all() and gas.velocity.sum() == 0


def test_columns_are_the_fluxes(gas):
    """1.823e18 cm^-2 a K km/s, in a band that is wide enough."""
    for phase in ("warm", "cold"):
        flux = gas[phase].astype(float).sum(axis=-1)
        np.testing.assert_allclose(0.01823 * flux, gas[f"{phase}_column"], rtol=1e-4, atol=1e-6)
    total = (gas.warm_column + gas.cold_column).mean(axis=(1, 2), dtype=float)
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)
    share = gas.cold_column.mean(axis=(1, 2), dtype=float) / total
    np.testing.assert_allclose(share, gas.cold_fraction, rtol=1e-5)
    assert (gas.label == (gas.cold_fraction > 0.5)).all()
    assert kstest((make_hi_phases(300, n_pixels=8, n_channels=1, random_state=1).cold_fraction
                   - 0.05) / 0.9, "uniform").pvalue > 0.01  # fmt: skip


def test_lines_are_broad_and_narrow(gas):
    _, warm_centre, warm = moments(gas.warm, gas.velocity)
    cold_flux, cold_centre, cold = moments(gas.cold, gas.velocity)
    assert np.median(warm) == pytest.approx(8.0, rel=0.03)
    seen = cold_flux > 0.1 * cold_flux.mean()
    # a channel of 1 km/s adds a variance of 1 / 12
    assert np.median(np.sqrt(cold[seen] ** 2 - 1 / 12)) == pytest.approx(1.5, rel=0.03)
    assert warm_centre.std() == pytest.approx(3.0, rel=0.05)
    assert (cold_centre - warm_centre)[seen].std() == pytest.approx(2.0, rel=0.15)


def test_cold_gas_has_the_small_scales_and_the_tails(gas):
    _, warm = power_spectrum(gas.warm_column)
    _, cold = power_spectrum(gas.cold_column)
    small = [one[:, 8:].sum(axis=1) / one[:, 0] for one in (warm, cold)]
    assert (small[1] > 10 * small[0]).all()
    # most of the mass in few pixels
    held = [
        np.sort(one.reshape(12, -1), axis=1)[:, -64 * 16 :].sum(axis=1) / one.sum(axis=(1, 2))
        for one in (gas.warm_column, gas.cold_column)
    ]
    assert held[0].mean() < 0.45 < 0.55 < held[1].mean()


def test_a_channel_has_the_mean_over_its_width():
    fine = make_hi_phases(2, n_pixels=16, n_channels=40, channel_width=0.5, random_state=0)
    wide = make_hi_phases(2, n_pixels=16, n_channels=10, channel_width=2.0, random_state=0)
    mean = fine.cold.reshape(2, 16, 16, 10, 4).mean(axis=-1)
    np.testing.assert_allclose(wide.cold, mean, atol=1e-4)
    # by hand, in narrow channels the density of a normal law
    one = make_hi_phases(1, n_pixels=8, n_channels=400, channel_width=0.1, cold_fraction=1.0,
                         random_state=0)  # fmt: skip
    flux, centre, width = moments(one.cold[..., :], one.velocity)
    expected = np.exp(-0.5 * ((one.velocity - centre[..., None]) / width[..., None]) ** 2)
    expected *= (0.1 * flux / (np.sqrt(2 * np.pi) * width))[..., None]
    np.testing.assert_allclose(one.cold, expected, atol=5e-3 * expected.max())


def test_pure_patches():
    gas = make_hi_phases(300, "pure", n_pixels=8, n_channels=1, sigma=0.1, random_state=0)
    counts = np.bincount(gas.label)
    assert counts.sum() == 300 and counts.min() > 70
    empty, warm, cold = (gas.label == i for i in range(3))
    assert gas.warm[~warm].max() == gas.cold[~cold].max() == 0
    assert gas.warm[warm].min() > 0 and (gas.cold[cold].max(axis=(1, 2, 3)) > 0).all()
    assert gas.cube[empty].std() == pytest.approx(0.1, rel=0.05)
    assert np.isnan(gas.cold_fraction[empty]).all()
    assert (gas.cold_fraction[warm] == 0).all() and (gas.cold_fraction[cold] == 1).all()
    np.testing.assert_allclose(gas.cold_column[cold].mean(axis=(1, 2)), 1.0, rtol=1e-5)


def test_patches_are_periodic(gas):
    for column in (gas.warm_column, gas.cold_column):
        inner = np.mean(np.diff(column, axis=1) ** 2)
        assert np.mean((column[:, 0] - column[:, -1]) ** 2) < 2 * inner


def test_random_state_and_what_is_drawn_apart():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    options = dict(n_pixels=(8, 12), n_channels=3, random_state=4)
    many, few = make_hi_phases(5, **options), make_hi_phases(2, **options)
    np.testing.assert_array_equal(many.cube[:2], few.cube)
    assert many.cube.shape == (5, 8, 12, 3)
    clean = make_hi_phases(5, sigma=0.0, **options)
    np.testing.assert_array_equal(clean.warm, many.warm)
    np.testing.assert_allclose(clean.cube, clean.warm + clean.cold, rtol=1e-6)
    half = make_hi_phases(5, cold_fraction=0.5, **options)
    quarter = make_hi_phases(5, cold_fraction=0.25, **options)
    np.testing.assert_allclose(half.cold, 2 * quarter.cold, rtol=1e-5)
    assert np.abs(make_hi_phases(5, n_pixels=(8, 12), n_channels=3, random_state=5).cube
                  - many.cube).max() > 0.1  # fmt: skip
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


BAD = [
    ({"n": 0}, "n=0: expected an integer of at least 1"),
    ({"n": 2.0}, "n=2.0"),
    ({"kind": "cold"}, "kind='cold': expected 'mixed' or 'pure'"),
    ({"n_pixels": 4}, "n_pixels=4: expected an integer of at least 8"),
    ({"n_pixels": (8, 8, 8)}, r"n_pixels=\(8, 8, 8\)"),
    ({"n_channels": 0}, "n_channels=0"),
    ({"channel_width": 0}, "channel_width=0: expected a number above 0"),
    ({"column": np.nan}, "column=nan: expected a number above 0"),
    ({"sigma": -0.1}, "sigma=-0.1: expected a number of at least 0"),
    ({"cold_fraction": 1.5}, "cold_fraction has a maximum of 1.5: expected at most 1"),
    ({"cold_fraction": -0.5}, "cold_fraction has a minimum of -0.5: expected at least 0"),
    ({"cold_fraction": [0.1, 0.2]}, r"cold_fraction has shape \(2,\): expected a number, or an"),
    ({"cold_fraction": 0.5, "kind": "pure"}, "cold_fraction=0.5 with kind='pure'"),
]


@pytest.mark.parametrize("arguments, message", BAD)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_hi_phases(**{"n": 3, "n_pixels": 8, "n_channels": 2, **arguments})
