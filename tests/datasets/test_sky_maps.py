"""The bundled maps: values of the sources where these are at hand, rounding, provenance."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kurtosis, skew

from skastro.datasets import load_cib_map, load_dust_map
from skastro.field_metrics import cross_correlation, power_spectrum

SOURCES = Path(os.environ.get("SKASTRO_DATA", ""), "maps")
MAPS = [
    ("I", False),
    ("Q", False),
    ("U", False),
    ("I", True),
    ("Q", True),
    ("U", True),
    ("CIB", None),
]


def load(name, periodic):
    bunch = load_cib_map() if name == "CIB" else load_dust_map(name, periodic=periodic)
    return bunch.map, bunch.rounding


@pytest.mark.parametrize("name, periodic", MAPS)
def test_rounding_is_far_below_the_power(name, periodic):
    """To the corners of the plane: rounding has the variance of a uniform law, and a flat spectrum."""
    values, rounding = load(name, periodic)
    assert values.shape == (256, 256) and values.dtype == np.float32
    assert values.flags.c_contiguous and np.isfinite(values).all()
    _, power = power_spectrum(values, 32, k_max=np.sqrt(0.5), window=None if periodic else "hann")
    assert rounding**2 / 12 < 3e-4 * power.min()
    # the values are whole steps
    steps = (values.astype(np.float64) - values.min()) / rounding
    assert np.abs(steps - steps.round()).max() < 0.01


@pytest.mark.parametrize("name, periodic", MAPS)
def test_values_are_those_of_the_source(name, periodic):
    path = SOURCES / ("cib_map_Planck.npy" if name == "CIB" else f"{name}_1.npy")
    if not path.is_file():
        pytest.skip("SKASTRO_DATA is not the folder of the real data")
    source = np.load(path).astype(np.float64).squeeze()
    if periodic:
        source = source.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    elif name != "CIB":
        source = source[128:384, 64:320]
    values, rounding = load(name, periodic)
    assert np.abs(values - source).max() < 0.51 * rounding


def jump(values):
    """Step over the border compared with that between neighbours, in the root mean square."""
    steps = [
        np.sqrt(np.mean((values[0] - values[-1]) ** 2) / np.mean(np.diff(values, axis=0) ** 2)),
        np.sqrt(np.mean((values[:, 0] - values[:, -1]) ** 2) / np.mean(np.diff(values) ** 2)),
    ]
    return max(steps)


@pytest.mark.parametrize("stokes", "IQU")
def test_periodic_maps_fit_at_the_border_and_others_do_not(stokes):
    assert jump(load_dust_map(stokes, periodic=True).map) < 1.5
    assert jump(load_dust_map(stokes).map) > 3
    assert jump(load_cib_map().map) > 2 and load_cib_map().periodic is False


def test_dust_is_not_gaussian_and_the_background_nearly_is():
    dust, background = load_dust_map().map, load_cib_map().map
    assert dust.min() > 0 and skew(dust, axis=None) > 1 and kurtosis(dust, axis=None) > 2
    assert abs(skew(background, axis=None)) < 0.3 and abs(kurtosis(background, axis=None)) < 0.3
    assert abs(background.mean()) < 0.1 * background.std()


def test_several_stokes_parameters():
    found = load_dust_map("UI", periodic=True)
    assert found.map.shape == (2, 256, 256) and len(found.rounding) == 2
    assert found.stokes == "UI" and found.periodic is True
    np.testing.assert_array_equal(found.map[1], load_dust_map("I", periodic=True).map)
    # one piece of one sky: intensity and polarisation share their structures
    intensity, q, _ = load_dust_map("IQU").map
    _, shared = cross_correlation(intensity, q, 8, window="hann")
    assert (shared[5:] > 0.15).all()
    _, apart = cross_correlation(intensity, q[::-1, ::-1], 8, window="hann")
    assert (np.abs(apart[5:]) < 0.05).all()


@pytest.mark.parametrize("stokes", ["", "V", "II", None, "i"])
def test_unknown_stokes_parameters(stokes):
    with pytest.raises(ValueError, match="stokes=.*: expected 'I', 'Q', 'U', or several"):
        load_dust_map(stokes)


def test_provenance_and_size():
    paths = [Path(one.path) for one in (load_dust_map(), load_cib_map())]
    assert sum(path.stat().st_size for path in paths) <= 600_000
    readme = (paths[0].parent / "README.md").read_text()
    for path, text in zip(
        paths, ("2021, Bruno Régaldo-Saint Blancard", "2022, the Foscat developers"), strict=True
    ):
        assert path.name in readme and text in readme
    assert "BSD-3" in load_dust_map().DESCR and "NOT periodic" in load_dust_map().DESCR
    assert "ESA/Planck" in load_cib_map().DESCR and "NOT periodic" in load_cib_map().DESCR
