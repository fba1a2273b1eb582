"""`ScatteringTransform` as scikit-learn sees it: shapes, names, pipelines, searches, bad input."""

import pickle
import re

import numpy as np
import pytest
import torch
from astropy import units as u
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skastro.datasets import make_fields
from skastro.io import load, save
from skastro.scattering import WST1D, WST3D, ScatteringTransform
from skastro.scattering.covariance import Covariance

FAMILIES = ["wst", "rwst", "covariance", "phase_harmonics", "power_spectrum", "pdf"]


@pytest.fixture(scope="module")
def maps():
    return np.random.default_rng(0).normal(size=(5, 24, 30)).astype(np.float32)


@pytest.fixture(scope="module")
def channels():
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(4, 2, 20, 20))
    maps[:, 1] += maps[:, 0]
    return maps


@pytest.mark.parametrize("family", [*FAMILIES, ["covariance", "power_spectrum", "pdf"]])
@pytest.mark.parametrize("normalization", ["own", "reference"])
def test_names_shapes_pickles_and_clones(maps, family, normalization):
    transform = ScatteringTransform(family, n_scales=3, normalization=normalization)
    found = transform.fit_transform(maps)
    names = transform.get_feature_names_out()
    assert found.shape == (5, len(names)) and len(set(names)) == len(names)
    assert found.dtype == np.float32 and np.isfinite(found).all()
    again = pickle.loads(pickle.dumps(transform))
    np.testing.assert_array_equal(again.transform(maps), found)
    np.testing.assert_array_equal(clone(transform).fit(maps).transform(maps), found)
    # single and double precision, one map and many
    double = clone(transform).set_params(dtype="float64").fit(maps).transform(maps)
    assert double.dtype == np.float64
    assert np.abs(double - found).max() < 1e-4 * np.abs(double).max()
    few = clone(transform).set_params(max_memory=1).fit(maps).transform(maps)
    np.testing.assert_allclose(few, found, rtol=1e-4, atol=1e-5)


def test_the_values_are_those_of_the_statistics(maps):
    transform = ScatteringTransform("covariance", n_scales=3, n_orientations=3).fit(maps)
    want = Covariance((24, 30), 3, 3)(torch.from_numpy(maps))
    np.testing.assert_allclose(transform.transform(maps), want, rtol=1e-5, atol=1e-6)
    assert list(transform.get_feature_names_out()) == Covariance((24, 30), 3, 3).names


def test_channels_and_their_pairs(channels):
    every = ScatteringTransform("covariance", n_scales=2).fit(channels)
    own = ScatteringTransform("covariance", n_scales=2, pairs="auto").fit(channels)
    listed = ScatteringTransform("covariance", n_scales=2, pairs=[(0, 1)]).fit(channels)
    names = every.get_feature_names_out()
    assert names[0] == "c0:mean/std" and names[-1].startswith("c0xc1:")
    n = len(own.get_feature_names_out())
    assert len(names) > n
    np.testing.assert_array_equal(every.transform(channels)[:, :n], own.transform(channels))
    np.testing.assert_array_equal(every.transform(channels), listed.transform(channels))
    single = ScatteringTransform("covariance", n_scales=2).fit(channels[:, 1])
    np.testing.assert_allclose(
        own.transform(channels)[:, n // 2 :], single.transform(channels[:, 1]), rtol=1e-6
    )


def test_pandas_out(maps):
    pytest.importorskip("pandas", reason="set_output('pandas') needs pandas")
    frame = (
        ScatteringTransform("wst", n_scales=2).set_output(transform="pandas").fit_transform(maps)
    )
    assert frame.shape == (5, 1 + 8 + 16) and frame.columns[0] == "S0"


def test_mirrored_maps_have_no_step_at_the_border():
    ramp = np.linspace(0, 1, 32)[None, :, None] + np.zeros((1, 32, 32))
    ramp = ramp + 1e-3 * np.random.default_rng(0).normal(size=ramp.shape)
    power = {}
    for boundary in ("periodic", "reflect"):
        transform = ScatteringTransform(
            "wst", n_scales=3, max_order=1, boundary=boundary, dtype="float64"
        )
        power[boundary] = transform.fit_transform(ramp)[0, 1:5].max()
    # what is left is what the wavelets see of the slope itself
    assert power["reflect"] < 0.4 * power["periodic"]


@pytest.mark.parametrize("boundary", ["periodic", "reflect"])
def test_local_averages(maps, boundary):
    transform = ScatteringTransform("wst", n_scales=2, output="local", boundary=boundary)
    found = transform.fit_transform(maps[:, :, :24])
    names = transform.get_feature_names_out()
    assert found.shape == (5, len(names)) and names[0] == "S0[y=0,x=0]"
    assert np.isfinite(found).all()
    with pytest.raises(ValueError, match="output='local' describes one map"):
        transform.synthesize()


@pytest.mark.parametrize("reduction", ["isotropic", "angular", "scale"])
@pytest.mark.parametrize("family", ["wst", "covariance", ["covariance", "pdf"]])
def test_reductions(maps, channels, reduction, family):
    for X in (maps, channels):
        full = ScatteringTransform(family, n_scales=2, dtype="float64").fit(X)
        less = clone(full).set_params(reduction=reduction).fit(X)
        found, names = less.transform(X), less.get_feature_names_out()
        assert found.shape == (len(X), len(names)) and len(set(names)) == len(names)
        assert (len(names) < len(full.get_feature_names_out())) or reduction != "isotropic"
    turned = less.transform(np.rot90(X, 2, axes=(-2, -1)))
    if reduction == "isotropic":
        # a turn by 90 degrees exchanges orientations
        quarter = less.transform(np.rot90(X, axes=(-2, -1)).copy())
        np.testing.assert_allclose(quarter, found, rtol=0, atol=2e-3 * np.abs(found).max())
        np.testing.assert_allclose(turned, found, rtol=0, atol=1e-6 * np.abs(found).max())


def test_no_reduction_of_local_averages(maps):
    with pytest.raises(ValueError, match="output='local'"):
        ScatteringTransform("wst", n_scales=2, output="local", reduction="isotropic").fit(
            maps[:, :, :28]
        )


def test_the_logarithm_and_the_mean(maps):
    plain = ScatteringTransform("wst", n_scales=2).fit_transform(maps)
    logs = ScatteringTransform("wst", n_scales=2, logarithm=True).fit_transform(maps)
    np.testing.assert_allclose(logs[:, 0], plain[:, 0])
    np.testing.assert_allclose(logs[:, 1:], np.log(plain[:, 1:]), rtol=1e-5)


def test_pipeline_and_search():
    slope = np.repeat([1.5, 2.0, 2.5, 3.0], 8)
    fields = make_fields(32, "gaussian", n_pixels=32, index=slope, random_state=0).maps
    order = np.random.default_rng(0).permutation(32)
    steps = make_pipeline(
        ScatteringTransform("wst", n_scales=3, logarithm=True), StandardScaler(), Ridge(1.0)
    )
    score = cross_val_score(steps, fields[order], slope[order], cv=4).mean()
    assert score > 0.8
    grid = {
        "scatteringtransform__family": ["wst", "power_spectrum"],
        "scatteringtransform__n_scales": [2, 3],
    }
    search = GridSearchCV(steps, grid, cv=2, error_score="raise").fit(fields[order], slope[order])
    assert search.best_score_ > 0.7


@pytest.mark.parametrize("family", ["wst", "covariance", "phase_harmonics", "power_spectrum"])
def test_part_of_the_sky(family):
    fields = make_fields(24, "lognormal", n_pixels=64, index=2.0, scatter=0.5, random_state=1).maps
    mask = np.ones((64, 64), dtype=bool)
    mask[:20, :30] = False
    mask[40:52, 40:55] = False
    hidden = fields.copy()
    hidden[:, ~mask] = np.nan
    transform = ScatteringTransform(family, n_scales=3, n_orientations=2)
    whole = transform.fit(fields).transform(fields)
    part = transform.fit(hidden, mask=mask).transform(hidden)
    assert np.isfinite(part).all()
    scatter = whole.std(axis=0)
    # the means of the fields do not scatter
    varies = (scatter > 0) & (transform.get_feature_names_out() != "S0")
    shift = (part.mean(axis=0) - whole.mean(axis=0))[varies] / scatter[varies]
    # of 24 maps, each seen in four fifths: within what one map scatters
    assert np.sqrt(np.mean(shift**2)) < 0.5 and np.abs(shift).max() < 3.0
    # what is hidden has no part in it
    hidden[:, ~mask] = 1e6
    np.testing.assert_array_equal(transform.transform(hidden), part)


# -- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[0], r"X has shape \(24, 30\)"),
        (lambda x: x[:, :1, :1], "1 x 1 pixels"),
        (lambda x: x.astype(complex), "Complex data"),
        (lambda x: np.where(x > 2, np.nan, x), "nan at"),
        (lambda x: np.where(x > 2, np.inf, x), "inf at"),
        (lambda x: x[:0], r"shape \(0, 24, 30\)"),
    ],
)
def test_maps_that_cannot_be_used(maps, change, message):
    with pytest.raises(ValueError, match=message):
        ScatteringTransform("wst", n_scales=2).fit(change(maps))


def test_other_maps_than_in_fit(maps):
    transform = ScatteringTransform("wst", n_scales=2).fit(maps * u.K)
    np.testing.assert_allclose(
        transform.transform(maps * 1e3 * u.mK), transform.transform(maps * u.K), rtol=1e-5
    )
    with pytest.raises(ValueError, match="'m'|unit"):
        transform.transform(maps * u.m)
    with pytest.raises(ValueError, match="expected 24 x 30"):
        transform.transform(maps[:, :20] * u.K)
    with pytest.raises(ValueError, match="2 channel"):
        transform.transform(np.stack([maps, maps], 1) * u.K)
    constant = maps.copy()
    constant[3] = 7.0
    with pytest.raises(ValueError, match="constant map, number 3"):
        transform.transform(constant * u.K)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_scales": 7}, "expected 1 to 4"),
        ({"family": ["wst", "wst"]}, "different ones"),
        ({"family": "fourier"}, "family"),
        ({"family": []}, "at least one"),
        ({"options": {"pdf": {}}}, "families of"),
        ({"pairs": [(0, 3)]}, "channels of 0 to 0"),
    ],
)
def test_parameters_that_cannot_be_used(maps, options, message):
    with pytest.raises(ValueError, match=message):
        ScatteringTransform(**{"family": "wst"} | options).fit(maps)


def test_masks_that_cannot_be_used(maps):
    mask = np.ones((24, 30), dtype=bool)
    for wrong, message in (
        (mask[:5], "expected"), (mask.astype(int), "expected bool"), (~mask, "no valid pixel"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            ScatteringTransform("wst", n_scales=2).fit(maps, mask=wrong)


@pytest.mark.parametrize("shape", [(17, 23), (16, 31), (64, 12)])
def test_sides_of_any_length(shape):
    maps = np.random.default_rng(0).normal(size=(2, *shape))
    found = ScatteringTransform(["wst", "covariance"], n_scales=2).fit_transform(maps)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "n_dims, shape, module, options",
    [
        (1, (200,), lambda: WST1D(200, 3, 2), {"quality": 2}),
        (3, (8, 10, 9), lambda: WST3D((8, 10, 9), 2), {}),
    ],
)
def test_lines_and_volumes(n_dims, shape, module, options):
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    n_scales = 3 if n_dims == 1 else 2
    transform = ScatteringTransform(
        "wst", n_dims=n_dims, n_scales=n_scales, options={"wst": options}
    )
    found = transform.fit(x).transform(x)
    expected = module()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert list(transform.get_feature_names_out()) == module().names
    # in blocks, after pickling, of two channels, in logarithms
    small = clone(transform).set_params(max_memory=1).fit(x)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(small)).transform(x), found, rtol=1e-5)
    two = clone(transform).fit_transform(np.stack([x, 2 * x], 1))
    np.testing.assert_allclose(two[:, : found.shape[1]], found, rtol=1e-5)
    log = clone(transform).set_params(logarithm=True).fit_transform(x)
    np.testing.assert_allclose(log[:, -5:], np.log(found[:, -5:]), rtol=1e-4)
    with pytest.raises(ValueError, match=f"n_dims={n_dims}; expected 2: only maps are made"):
        transform.synthesize()
    with pytest.raises(ValueError, match=r"X has shape \(4, 4, 4, 4, 4, 4\); expected"):
        transform.fit(np.ones((4,) * 6))
    with pytest.raises(ValueError, match="X has maps of .* pixels; expected"):
        transform.transform(x[..., :-1])
    with pytest.raises(ValueError, match="X has a constant map, number 1"):
        transform.transform(np.concatenate([x[:1], 0 * x[:1]]))


def test_local_averages_of_lines():
    x = np.random.default_rng(0).normal(size=(3, 128))
    transform = ScatteringTransform("wst", n_dims=1, n_scales=4, output="local").fit(x)
    found = transform.transform(x)
    expected = WST1D(128, 4, output="local")(torch.from_numpy(x).float()).flatten(1)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)
    assert transform.get_feature_names_out()[1] == "S0[t=1]"


@pytest.mark.parametrize(
    "parameters, error",
    [
        ({"family": "covariance"}, "family='covariance' with n_dims=3; expected 'wst'"),
        ({"family": "pdf"}, "family='pdf' with n_dims=3; expected 'wst'"),
        ({"boundary": "reflect"}, "boundary is given with n_dims=3; expected 'periodic'"),
        ({"reduction": "isotropic"}, "reduction is given with n_dims=3; expected None"),
        ({"output": "local"}, "output='local' with n_dims=3; expected 'global'"),
        ({"n_scales": 9}, "n_scales=9 for fields of shape (8, 8, 8); expected 1 to 3"),
    ],
)
def test_what_volumes_do_not_have(parameters, error):
    volumes = np.random.default_rng(0).normal(size=(2, 8, 8, 8))
    with pytest.raises(ValueError, match=re.escape(error)):
        ScatteringTransform(**({"family": "wst", "n_dims": 3} | parameters)).fit(volumes)
    with pytest.raises(ValueError, match="mask is given with n_dims=3; expected None"):
        ScatteringTransform("wst", n_dims=3).fit(volumes, mask=np.ones((8, 8), bool))


@pytest.mark.parametrize("normalization", ["own", "reference"])
def test_save_and_load(tmp_path, normalization):
    pytest.importorskip("skops")
    maps = make_fields(6, "lognormal", n_pixels=32, index=2.5, random_state=0).maps
    families = ["covariance", "power_spectrum", "topology"]
    transform = ScatteringTransform(families, n_scales=3, normalization=normalization).fit(maps)
    save(transform, tmp_path / "transform.skops")
    again = load(tmp_path / "transform.skops")
    np.testing.assert_array_equal(again.transform(maps), transform.transform(maps))
    np.testing.assert_array_equal(
        again.synthesize(1, random_state=0, max_iter=3),
        transform.synthesize(1, random_state=0, max_iter=3),
    )
