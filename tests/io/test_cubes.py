"""Line cubes are seen as (n_y, n_x, n_channels), read block by block, and refused in one line."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData
from fits_cubes import CUBE, beam_table, cards, make_hdu, same, stored

import skastro
from skastro.io import read_cube
from skastro.io.cubes import check_unit

DATA = Path(os.environ.get("SKASTRO_DATA", ""), "cubes")
REAL = ["NGC4047.co.smo7msk.fits.gz", "nestfit_ammonia_11_cutout.fits"]


@pytest.fixture(params=REAL)
def real(request):
    path = DATA / request.param
    if not path.is_file():
        pytest.skip("SKASTRO_DATA is not the folder of the real data")
    return path


def test_a_real_cube_is_read_as_spectral_cube_reads_it(real):
    package = pytest.importorskip("spectral_cube")
    expected = package.SpectralCube.read(real)
    cube = read_cube(real)
    values = np.moveaxis(expected.filled_data[:].value, 0, -1)
    same(cube.block(), values.astype(np.float32))
    same(cube.block(slice(3, 7)), values[3:7].astype(np.float32))
    assert cube.unit == expected.unit
    assert cube.spectral_axis.unit == expected.spectral_axis.unit
    np.testing.assert_allclose(cube.spectral_axis, expected.spectral_axis, rtol=1e-12)
    assert cube.header == fits.getheader(real)
    assert cube.path == str(real)


def test_a_real_cube_given_as_spectral_cube_comes_back_as_one(real):
    package = pytest.importorskip("spectral_cube")
    given = package.SpectralCube.read(real)
    cube = read_cube(given)
    wrapped = cube.wrap(2 * cube.block(), history="doubled")
    np.testing.assert_allclose(
        wrapped.filled_data[:].value, 2 * given.filled_data[:].value, rtol=1e-6, equal_nan=True
    )
    assert type(wrapped) is type(given)
    assert (wrapped.unit, wrapped.beam) == (given.unit, given.beam)
    assert wrapped.wcs.wcs.compare(given.wcs.wcs)
    np.testing.assert_array_equal(wrapped.spectral_axis, given.spectral_axis)
    kept = list(given.header["HISTORY"])
    assert list(wrapped.header["HISTORY"]) == [*kept, f"skastro {skastro.__version__}: doubled"]


def test_nothing_is_copied(tmp_path):
    make_hdu().writeto(tmp_path / "a.fits")
    assert isinstance(read_cube(tmp_path / "a.fits").values.base, np.memmap)
    hdu = make_hdu("svyx")
    for source, array in ((hdu, hdu.data), (CUBE, CUBE), (CUBE * u.K, None), (CUBE[0], CUBE)):
        source = source.view() if array is None else source
        assert np.shares_memory(read_cube(source).values, source.value if array is None else array)
    nd = NDData(stored())
    assert np.shares_memory(read_cube(nd).values, nd.data)


@pytest.mark.parametrize("dtype", [">f4", "<f4", ">f8", "f2", ">i2", "i4", "u1", "<u2"])
def test_a_block_is_what_torch_reads(dtype):
    numbers = np.arange(24).reshape(2, 3, 4).astype(dtype)
    cube = read_cube(numbers)
    for wanted in (np.float32, np.float64):
        block = cube.block(dtype=wanted)
        assert block.dtype == wanted and block.dtype.isnative and block.flags.c_contiguous
        assert not np.shares_memory(block, numbers)
        same(block, numbers.astype(wanted))
    assert cube.values.dtype.kind == "f"
    same(cube.values, numbers)


def test_float64_is_kept_when_asked_for():
    numbers = np.full((2, 2, 2), 1 + 1e-12)
    cube = read_cube(numbers)
    same(cube.block(dtype=np.float64), numbers)
    same(cube.block(), np.ones((2, 2, 2)))


def test_reading_a_block_takes_little_more_memory_than_the_block(tmp_path):
    path = tmp_path / "a.fits"
    rng = np.random.default_rng(0)
    values = rng.normal(size=(64, 96, 200)).astype(">f4")
    fits.PrimaryHDU(values, cards()).writeto(path)
    cube = read_cube(path)
    tracemalloc.start()
    try:
        block = cube.block(slice(10, 80))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    same(block, np.moveaxis(values, 0, -1)[10:80])
    assert block.nbytes > 3e6
    assert peak < block.nbytes + 2 * 2**22
    # and the float64 copy of a large block is not there
    tracemalloc.start()
    try:
        read_cube(np.broadcast_to(np.int16(3), (40, 200, 1000))).block()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 32e6 < peak < 1.5 * 32e6


def test_check_unit():
    np.testing.assert_allclose(check_unit([300, 400] * u.mK, u.K), [0.3, 0.4])
    assert check_unit(0.3, u.K) == 0.3
    assert check_unit(0.3, "counts per dump") == check_unit(0.3, None) == 0.3
    with pytest.raises(ValueError, match="^sigma has unit 'Jy'; expected one convertible to 'K'.$"):
        check_unit(0.3 * u.Jy, u.K)
    with pytest.raises(ValueError, match="^noise has unit 'Jy'; expected none, as the cube"):
        check_unit(0.3 * u.Jy, None, "noise")
    with pytest.raises(ValueError, match="^sigma has unit 'Jy'; expected 'counts per dump', as"):
        check_unit(0.3 * u.Jy, "counts per dump")


@pytest.mark.parametrize(
    "source, message",
    [
        (CUBE[0, 0], r"shape \(7,\); expected \(n_y, n_x, n_channels\) or"),
        (CUBE[None], r"shape \(1, 4, 5, 7\); expected \(n_y"),
        (5.0, r"shape \(\); expected \(n_y"),
        (CUBE[:0], r"shape \(0, 5, 7\), with an empty axis; expected a cube"),
        (CUBE[..., :1], "1 channel; expected at least 2"),
        (CUBE[0, :, :1], "1 channel; expected at least 2"),
        (CUBE.astype(complex), "dtype complex128; expected real numbers"),
        (np.full((2, 2, 2), "a"), "dtype <U1; expected real numbers"),
        (np.full((2, 2, 2), None), "dtype object; expected real numbers"),
        (CUBE > 0, "dtype bool; expected real numbers"),
        ([[1.0, 2.0], [3.0]], "rows of different lengths"),
        (NDData(CUBE[0]), r"shape \(5, 7\); expected a cube of 3 axes"),
        (NDData(CUBE > 0), "dtype bool; expected real numbers"),
        (fits.PrimaryHDU(), "holds no image; expected a cube"),
        (beam_table(), "holds no image; expected a cube"),
        (fits.HDUList([fits.PrimaryHDU(), beam_table()]), "holds no image; expected a cube"),
        (fits.PrimaryHDU(CUBE[0]), r"shape \(5, 7\); expected a cube of 3 axes"),
        (fits.HDUList([fits.PrimaryHDU(CUBE[0])]), r"shape \(5, 7\); expected a cube of 3 axes"),
        (fits.PrimaryHDU(CUBE[0, 0]), r"shape \(7,\); expected a cube of 3 axes"),
        (fits.PrimaryHDU(CUBE[:1]), "1 channel; expected at least 2"),
        (fits.PrimaryHDU(np.stack([CUBE, CUBE])), r"shape \(2, 4, 5, 7\); expected 3 axes, the others"),
    ],
)  # fmt: skip
def test_bad_input(source, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_cube(source, name="cube")
    assert "\n" not in str(caught.value)
    assert "cube" in str(caught.value).split()


def test_values_of_another_shape():
    for cube in (read_cube(CUBE), read_cube(make_hdu())):
        with pytest.raises(
            ValueError, match=r"^values has shape \(4, 5, 6\); expected \(4, 5, 7\)"
        ):
            cube.wrap(CUBE[..., 1:])
    for rows in (3, slice(0, 4, 2), [0, 1]):
        with pytest.raises(ValueError, match="^rows=.*: expected a slice"):
            cube.block(rows)
