"""Cubes of other packages, Quantities and arrays come in, and go back as what they were."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, NDData
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from astropy.wcs.wcsapi import SlicedLowLevelWCS
from fits_cubes import CUBE, beam_table, cards, make_hdu, same, stored

import skastro
from skastro.io import LineCube, read_cube


def spectral_cube(**settings):
    package = pytest.importorskip("spectral_cube")
    return package.SpectralCube.read(fits.HDUList([make_hdu()]), **settings)


@pytest.mark.parametrize("use_dask", [False, True])
def test_a_spectral_cube(use_dask):
    given = spectral_cube(use_dask=use_dask)
    # below the limit: blank; cut to what is bright enough
    given = given.with_mask(given > -0.5 * u.K).with_fill_value(0.0)
    expected = np.where(CUBE > -0.5, CUBE, np.nan)
    cube = read_cube(given)
    same(cube.block(), expected)
    same(cube.block(slice(1, 3)), expected[1:3])
    same(np.asarray(cube.values), expected)
    assert hasattr(cube.values, "compute") is use_dask
    wrapped = cube.wrap(cube.values * 2, history="doubled")
    assert type(wrapped) is type(given)
    same(np.moveaxis(wrapped.with_fill_value(np.nan).filled_data[:].value, 0, -1), 2 * expected)
    assert wrapped.unit == given.unit and wrapped.beam == given.beam
    assert wrapped.fill_value == 0.0
    assert wrapped.wcs.wcs.compare(given.wcs.wcs)
    assert wrapped.header["HISTORY"][-1] == f"skastro {skastro.__version__}: doubled"
    assert "HISTORY" not in given.header or len(given.header["HISTORY"]) == 1


def test_a_spectral_cube_in_another_spectral_unit():
    given = spectral_cube().with_spectral_unit(u.GHz)
    cube = read_cube(given)
    assert cube.spectral_axis.unit == u.GHz
    wrapped = cube.wrap(cube.block())
    np.testing.assert_allclose(wrapped.spectral_axis, given.spectral_axis)
    assert wrapped.spectral_axis.unit == u.GHz


def test_a_spectral_cube_without_mask_is_not_copied():
    package = pytest.importorskip("spectral_cube")
    data = stored() * u.K
    given = package.SpectralCube(data, WCS(cards()))
    cube = read_cube(given)
    assert np.shares_memory(cube.values, data.value)
    assert cube.unit == u.K
    assert cube.wrap(CUBE).unit == u.K


@pytest.mark.parametrize("use_dask", [False, True])
def test_a_beam_for_each_channel(use_dask):
    package = pytest.importorskip("spectral_cube")
    hdus = fits.HDUList([make_hdu(CASAMBM=True), beam_table()])
    given = package.SpectralCube.read(hdus, use_dask=use_dask)
    cube = read_cube(given)
    wrapped = cube.wrap(cube.block())
    assert type(wrapped) is type(given)
    assert (wrapped.beams == given.beams).all()
    np.testing.assert_array_equal(cube.beams.data["BPA"], np.arange(7.0))


@pytest.mark.parametrize("kind", [NDData, CCDData])
@pytest.mark.parametrize("with_header", [True, False])
def test_nddata(kind, with_header):
    hidden = np.zeros((7, 4, 5), dtype=bool)
    hidden[2, 1, 1] = True
    meta = fits.Header({"OBSERVER": "me", "DATAMAX": 3.0}) if with_header else {"OBSERVER": "me"}
    given = kind(stored(), wcs=WCS(cards()), unit=u.K, mask=hidden, meta=meta)
    expected = np.where(np.moveaxis(hidden, 0, -1), np.nan, CUBE)
    cube = read_cube(given)
    same(cube.block(), expected)
    same(cube.block(slice(1, 2)), expected[1:2])
    same(cube.values, expected)
    assert cube.unit == u.K and cube.header["CTYPE3"] == "VRAD"
    assert cube.spectral_axis[1].to(u.km / u.s).value == pytest.approx(-2.5)
    wrapped = cube.wrap(cube.block() / 2, history="halved")
    assert type(wrapped) is kind and wrapped.unit == u.K and wrapped.wcs is given.wcs
    same(np.moveaxis(wrapped.data, 0, -1), expected / 2)
    same(wrapped.mask, hidden)
    assert f"skastro {skastro.__version__}: halved" in str(wrapped.meta["HISTORY"])
    assert "HISTORY" not in given.meta and wrapped.meta["OBSERVER"] == "me"
    if kind is CCDData:
        assert "halved" in str(wrapped.to_hdu()[0].header["HISTORY"])


def test_sliced_nddata_has_another_sort_of_wcs():
    wcs = SlicedLowLevelWCS(WCS(cards("yxv")), (slice(1, 3), slice(None), slice(None)))
    given = NDData(stored(order="yxv")[1:3], wcs=wcs, unit=u.K)
    assert not isinstance(given.wcs, WCS)
    cube = read_cube(given)
    same(cube.values, CUBE[1:3])
    np.testing.assert_allclose(cube.spectral_axis.to_value("km/s"), -3 + 0.5 * np.arange(7))
    same(cube.wrap(cube.block()).data, CUBE[1:3])


def test_nddata_without_wcs_is_in_the_order_of_fits():
    same(read_cube(NDData(stored())).values)


def test_a_quantity():
    cube = read_cube(CUBE * u.Unit("Jy/beam"))
    same(cube.values)
    assert cube.unit == u.Unit("Jy/beam") and cube.header is cube.wcs is cube.spectral_axis is None
    wrapped = cube.wrap(CUBE / 2, history="halved")
    assert isinstance(wrapped, u.Quantity) and wrapped.unit == cube.unit
    same(wrapped.value, CUBE / 2)


@pytest.mark.parametrize("numbers", [CUBE, CUBE[:, 0], np.arange(24).reshape(2, 3, 4)])
def test_masked_values_are_blank(numbers):
    hidden = np.random.default_rng(1).random(numbers.shape) < 0.3
    expected = np.where(hidden, np.nan, numbers)
    masked = Masked(numbers * u.K, mask=hidden)
    for given in (np.ma.MaskedArray(numbers, mask=hidden), masked):
        cube = read_cube(given)
        same(cube.values, expected)
        same(cube.block(slice(1, 2)), expected[1:2])
        wrapped = cube.wrap(cube.block())
        assert isinstance(wrapped, Masked if given is masked else np.ma.MaskedArray)
        same(wrapped.mask, hidden)
        if given is masked:
            assert wrapped.unit == u.K
    same(read_cube(np.ma.MaskedArray(CUBE)).values)


def test_arrays_and_tables():
    for given in (CUBE, CUBE[0], CUBE.tolist()):
        cube = read_cube(given)
        assert cube.n_channels == 7 and cube.shape == np.shape(given)
        wrapped = cube.wrap(np.asarray(given) * 2, history="doubled")
        assert type(wrapped) is np.ndarray
        same(wrapped, np.asarray(given) * 2)
    assert read_cube(cube) is cube and isinstance(cube, LineCube)
    assert repr(cube) == "<LineCube: cube of shape (4, 5, 7), unit 'None'>"


def test_a_dask_array_stays_lazy():
    da = pytest.importorskip("dask.array")
    calls = []

    def noted(block):
        calls.append(block.shape)
        return block

    lazy = da.from_array(CUBE, chunks=(2, 5, 7)).map_blocks(noted, dtype=np.float32, meta=CUBE[:0])
    cube = read_cube(lazy)
    wrapped = cube.wrap(cube.values * 2)
    hdu = read_cube(make_hdu()).wrap(cube.values)
    assert calls == []
    same(cube.block(slice(0, 2)), CUBE[:2])
    assert calls == [(2, 5, 7)]
    same(wrapped.compute(), 2 * CUBE)
    integers = read_cube(da.from_array(np.arange(24).reshape(2, 3, 4)))
    assert integers.values.dtype == np.float32 and integers.block().dtype == np.float32
    same(np.moveaxis(np.asarray(hdu.data), 0, -1))
