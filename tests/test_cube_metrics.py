"""Scores of denoised cubes against sums written out voxel by voxel, blanks and bad input."""

import math

import astropy.units as u
import numpy as np
import pytest

from skastro.cube_metrics import (
    cube_summary,
    flux_ratio,
    moment0_gain,
    residual_rms,
    snr_gain,
    zones,
)


@pytest.fixture
def cubes():
    """Truth, noisy, estimate and sigma of (3, 4, 50) voxels, in all zones."""
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.5, 2.0, (3, 4, 50))
    truth = 10.0 * np.exp(-0.5 * ((np.arange(50) - 25) / rng.uniform(1, 6, (3, 4, 1))) ** 2)
    noisy = truth + sigma * rng.standard_normal(truth.shape)
    estimate = truth + 0.3 * sigma * rng.standard_normal(truth.shape)
    return truth, noisy, estimate, sigma


def by_hand(truth, noisy, estimate, sigma, inside):
    before = after = 0.0
    for s, d, e, sd in zip(*(x.ravel() for x in (truth, noisy, estimate, sigma)), strict=True):
        if inside(s / sd):
            before += ((d - s) / sd) ** 2
            after += ((e - s) / sd) ** 2
    return 10 * math.log10(before / after)


INSIDE = {
    "high": lambda snr: snr > 3,
    "low": lambda snr: 0.5 < snr <= 3,
    "signal": lambda snr: snr > 0.5,
    "free": lambda snr: snr < 0.01,
    "all": lambda snr: True,
}


def test_zones_have_the_bounds_of_their_definition():
    truth = np.array([[0.0, 0.0099, 0.0101, 0.5, 0.51, 3.0, 3.01, -4.0, np.nan]])
    found = zones(2 * truth, 2.0)
    assert [np.flatnonzero(found[name]).tolist() for name in ("free", "low", "high")] == [
        [0, 1],
        [4, 5],
        [6, 7],  # absorption is line too
    ]


@pytest.mark.parametrize("zone", INSIDE)
def test_gain_by_hand(cubes, zone):
    wanted = by_hand(*cubes, INSIDE[zone])
    assert abs(snr_gain(*cubes, zone) - wanted) < 1e-9
    single = [array.astype(np.float32) for array in cubes]
    assert abs(snr_gain(*single, zone) - wanted) < 1e-3
    swapped = [array.astype(">f4") for array in cubes]
    assert snr_gain(*swapped, zone) == snr_gain(*single, zone)


@pytest.mark.parametrize("zone", INSIDE)
def test_residual_by_hand(cubes, zone):
    truth, _, estimate, sigma = cubes
    squares = [
        ((e - s) / sd) ** 2
        for s, e, sd in zip(truth.ravel(), estimate.ravel(), sigma.ravel(), strict=True)
        if INSIDE[zone](s / sd)
    ]
    wanted = math.sqrt(math.fsum(squares) / len(squares))
    assert abs(residual_rms(truth, estimate, sigma, zone) - wanted) < 1e-9


def test_zone_as_a_mask(cubes):
    mask = zones(cubes[0], cubes[3])["low"]
    assert snr_gain(*cubes, mask) == snr_gain(*cubes, "low")
    truth, _, estimate, sigma = cubes
    assert residual_rms(truth, estimate, sigma, mask) == residual_rms(truth, estimate, sigma, "low")


def test_known_values(cubes):
    truth, noisy, _, sigma = cubes
    assert snr_gain(truth, noisy, noisy, sigma) == 0.0
    tenth = truth + 0.1 * (noisy - truth)
    for gain in (snr_gain, moment0_gain):
        assert abs(gain(truth, noisy, tenth, sigma) - 20) < 1e-9
        assert gain(truth, noisy, truth, sigma) == np.inf
    assert flux_ratio(truth, 0.9 * truth) == pytest.approx(0.9, abs=1e-12)
    assert residual_rms(truth, truth + 2 * sigma, sigma, "all") == pytest.approx(2, abs=1e-12)


def test_flux_by_hand(cubes):
    truth, _, estimate, sigma = cubes
    low = zones(truth, sigma)["low"]
    wanted = math.fsum(estimate[low]) / math.fsum(truth[low])
    assert abs(flux_ratio(truth, estimate, low) - wanted) < 1e-12
    wanted = math.fsum(estimate.ravel()) / math.fsum(truth.ravel())
    assert abs(flux_ratio(truth, estimate) - wanted) < 1e-12


def test_moment0_by_hand(cubes):
    truth, noisy, estimate, sigma = cubes
    sums = [array.sum(axis=2) for array in (truth, noisy, estimate)]
    error = np.sqrt((sigma**2).sum(axis=2))
    assert abs(moment0_gain(*cubes) - by_hand(*sums, error, INSIDE["signal"])) < 1e-9
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True
    wanted = 20 * np.log10(abs((sums[1] - sums[0]) / (sums[2] - sums[0]))[1, 2])
    assert abs(moment0_gain(*cubes, mask) - wanted) < 1e-9


def test_sigma_in_its_four_forms(cubes):
    truth, noisy, estimate, sigma = cubes
    for form, full in (
        (1.3, np.full(truth.shape, 1.3)),
        (sigma[0, 0], np.broadcast_to(sigma[0, 0], truth.shape)),
        (sigma[..., 0], np.broadcast_to(sigma[..., :1], truth.shape)),
    ):
        for gain in (snr_gain, moment0_gain):
            assert (
                abs(gain(truth, noisy, estimate, form) - gain(truth, noisy, estimate, full)) < 1e-9
            )
        for name, mask in zones(truth, form).items():
            np.testing.assert_array_equal(mask, zones(truth, full)[name])
        assert cube_summary(truth, noisy, estimate, form) == pytest.approx(
            cube_summary(truth, noisy, estimate, full)
        )


def test_a_table_of_spectra_is_a_cube(cubes):
    table = [array.reshape(12, 50) for array in cubes]
    assert cube_summary(*table) == pytest.approx(cube_summary(*cubes))
    # as many spectra as channels: a vector is a spectrum of the noise
    square = [array.reshape(12, 50)[:, 20:32] for array in cubes]
    spectrum = np.linspace(1, 2, 12)
    wanted = np.abs(square[0]) / spectrum > 3
    np.testing.assert_array_equal(zones(square[0], spectrum)["high"], wanted)


def test_summary_is_its_parts(cubes):
    truth, noisy, estimate, sigma = cubes
    summary = cube_summary(*cubes)
    found = zones(truth, sigma)
    assert summary == {
        "gain": snr_gain(*cubes),
        "gain_low": snr_gain(*cubes, "low"),
        "gain_high": snr_gain(*cubes, "high"),
        "free": residual_rms(truth, estimate, sigma),
        "flux": flux_ratio(truth, estimate),
        "flux_low": flux_ratio(truth, estimate, found["low"]),
        "flux_high": flux_ratio(truth, estimate, found["high"]),
        "moment0_gain": moment0_gain(*cubes),
    }


def test_blank_voxels_count_for_nothing(cubes):
    """The figures of a cube with blanks are those of a cube without these positions."""
    truth, noisy, estimate, sigma = cubes
    wanted = cube_summary(*(array[1:] for array in cubes))
    noisy[0] = estimate[0] = np.nan
    assert cube_summary(*cubes) == pytest.approx(wanted)
    assert snr_gain(*cubes) == pytest.approx(wanted["gain"])
    assert moment0_gain(*cubes) == pytest.approx(wanted["moment0_gain"])
    sigma[0] = np.nan
    assert cube_summary(*cubes) == pytest.approx(wanted)
    truth[0] = np.nan
    assert cube_summary(*cubes) == pytest.approx(wanted)
    assert flux_ratio(truth, estimate) == pytest.approx(wanted["flux"])


def test_masked_arrays_and_integers(cubes):
    truth, noisy, estimate, sigma = cubes
    wanted = cube_summary(*(array[1:] for array in cubes))
    mask = np.zeros(truth.shape, bool)
    mask[0] = True
    masked = np.ma.array(noisy, mask=mask)
    assert cube_summary(truth, masked, estimate, sigma) == pytest.approx(wanted)
    counts = np.array([[0, 5, 9]], np.uint8)
    assert residual_rms(counts, counts[:, ::-1], 1.0, "all") == pytest.approx(np.sqrt(54))


def test_units_convert(cubes):
    truth, noisy, estimate, sigma = cubes
    wanted = cube_summary(*cubes)
    given = truth * u.K, (1e3 * noisy) * u.mK, estimate * u.K, (1e3 * sigma) * u.mK
    assert cube_summary(*given) == pytest.approx(wanted)
    assert flux_ratio(given[0], (1e3 * estimate) * u.mK) == pytest.approx(wanted["flux"])


def test_nothing_to_measure():
    zero = np.zeros((2, 3))
    assert math.isnan(snr_gain(zero, zero + 1, zero, 1.0))
    assert math.isnan(residual_rms(zero, zero, 1.0, "high"))
    assert math.isnan(flux_ratio(zero, zero))
    blank = np.full((2, 3), np.nan)
    assert all(math.isnan(value) for value in cube_summary(blank, blank, blank, 1.0).values())


def test_inputs_are_left_as_they_are(cubes):
    before = [array.copy() for array in cubes]
    cube_summary(*cubes)
    for array, copy in zip(cubes, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("function", [snr_gain, moment0_gain, cube_summary])
@pytest.mark.parametrize(
    "change, message",
    [
        (dict(noisy=np.zeros((3, 4, 49))), r"noisy has shape \(3, 4, 49\); expected \(3, 4, 50\)"),
        (dict(estimate=np.zeros((3, 4))), r"estimate has shape \(3, 4\); expected \(3, 4, 50\)"),
        (dict(estimate=np.full((3, 4, 50), np.nan)), "estimate is NaN or infinite where"),
        (dict(truth=np.array("a")), "truth has dtype <U1 and shape .*expected an array of numbers"),
        (dict(sigma=0.0), "sigma has a minimum of 0; expected it above 0"),
        (dict(sigma=np.full(50, -1.0)), "sigma has a minimum of -1; expected it above 0"),
        (dict(sigma=np.ones(4)), r"sigma has shape \(4,\); expected one of .*\(50,\), \(3, 4\)"),
        (dict(sigma=1.0 * u.K), "sigma has unit 'K'; expected 'None', as truth has"),
        (dict(noisy=np.zeros((3, 4, 50)) * u.K), "noisy has unit 'K'; expected 'None'"),
    ],
)
def test_bad_input(cubes, function, change, message):
    arguments = dict(zip(("truth", "noisy", "estimate", "sigma"), cubes, strict=True)) | change
    with pytest.raises(ValueError, match=message) as caught:
        function(**arguments)
    assert "\n" not in str(caught.value)


def test_bad_zone_and_where(cubes):
    truth, _, estimate, _ = cubes
    with pytest.raises(ValueError, match="zone='weak'; expected 'signal', 'high', 'low'"):
        snr_gain(*cubes, zone="weak")
    with pytest.raises(ValueError, match=r"zone has dtype bool and shape \(3,\); expected bool"):
        snr_gain(*cubes, zone=np.ones(3, bool))
    with pytest.raises(ValueError, match="zone has dtype float64"):
        residual_rms(truth, estimate, 1.0, zone=np.ones(truth.shape))
    with pytest.raises(ValueError, match=r"where has dtype bool and shape \(2,\); expected bool"):
        flux_ratio(truth, estimate, where=np.ones(2, bool))
    with pytest.raises(ValueError, match="'Jy'; expected one convertible to 'K'"):
        flux_ratio(truth * u.K, estimate * u.Jy)
