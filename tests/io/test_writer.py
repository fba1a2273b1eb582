"""Cubes are written block by block; after a failure the old file stands, and nothing else."""

import os
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS
from sklearn.decomposition import PCA

import skastro
from skastro.blocks import map_tiles, row_tiles
from skastro.io import CubeWriter, read_cube, write_cube

DATA = Path(os.environ.get("SKASTRO_DATA", ""), "cubes")
REAL = ["NGC4047.co.smo7msk.fits.gz", "nestfit_ammonia_11_cutout.fits"]
CUBE = np.random.default_rng(0).normal(size=(10, 5, 7)).astype(np.float32)
CUBE[1, 2, 3] = np.nan
CTYPES = {"v": "VRAD", "y": "DEC--SIN", "x": "RA---SIN", "s": "STOKES"}


def make_hdu(order="vyx", kind=fits.PrimaryHDU, dtype=">f4"):
    header = fits.Header()
    for i, axis in enumerate(reversed(order), 1):
        header.update({f"CTYPE{i}": CTYPES[axis], f"CRPIX{i}": 2.0, f"CDELT{i}": 0.01})
        header[f"CRVAL{i}"] = 1.0
    header.update({"BUNIT": "K", "BMAJ": 2e-3, "BMIN": 1e-3, "BPA": 30.0, "DATAMAX": 5.0})
    header.add_history("observed with care")
    cube = CUBE[..., None] if "s" in order else CUBE
    given = "yxvs" if "s" in order else "yxv"
    return kind(np.einsum(f"{given}->{order}", cube).astype(dtype), header)


def same(found, expected=CUBE):
    np.testing.assert_array_equal(found, expected)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.fits"


@pytest.mark.parametrize("name", REAL)
def test_a_real_cube_is_opened_again_by_spectral_cube(path, name):
    package = pytest.importorskip("spectral_cube")
    source = DATA / name
    if not source.is_file():
        pytest.skip("SKASTRO_DATA is not the folder of the real data")
    cube = read_cube(source)
    with CubeWriter(path, like=cube, history=["halved", PCA(3).__class__.__name__]) as writer:
        for tile in row_tiles(cube.shape[0], 7):
            writer.write(cube.block(tile.inner) / 2, tile.inner)
    before, after = package.SpectralCube.read(source), package.SpectralCube.read(path)
    np.testing.assert_allclose(
        after.filled_data[:].value, before.filled_data[:].value / 2, rtol=1e-6, equal_nan=True
    )
    assert (after.unit, after.beam) == (before.unit, before.beam)
    assert after.wcs.wcs.compare(before.wcs.wcs)
    np.testing.assert_array_equal(after.spectral_axis, before.spectral_axis)
    old, new = fits.getheader(source), fits.getheader(path)
    assert list(new["HISTORY"]) == [
        *old["HISTORY"],
        f"skastro {skastro.__version__}: halved",
        f"skastro {skastro.__version__}: PCA",
    ]
    assert list(new["NAXIS*"].values()) == list(old["NAXIS*"].values())
    assert new["BITPIX"] == -32 and not {"BSCALE", "BZERO", "BLANK"} & set(new)
    kept = [
        card for card in old if card not in ("", "BITPIX", "BSCALE", "BZERO", "BLANK", "HISTORY")
    ]
    assert {card: str(new[card]) for card in kept} == {card: str(old[card]) for card in kept}


@pytest.mark.parametrize("order", ["vyx", "yxv", "yvx", "svyx", "vsyx", "yxsv"])
def test_any_order_of_axes(path, order):
    given = make_hdu(order)
    write_cube(given, path)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert len(hdus) == 1 and hdus[0].data.dtype == ">f4"
        same(hdus[0].data, given.data)
        assert hdus[0].header["CTYPE*"] == given.header["CTYPE*"]
        assert "DATAMAX" not in hdus[0].header
    assert path.stat().st_size % 2880 == 0
    same(read_cube(path).block())


@pytest.mark.parametrize("kind", [fits.ImageHDU, fits.CompImageHDU])
def test_an_extension_becomes_a_primary_hdu(path, kind):
    hdu = make_hdu(kind=kind)
    hdu.name = "CUBE"
    hdu = read_cube(hdu).wrap(CUBE)  # compressed without loss
    write_cube(hdu, path)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert "XTENSION" not in hdus[0].header
    same(read_cube(path, "CUBE").block())


@pytest.mark.parametrize(
    "given",
    [
        CUBE,
        CUBE.astype(float),
        CUBE * u.K,
        np.ma.MaskedArray(np.nan_to_num(CUBE), mask=np.isnan(CUBE)),
        CCDData(CUBE.transpose(2, 0, 1), unit=u.K, wcs=WCS(make_hdu().header)),
        fits.HDUList([fits.PrimaryHDU(), make_hdu(kind=fits.ImageHDU)]),
    ],
    ids=lambda given: type(given).__name__,
)
def test_cubes_of_other_kinds(path, given):
    write_cube(given, path, history="written")
    cube = read_cube(path)
    same(cube.block())
    with fits.open(path) as hdus:
        hdus.verify("exception")
    assert cube.header["HISTORY"][-1] == f"skastro {skastro.__version__}: written"
    assert cube.unit == read_cube(given).unit
    assert (cube.spectral_axis is None) == (read_cube(given).spectral_axis is None)


@pytest.mark.parametrize("use_dask", [False, True])
def test_a_spectral_cube(path, use_dask):
    package = pytest.importorskip("spectral_cube")
    given = package.SpectralCube.read(fits.HDUList([make_hdu()]), use_dask=use_dask)
    write_cube(given.with_mask(given > 0 * u.K), path)
    again = package.SpectralCube.read(path)
    same(np.moveaxis(again.filled_data[:].value, 0, -1), np.where(CUBE > 0, CUBE, np.nan))
    assert again.beam == given.beam and again.unit == given.unit
    np.testing.assert_array_equal(again.spectral_axis, given.spectral_axis)


def test_a_beam_for_each_channel_is_kept(path, tmp_path):
    package = pytest.importorskip("spectral_cube")
    hdu = make_hdu()
    hdu.header["CASAMBM"] = True
    columns = [
        fits.Column(name, "1E", unit="arcsec", array=np.full(7, 5.0)) for name in ("BMAJ", "BMIN")
    ]
    columns.append(fits.Column("BPA", "1E", unit="deg", array=np.arange(7.0)))
    beams = fits.BinTableHDU.from_columns(columns, name="BEAMS")
    fits.HDUList([hdu, beams]).writeto(tmp_path / "given.fits")
    write_cube(tmp_path / "given.fits", path)
    before, after = (package.SpectralCube.read(one) for one in (tmp_path / "given.fits", path))
    assert type(after) is package.VaryingResolutionSpectralCube
    assert (after.beams == before.beams).all()
    write_cube(after, path, overwrite=True)
    assert (package.SpectralCube.read(path).beams == before.beams).all()
    same(read_cube(path).block())


def test_a_unit_that_astropy_does_not_know(path):
    hdu = make_hdu()
    hdu.header["BUNIT"] = "counts per dump"
    write_cube(hdu, path)
    assert read_cube(path).unit == fits.getheader(path)["BUNIT"] == "counts per dump"


def test_cards_that_break_the_standard_do_not_stop_the_writing(path, tmp_path):
    make_hdu().writeto(tmp_path / "given.fits")
    content = (tmp_path / "given.fits").read_bytes()
    broken = content.replace(b"BPA     =                 30.0", b"bpa     =                 30.0")
    broken = broken.replace(b"BMIN    =                0.001", b"BMIN    =       1 thousandth..")
    assert broken != content and len(broken) == len(content)
    (tmp_path / "given.fits").write_bytes(broken)
    write_cube(tmp_path / "given.fits", path)
    header = fits.getheader(path)
    assert header["BMAJ"] == 2e-3 and header["HISTORY"][0] == "observed with care"
    assert header["BMIN"] == "1 thousandth.."
    with fits.open(path) as hdus:
        hdus.verify("exception")
    same(read_cube(path).block())


def test_blocks_in_any_order(path):
    cube = read_cube(make_hdu())
    with CubeWriter(path, cube) as writer:
        writer.write(CUBE[6:], slice(6, 10))
        writer[0:2] = CUBE[:2]
        writer.write(CUBE[2:6], slice(2, -4))
    same(read_cube(path).block())
    with CubeWriter(path, cube, overwrite=True) as writer:
        for start in range(0, 10, 4):
            writer.write(CUBE[start : start + 4])
    same(read_cube(path).block())


def test_a_whole_transform_in_blocks(path):
    cube = read_cube(make_hdu("svyx"))
    with CubeWriter(path, cube) as writer:
        map_tiles(np.negative, cube, size=3, halo=1, out=writer)
    same(read_cube(path).block(), -CUBE)


def test_the_input_itself_can_be_overwritten(path):
    make_hdu().writeto(path)
    cube = read_cube(path)
    with CubeWriter(path, cube, overwrite=True) as writer:
        for tile in row_tiles(10, 3):
            writer.write(2 * cube.block(tile.inner), tile.inner)
    same(read_cube(path).block(), 2 * CUBE)
    # what was opened before reads on from the old file
    same(cube.block())


def test_memory_does_not_grow_with_the_cube(path):
    like = read_cube(np.broadcast_to(np.float32(1), (100, 250, 200)))
    block = np.ones((5, 250, 200), dtype=np.float32)
    tracemalloc.start()
    try:
        with CubeWriter(path, like) as writer:
            for _ in range(20):
                writer.write(block)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 20e6
    assert peak < 2**22 + block.nbytes


# -- failures


@pytest.fixture
def old(path):
    """An old file; nothing but it is in the folder in the end."""
    path.write_text("old")
    yield path
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]


def test_nothing_is_overwritten_unless_asked(old):
    message = "a.fits exists; expected a new file, or overwrite=True"
    with pytest.raises(FileExistsError, match=message):
        write_cube(CUBE, old)
    with pytest.raises(FileExistsError, match=message), CubeWriter(old, read_cube(CUBE)):
        pass


def test_a_file_that_appeared_meanwhile_is_not_overwritten(path):
    with pytest.raises(FileExistsError), CubeWriter(path, read_cube(CUBE)) as writer:
        writer.write(CUBE)
        path.write_text("other")
    assert path.read_text() == "other" and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("broken"), MemoryError])
def test_a_failure_between_blocks(old, error):
    with (
        pytest.raises(error if isinstance(error, type) else type(error)),
        CubeWriter(old, read_cube(CUBE), overwrite=True) as writer,
    ):
        writer.write(CUBE[:4])
        assert len(os.listdir(old.parent)) == 2
        raise error


def test_rows_that_were_never_written(old):
    with (
        pytest.raises(ValueError, match="^4 of 10 rows were written; expected all"),
        CubeWriter(old, read_cube(CUBE), overwrite=True) as writer,
    ):
        writer.write(CUBE[:4], slice(2, 6))


@pytest.mark.parametrize(
    "values, rows",
    [(CUBE[:3], slice(0, 4)), (CUBE[:, 1:], None), (CUBE[:4], slice(8, 12)), (CUBE[0], None)],
)
def test_values_of_another_shape(old, values, rows):
    with (
        pytest.raises(ValueError, match=r"^values has shape .*; expected \(\d+, 5, 7\), rows"),
        CubeWriter(old, read_cube(CUBE), overwrite=True) as writer,
    ):
        writer.write(values, rows)


def test_what_cannot_be_written(old):
    with pytest.raises(ValueError, match="b.fits.gz' names a compressed file; expected .fits"):
        write_cube(CUBE, old.parent / "b.fits.gz")
    with pytest.raises(ValueError, match=r"^like has shape \(5, 7\); expected a cube"):
        write_cube(CUBE[0], old, overwrite=True)
    with pytest.raises(FileNotFoundError):
        write_cube(CUBE, old.parent / "none" / "a.fits")
    with pytest.raises(ValueError, match="is not a FITS file"):
        write_cube(old, old, overwrite=True)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits of files as Linux has them"
)
@pytest.mark.parametrize("limit", [1000, 4000])
def test_a_full_disk(old, limit):
    # a limit on the size of files stands for a disk that is full, at the header or in the data
    code = f"""
        import resource
        import numpy as np
        from skastro.io import write_cube
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            write_cube(np.ones((10, 20, 30)), {str(old)!r}, overwrite=True)
        except OSError as error:
            print(type(error).__name__, error.errno)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["OSError", "27"]


def test_a_disk_that_fills_up_between_blocks(old, monkeypatch):
    with (
        pytest.raises(OSError, match="No space left"),
        CubeWriter(old, read_cube(CUBE), overwrite=True) as writer,
    ):
        writer.write(CUBE[:4])

        def full(content, offset):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(writer, "_put", full)
        writer.write(CUBE[4:])


def test_a_disk_that_says_only_in_the_end_that_it_is_full(old, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_cube(CUBE, old, overwrite=True)


def test_making_a_writer_touches_nothing(old):
    CubeWriter(old, read_cube(CUBE), overwrite=True)
