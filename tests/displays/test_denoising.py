"""The picture of a comparison of denoisers."""

import numpy as np

from skastro.compare import compare
from skastro.datasets import make_line_cube
from skastro.denoising.baselines import GaussianSmoother, MaskDenoiser, PCADenoiser

METHODS = {"kernel": GaussianSmoother(), "CubeDenoiser": MaskDenoiser(fwhm=1.5)}


def cube(kind):
    return make_line_cube(kind, n_pixels=16, n_channels=48, random_state=0)


def bars_and_maps(figure):
    axes = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    maps = [ax for ax in axes if ax.images]
    return [ax for ax in axes if not ax.images and ax.patches], maps


def test_one_row_a_cube():
    cubes = {"A": cube("A") | {"title": "kind A"}, "B": cube("B") | {"title": "kind B"}}
    found = compare(METHODS, cubes, task="denoising", progress=False)
    bars, maps = bars_and_maps(found.plot())
    assert len(bars) == 4 and len(maps) == 8
    assert [ax.get_title(loc="left") for ax in bars[::2]] == ["kind A", "kind B"]
    rows = sorted(found.rows[:2], key=lambda row: row["gain"])
    assert [bar.get_width() for bar in bars[0].patches] == [row["gain"] for row in rows]
    assert [bar.get_width() for bar in bars[1].patches] == [row["free"] for row in rows]
    names = [label.get_text() for label in bars[0].get_yticklabels()]
    assert names == [row["method"] for row in rows]
    assert [ax.get_title() for ax in maps[:4]] == ["noisy", "kernel", "CubeDenoiser", "truth"]
    # the same channel and the same scale in all maps of a row
    split = found.split["A"]
    shown = [np.asarray(ax.images[0].get_array()) for ax in maps[:4]]
    channel = int(np.argmin(np.abs(split.X_test - shown[0][..., None]).sum(axis=(0, 1))))
    expected = (split.X_test, *map(found.predictions["A"].get, METHODS), split.Y_test)
    for image, values in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(image, values[..., channel])
    assert len({ax.images[0].get_clim() for ax in maps[:4]}) == 1
    assert f"{split.velocity[channel]:.4g} km/s" == maps[0].get_ylabel()


def test_a_method_that_failed_and_a_single_method():
    broken = {"broken": PCADenoiser(n_components=0), "kernel": GaussianSmoother()}
    found = compare(broken, (cube("B").cube, cube("B").truth), task="denoising", progress=False)
    assert found.rows[0]["error"]
    bars, maps = bars_and_maps(found.plot())
    assert len(bars[0].patches) == 1
    assert [ax.get_title() for ax in maps] == ["noisy", "kernel", "truth"]
    assert maps[0].get_ylabel() == ""


def test_truth_that_was_observed_is_called_so():
    line = cube("A")
    data = line | {"flux_mask": line.truth > 0}
    found = compare(METHODS, data, task="denoising", progress=False)
    assert bars_and_maps(found.plot())[1][-1].get_title() == "before noise was added"
