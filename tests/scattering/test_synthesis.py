import numpy as np
import pytest
import torch

from skastro.datasets import make_fields
from skastro.field_metrics import peak_correlation, power_spectrum
from skastro.scattering import ScatteringTransform
from skastro.scattering.synthesis import gaussian_like, resample, synthesize


@pytest.fixture(scope="module")
def target():
    return make_fields(1, "lognormal", n_pixels=64, index=2.5, scatter=0.7, random_state=0).maps


@pytest.fixture(scope="module")
def transform(target):
    return ScatteringTransform("covariance", n_scales=4, normalization="reference").fit(target)


def test_gaussian_fields_have_the_spectrum_asked_for():
    rng = torch.Generator().manual_seed(0)
    maps = torch.from_numpy(make_fields(40, n_pixels=48, index=2.0, random_state=0).maps) * 3 + 7
    fields = gaussian_like(maps, 40, rng)
    assert abs(float(fields.mean()) - float(maps.mean())) < 1e-3
    have, want = (power_spectrum(one.numpy(), n_bins=8)[1].mean(0) for one in (fields, maps))
    np.testing.assert_allclose(have, want, rtol=0.25)


@pytest.mark.parametrize(
    ("shape", "size"), [((32, 48), (16, 24)), ((33, 21), (16, 10)), ((16, 20), (40, 31))]
)
def test_resample_keeps_the_waves_that_both_grids_hold(shape, size):
    def wave(grid):
        y, x = (np.arange(n) / n for n in grid)
        return np.cos(2 * np.pi * (3 * y[:, None] - 2 * x) + 0.4) + 2.0

    found = resample(torch.from_numpy(wave(shape))[None], size)[0]
    np.testing.assert_allclose(found, wave(size), atol=1e-10)


def test_statistics_reach_their_target(transform, target):
    maps, history = transform.synthesize(2, random_state=0, max_iter=60, return_history=True)
    assert maps.shape == (2, 64, 64) and maps.dtype == np.float32
    assert history.shape[1] == 2 and (np.diff(history, axis=0) <= 0).all()
    fresh = gaussian_like(torch.from_numpy(target), 2, torch.Generator().manual_seed(1)).numpy()
    want = transform.transform(target)
    error = [np.mean((transform.transform(one) - want) ** 2, axis=1) for one in (maps, fresh)]
    assert error[0].max() < 0.01 * error[1].min()
    # another map of the kind, and not the same
    assert np.abs(peak_correlation(maps, target[0])).max() < 0.7
    assert np.abs(np.corrcoef(maps.reshape(2, -1))[0, 1]) < 0.5


def test_skewness_of_a_log_normal_comes_back(transform, target):
    def skewness(maps):
        z = (maps - maps.mean(axis=(1, 2), keepdims=True)) / maps.std(axis=(1, 2), keepdims=True)
        return (z**3).mean(axis=(1, 2))

    maps = transform.synthesize(2, random_state=3, max_iter=60)
    assert (np.abs(skewness(maps) / skewness(target) - 1) < 0.4).all()


def test_the_same_draws_the_same(transform):
    one, other, third = (transform.synthesize(1, random_state=s, max_iter=3) for s in (5, 5, 6))
    np.testing.assert_array_equal(one, other)
    assert np.abs(one - third).max() > 0.1


def test_a_vector_of_coefficients(transform, target):
    vector = transform.transform(target)[0]
    maps = transform.synthesize(1, vector, random_state=0, max_iter=60)
    error = np.mean((transform.transform(maps) - vector) ** 2)
    fresh = gaussian_like(torch.from_numpy(target), 1, torch.Generator().manual_seed(1)).numpy()
    assert error < 0.05 * np.mean((transform.transform(fresh) - vector) ** 2)


def test_known_pixels_stay(transform, target):
    known = np.full((64, 64), np.nan, dtype=np.float32)
    known[:, :40] = target[0, :, :40]
    maps = transform.synthesize(2, known=known, random_state=0, max_iter=10)
    np.testing.assert_allclose(
        maps[:, :, :40], np.broadcast_to(known[:, :40], (2, 64, 40)), atol=1e-4
    )
    assert np.abs(maps[0, :, 45:] - maps[1, :, 45:]).max() > 0.1


def test_several_channels_keep_their_correlation():
    maps = make_fields(2, n_pixels=32, index=2.0, random_state=0).maps
    both = np.stack([maps[:1], 0.8 * maps[:1] + 0.6 * maps[1:]], axis=1)
    transform = ScatteringTransform("covariance", n_scales=4, n_orientations=2).fit(both)
    new = transform.synthesize(1, random_state=0, max_iter=60)
    assert new.shape == (1, 2, 32, 32)
    have, want = (np.corrcoef(one.reshape(2, -1))[0, 1] for one in (new, both))
    assert abs(have - want) < 0.15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples=0"),
        ({"target": np.ones(3)}, "target has 3 coefficients"),
        ({"start": "noise"}, "start='noise'"),
        ({"start": np.ones((1, 64, 64)), "n_samples": 2}, "start has 1 maps"),
        ({"known": np.ones(4)}, "known has shape"),
        ({"target": np.ones((1, 3, 3))}, "expected 64 x 64"),
    ],
)
def test_what_cannot_be_made(transform, options, message):
    with pytest.raises(ValueError, match=message):
        transform.synthesize(**options)


def test_targets_of_another_length():
    start = torch.zeros(1, 4, 4)
    with pytest.raises(ValueError, match="target has 3 coefficients; expected 1"):
        synthesize(lambda x: x.mean((1, 2))[:, None], torch.zeros(3), start)


def test_mean_field_maps_are_as_diverse_as_those_of_the_process():
    maps = make_fields(120, "lognormal", n_pixels=32, index=2.0, random_state=0).maps
    transform = ScatteringTransform(n_scales=3, normalization="reference").fit(maps[:60])
    target, true = transform.transform(maps[:60]).mean(axis=0), transform.transform(maps[60:])
    scatter = true.std(axis=0)
    some = scatter > 1e-6
    diversity, offset = {}, {}
    for sampler in ("descent", "mean_field"):
        new = transform.transform(
            transform.synthesize(10, target, sampler=sampler, max_iter=60, random_state=0)
        )
        diversity[sampler] = np.median(new.std(axis=0, ddof=1)[some] / scatter[some])
        offset[sampler] = np.abs((new.mean(axis=0) - target)[some] / scatter[some]).mean()
    assert diversity["descent"] < 0.1 and 0.4 < diversity["mean_field"] < 1.5
    assert max(offset.values()) < 0.25


def test_mean_field_has_one_history_and_keeps_known_pixels(transform, target):
    known = np.full((64, 64), np.nan)
    known[:8] = target[0, :8]
    maps, history = transform.synthesize(
        2, sampler="mean_field", known=known, max_iter=5, random_state=0, return_history=True
    )
    assert history.shape[1] == 1 and history[-1] < history[0]
    np.testing.assert_allclose(maps[:, :8], np.stack([target[0, :8]] * 2), rtol=1e-4)
    again = transform.synthesize(2, sampler="mean_field", known=known, max_iter=5, random_state=0)
    np.testing.assert_array_equal(maps, again)


def test_wrong_samplers(transform):
    with pytest.raises(ValueError, match="sampler='langevin'; expected 'descent' or 'mean_field'"):
        transform.synthesize(2, sampler="langevin")
    with pytest.raises(
        ValueError, match="n_samples=1 with sampler='mean_field'; expected at least 2"
    ):
        transform.synthesize(1, sampler="mean_field")
    with pytest.raises(ValueError, match=r"target has shape \(2, 3\) with together=True"):
        synthesize(
            lambda x: x.mean((1, 2))[:, None],
            torch.zeros(2, 3),
            torch.zeros(2, 4, 4),
            together=True,
        )


def test_topology_of_the_target_comes_back(target):
    families = ["covariance", "topology"]
    transform = ScatteringTransform(families, n_scales=4, normalization="reference").fit(target)
    topology = np.array(
        [name[:5] in ("area[", "perim", "euler") for name in transform.feature_names_]
    )
    want = transform.transform(target)
    maps = transform.synthesize(2, random_state=0, max_iter=80)
    plain = ScatteringTransform(n_scales=4).fit(target).synthesize(2, random_state=0, max_iter=80)
    error = [np.abs(transform.transform(one) - want)[:, topology].mean() for one in (maps, plain)]
    assert error[0] < 0.5 * error[1]
