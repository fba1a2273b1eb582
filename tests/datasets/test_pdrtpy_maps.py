"""The loader of the Wolfire-Kaufman maps: on a small fake checkout, and on a real one."""

import os
import warnings

import numpy as np
import pytest
from astropy.io import fits

from skastro.datasets import load_pdrtpy_maps

N_LOG_N, N_LOG_FUV = 9, 13


def nodes():
    return 1.0 + 0.5 * np.arange(N_LOG_N), -3.3 + 0.5 * np.arange(N_LOG_FUV)


def write(folder, name, values, *, unit="erg cm-2 s-1 sr-1", ctype2="log(FUV)", crval2=-3.3):
    """A map as in the release: FITS axis 1 is log n, values[log_FUV, log_n]."""
    folder.mkdir(parents=True, exist_ok=True)
    hdu = fits.PrimaryHDU(np.asarray(values, dtype=">f4"))
    hdu.header.update(
        CTYPE1="log(n)", CRVAL1=1.0, CDELT1=0.5, CRPIX1=1.0,
        CTYPE2=ctype2, CRVAL2=crval2, CDELT2=0.5, CRPIX2=1.0, BUNIT=unit,
    )  # fmt: skip
    hdu.writeto(folder / f"{name}.fits")


def smooth_map():
    log_n, log_fuv = nodes()
    return 10 ** (-6 + 0.3 * np.sin(log_n)[None, :] + 0.2 * log_fuv[:, None] ** 2 / 5)


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "pdrtpy"
    models = root / "pdrtpy/models/wolfirekaufman/version2020/constant_density"
    solar = models / "z=1/losangle=00"
    line = smooth_map()
    write(solar, "CII158sm", line)
    write(solar, "CII158", 1.1 * line[None])  # as computed: with a third axis of length 1
    bad = 2 * line
    bad[0, 0], bad[3, 4], bad[5, 6] = 1e-40, np.nan, 3e6
    write(solar, "OI63sm", bad)
    write(solar, "OI63_CII158sm", np.full_like(line, 2.0), unit="")
    write(solar, "TSAV0p01sm", np.full_like(line, 300.0), unit="K")
    write(solar, "FEII26sm", line[:3, :2], ctype2="log(n_e)")
    write(solar, "OI63G0sm", line, ctype2="log(G_0)", crval2=-0.5)
    write(models / "lmc", "CO21sm", line, ctype2="log(G_0)")
    return root


def test_lines(checkout):
    bunch = load_pdrtpy_maps(checkout)
    assert bunch.target_names == ["CII158", "OI63"]
    assert bunch.grid_shape == (N_LOG_N, N_LOG_FUV)
    expected = np.stack(np.meshgrid(*nodes(), indexing="ij"), -1).reshape(-1, 2)
    np.testing.assert_allclose(bunch.data, expected)
    # each row holds the value of its own node: transposed maps would fail here
    log_n, log_fuv = bunch.data.T
    formula = 10 ** (-6 + 0.3 * np.sin(log_n) + 0.2 * log_fuv**2 / 5)
    np.testing.assert_allclose(bunch.target[:, 0], formula, rtol=1e-6)
    assert bunch.target.dtype == np.float64 and bunch.target.dtype.isnative
    assert bunch.coarse_step.tolist() == [1, 1]
    assert "GPL" in bunch.DESCR and "losangle=00" in bunch.DESCR


def test_sentinels_and_blow_ups_are_masked(checkout):
    bunch = load_pdrtpy_maps(checkout)
    mask = bunch.mask[:, 1].reshape(bunch.grid_shape).T
    assert np.argwhere(~mask).tolist() == [[0, 0], [3, 4], [5, 6]]
    assert bunch.mask[:, 0].all()
    wide = load_pdrtpy_maps(checkout, valid_range=(0, 1e9))
    assert (~wide.mask).sum() <= 2  # the NaN; 1e-40 may be zero in float32


def test_choices(checkout):
    assert load_pdrtpy_maps(checkout, ratios=True).target_names == ["CII158", "OI63", "OI63_CII158"]
    raw = load_pdrtpy_maps(checkout, smoothed=False)
    assert raw.target_names == ["CII158"]
    np.testing.assert_allclose(raw.target[:, 0], 1.1 * load_pdrtpy_maps(checkout).target[:, 0])
    assert load_pdrtpy_maps(checkout, metallicity="lmc").target_names == ["CO21"]
    # the package folder itself, as `pip install --target` leaves it, works as well
    np.testing.assert_array_equal(
        load_pdrtpy_maps(checkout / "pdrtpy").data, load_pdrtpy_maps(str(checkout)).data
    )


@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize("axis", [0, 1])
def test_interpolated_maps_are_reported(checkout, axis, scale):
    fine = np.log10(smooth_map()) if scale == "log" else smooth_map()
    n = fine.shape[axis]
    knots = np.arange(0, n, 4)
    fine = np.apply_along_axis(lambda v: np.interp(np.arange(n), knots, v[knots]), axis, fine)
    folder = checkout / "pdrtpy/models/wolfirekaufman/version2020/constant_density/smc/losangle=30"
    write(folder, "CO10sm", 10**fine if scale == "log" else fine)
    write(folder, "FIRsm", 10 ** np.add.outer(nodes()[1], 0 * nodes()[0]))  # a power law: fine
    with pytest.warns(UserWarning, match="1 of 2 maps are exact interpolations.*CO10"):
        bunch = load_pdrtpy_maps(checkout, metallicity="smc", angle=30)
    assert bunch.coarse_step.tolist() == [4, 1]


def test_maps_on_different_grids(checkout):
    folder = checkout / "pdrtpy/models/wolfirekaufman/version2020/constant_density/smc/losangle=30"
    write(folder, "CO10sm", smooth_map())
    write(folder, "CO21sm", smooth_map(), crval2=-1.0)
    with pytest.raises(ValueError, match="CO21sm.*another grid"):
        load_pdrtpy_maps(checkout, metallicity="smc", angle=30)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "no/such/folder"}, FileNotFoundError, "path='no/such/folder': no such folder"),
        ({"metallicity": "m31"}, ValueError, "metallicity='m31': expected one of"),
        ({"angle": 10}, ValueError, "angle=10: expected one of"),
        ({"angle": 30}, FileNotFoundError, "angle=30: no maps in"),
        ({"valid_range": (1, 0)}, ValueError, "valid_range=.*lowest < highest"),
        ({"metallicity": "lmc", "smoothed": False}, FileNotFoundError, "no maps of lines in"),
    ],
)
def test_errors(checkout, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        load_pdrtpy_maps(**{"path": checkout, **arguments})
    assert "\n" not in str(caught.value)


def test_folder_without_models(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a pdrtpy checkout, with"):
        load_pdrtpy_maps(tmp_path)


@pytest.mark.skipif(
    "SKASTRO_PDRTPY" not in os.environ,
    reason="needs a checkout of pdrtpy (GPL, not bundled): set SKASTRO_PDRTPY to its folder",
)
def test_real_checkout():
    path = os.environ["SKASTRO_PDRTPY"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # these maps are real on all their nodes
        bunch = load_pdrtpy_maps(path)
        raw = load_pdrtpy_maps(path, smoothed=False)
    assert bunch.data.shape == (2793, 2) and bunch.grid_shape == (49, 57)
    assert bunch.target_names == raw.target_names and len(bunch.target_names) == 21
    assert bunch.mask.all()
    np.testing.assert_allclose(bunch.data.min(axis=0), [1.0, np.log10(1.6e-3) - 0.5], atol=1e-5)
    # the far infrared is reprocessed starlight: proportional to the field
    log_fir = np.log10(bunch.target[:, bunch.target_names.index("FIR")])
    slope = np.polyfit(bunch.data[:, 1], log_fir, 1)[0]
    assert abs(slope - 1) < 0.02
    # smoothing moves most values little
    change = np.abs(np.log10(raw.target / bunch.target))
    assert np.median(change) < 0.05
    ratios = load_pdrtpy_maps(path, ratios=True)
    assert (~ratios.mask).sum() > 1000  # ratios with a line that is nearly zero
    assert load_pdrtpy_maps(path, metallicity="smc", angle=60).target.shape == (2793, 23)
    assert load_pdrtpy_maps(path, metallicity="lmc").target_names[0] == "CII158"
