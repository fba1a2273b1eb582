import pickle

import numpy as np
import pytest
import torch
from astropy import units as u
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skastro import io
from skastro.cube_metrics import flux_ratio, residual_rms, snr_gain
from skastro.datasets import make_line_cube
from skastro.denoising import GaussianDecomposer
from skastro.denoising.baselines import MedianDenoiser

K = 40


def make_lines(shape=(12, 13), seed=0, noise=0.5):
    """Two components with a velocity gradient, one of them in a part of the map only."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    velocity = np.stack([11 + 4 * x, 27 - 3 * y])
    amplitude = np.stack([3 + y, 4 * np.clip(2 * x - 0.7, 0, None)])
    width = np.stack([1.5 + 0 * x, 2.5 + x])
    z = (np.arange(K) - velocity[..., None]) / width[..., None]
    truth = (amplitude[..., None] * np.exp(-0.5 * z**2)).sum(0)
    cube = truth + noise * np.random.default_rng(seed).normal(size=truth.shape)
    return cube.astype(np.float32), truth.astype(np.float32), velocity


@pytest.fixture(scope="module")
def lines():
    return make_lines()


@pytest.fixture(scope="module")
def fitted(lines):
    return GaussianDecomposer(n_components=3, max_iter=40).fit(lines[0], sigma=0.5)


def quick(**options):
    return GaussianDecomposer(**{"n_components": 2, "max_iter": 15, **options})


def test_components_are_found(lines, fitted):
    cube, truth, velocity = lines
    denoised = fitted.transform(cube)
    assert denoised.dtype == np.float32
    assert snr_gain(truth, cube, denoised, 0.5) > 8.0
    assert residual_rms(truth, denoised, 0.5, "free") < 0.05
    assert flux_ratio(truth, denoised) == pytest.approx(1.0, abs=0.02)
    maps = fitted.parameters_
    flux = maps["amplitude"] * maps["width"]
    for true in velocity:
        near = np.abs(maps["velocity"] - true) < 3.0
        found = (maps["velocity"] * flux * near).sum(0) / np.maximum((flux * near).sum(0), 1e-9)
        there = (flux * near).sum(0) > 3.0
        assert there.sum() > 40 and np.abs(found - true)[there].max() < 0.8


def test_fitted_attributes(fitted):
    maps, mean = fitted.parameters_, fitted.mean_parameters_
    assert list(maps) == list(mean) == ["amplitude", "velocity", "width"]
    assert all(one.shape == (3, 12, 13) and one.dtype == np.float32 for one in maps.values())
    assert all(one.shape == (3,) for one in mean.values())
    assert (maps["amplitude"] >= 0).all() and (maps["width"] >= 0.5).all()
    assert (maps["velocity"] >= 0).all() and (maps["velocity"] <= K - 1).all()
    assert [(row["n_y"], row["n_x"]) for row in fitted.history_] == [
        (2, 2),
        (3, 4),
        (6, 7),
        (12, 13),
    ]
    assert fitted.n_iter_ == fitted.history_[-1]["n_iter"] <= 40
    assert fitted.n_channels_in_ == fitted.n_features_in_ == K


def test_model_is_that_of_the_parameters(lines, fitted):
    maps = fitted.parameters_
    z = (np.arange(K) - maps["velocity"][..., None]) / maps["width"][..., None]
    model = (maps["amplitude"][..., None] * np.exp(-0.5 * z**2)).sum(0)
    assert np.allclose(model, fitted.transform(lines[0]), atol=1e-4)


def test_known_cube_is_not_fitted_again(lines, fitted, monkeypatch):
    cube = lines[0]
    expected = fitted.transform(cube)
    calls = []
    monkeypatch.setattr(fitted, "_fit", lambda *args: calls.append(args) or (fitted._maps,))
    assert np.array_equal(fitted.transform(cube.copy()), expected)
    assert not calls
    for other in (cube.astype(np.float64), np.where(np.arange(K) == 7, cube + 1e-3, cube)):
        fitted.transform(other.astype(other.dtype))
    fitted.transform(cube, sigma=0.4)
    fitted.transform(cube, signal_mask=cube > 2)
    assert len(calls) == 4


def test_new_cube_starts_from_the_components_of_fit(lines, fitted):
    cube, truth, _ = make_lines(seed=1)
    denoised = fitted.transform(3 * cube, sigma=1.5)
    assert snr_gain(3 * truth, 3 * cube, denoised, 1.5) > 7.0
    maps = fitted.decompose(3 * cube, sigma=1.5)
    assert maps["amplitude"].max() > 2 * fitted.parameters_["amplitude"].max()
    assert fitted.transform(cube[:5, :4]).shape == (5, 4, K)


def test_units(lines, fitted):
    cube = lines[0]
    velocity = np.linspace(30, -9, K) * u.km / u.s
    typed = GaussianDecomposer(3, velocity, max_iter=40).fit(cube * u.K, sigma=500 * u.mK)
    maps, bare = typed.parameters_, fitted.parameters_
    assert maps["amplitude"].unit == u.K and np.allclose(maps["amplitude"].value, bare["amplitude"])
    assert maps["velocity"].unit == maps["width"].unit == u.km / u.s
    assert np.allclose(maps["velocity"].value, 30 - bare["velocity"], atol=1e-3)
    assert np.allclose(maps["width"].value, bare["width"])
    assert typed.mean_parameters_["velocity"].unit == u.km / u.s
    denoised = typed.transform(cube * u.K)
    assert denoised.unit == u.K and np.allclose(denoised.value, fitted.transform(cube))
    other = typed.transform(1e3 * cube * u.mK, sigma=500 * u.mK)
    assert other.unit == u.mK
    assert np.sqrt(np.mean((other.to_value(u.K) - denoised.value) ** 2)) < 0.05


def test_blanks(lines, fitted):
    cube = lines[0].copy()
    cube[3:5, 2:9] = np.nan
    cube[0, 0, 5] = np.nan
    cube[:, :, 35] = np.nan
    decomposer = GaussianDecomposer(n_components=3, max_iter=40).fit(cube, sigma=0.5)
    denoised = decomposer.transform(cube)
    assert np.array_equal(np.isnan(denoised), np.isnan(cube))
    blank = np.isnan(cube).all(-1)
    for one in decomposer.parameters_.values():
        assert (np.isnan(one) == blank).all()
    there = ~np.isnan(denoised)
    difference = (denoised - fitted.transform(lines[0]))[there]
    assert np.sqrt(np.mean(difference**2)) < 0.2


def test_scale_of_the_cube_does_not_matter(lines, fitted):
    cube = lines[0].astype(np.float64) * 1e-20
    decomposer = clone(fitted).fit(cube, sigma=0.5e-20)
    expected = fitted.parameters_["amplitude"]
    assert np.allclose(1e20 * decomposer.parameters_["amplitude"], expected, atol=0.02)


def test_noise_and_mask_given_or_found(lines):
    cube, truth, _ = lines
    gains = []
    for sigma in (
        None,
        0.5,
        np.full(K, 0.5),
        np.full(cube.shape[:2], 0.5),
        np.full(cube.shape, 0.5),
    ):
        gains.append(snr_gain(truth, cube, quick().fit(cube, sigma=sigma).transform(cube), 0.5))
    assert min(gains) > 6.0 and np.ptp(gains[1:]) < 1e-3
    mask = np.zeros(cube.shape, dtype=bool)
    mask[:, :, :20] = True
    decomposer = quick().fit(cube, sigma=0.5, signal_mask=mask)
    assert np.abs(decomposer.transform(cube)[..., 26:]).max() < 0.3


def test_gate_takes_noise_out(lines):
    cube, truth, _ = lines
    free = [
        residual_rms(truth, quick(n_components=6, gate=gate).fit(cube, 0, 0.5).transform(cube), 0.5)
        for gate in (True, False)
    ]
    assert free[0] < 0.6 * free[1]


def test_weights_count(lines):
    cube, truth, _ = lines
    bad = cube + np.where(np.arange(K) > 33, 40.0, 0.0)
    sigma = np.where(np.arange(K) > 33, 1e4, 0.5)
    decomposer = quick().fit(bad.astype(np.float32), sigma=sigma)
    good = np.s_[..., :33]
    assert (
        snr_gain(truth[good], cube[good], decomposer.transform(bad.astype(np.float32))[good], 0.5)
        > 5
    )


def test_penalties_do_what_they_say(lines):
    cube = lines[0]

    def roughness(name, **options):
        maps = quick(gate=False, **options).fit(cube, sigma=0.5).parameters_
        return np.square(np.diff(maps[name], n=2, axis=1)).sum()

    for name, option in (
        ("amplitude", "smooth_amplitude"),
        ("velocity", "smooth_velocity"),
        ("width", "smooth_width"),
    ):
        assert roughness(name, **{option: 1e5}) < 0.2 * roughness(name, **{option: 1.0})
    spread = [
        quick(width_variance=w, gate=False).fit(cube, sigma=0.5).parameters_["width"].std((1, 2))
        for w in (0.0, 1e4)
    ]
    assert spread[1].max() < 0.1 * spread[0].max()
    table = quick(width_variance=1e6).fit(cube.reshape(-1, K), sigma=0.5)
    widths = table.parameters_["width"] - table.mean_parameters_["width"][:, None]
    assert np.abs(widths).max() < 0.01


def test_labels(fitted):
    labels = fitted.labels_
    assert labels.shape == (3,) and np.array_equal(labels, fitted.labels())
    mean = np.array([
        np.average(v, weights=a + 1e-9)
        for v, a in zip(fitted.parameters_["velocity"], fitted.parameters_["amplitude"], strict=True)
    ])  # fmt: skip
    there = labels >= 0
    assert labels[there & (mean < 19)].max() < labels[there & (mean > 19)].min()
    assert set(fitted.labels(n_groups=1)) <= {0, -1}


def test_tables_row_by_row(lines):
    cube = lines[0]
    table = cube.reshape(-1, K)
    decomposer = quick(max_iter=60).fit(table, sigma=0.5)
    whole = decomposer.transform(table)
    assert whole.shape == table.shape
    assert np.allclose(decomposer.transform(table[40:50]), whole[40:50], atol=2e-3)
    assert decomposer.parameters_["velocity"].shape == (2, len(table))
    assert residual_rms(lines[1].reshape(-1, K), whole, 0.5, "signal") < 0.8
    assert decomposer.n_iter_ == decomposer.history_[0]["n_iter"] > 1
    # and a cube from the components of a table, a table from those of a cube
    assert decomposer.transform(cube).shape == cube.shape
    assert quick().fit(cube).transform(table[:3]).shape == (3, K)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 1), (2, 3)])
def test_narrow_maps(shape):
    cube, truth, _ = make_lines(shape, noise=0.2)
    # the whole gradient of velocity lies between a few pixels
    decomposer = quick(smooth_amplitude=1.0, smooth_velocity=4.0, smooth_width=16.0)
    denoised = decomposer.fit(cube, sigma=0.2).transform(cube)
    assert denoised.shape == cube.shape and np.isfinite(denoised).all()
    assert residual_rms(truth, denoised, 0.2, "all") < 0.6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision(lines, dtype):
    cube = lines[0].astype(">f8")
    decomposer = quick(dtype=dtype).fit(cube, sigma=0.5)
    assert decomposer.parameters_["amplitude"].dtype == dtype
    assert decomposer.transform(cube).dtype == np.float64


def test_few_channels():
    cube = np.random.default_rng(0).normal(size=(6, 6, 3))
    for n in (1, 2, 3):
        denoised = quick().fit(cube[..., :n], sigma=1.0).transform(cube[..., :n])
        assert np.isfinite(denoised).all()


def test_pure_noise_gives_nothing():
    cube = np.random.default_rng(0).normal(size=(16, 16, 50)).astype(np.float32)
    decomposer = quick().fit(cube, sigma=1.0)
    assert np.abs(decomposer.transform(cube)).max() == 0.0
    assert (decomposer.labels_ == -1).all()


def test_silent_and_leaves_global_state(lines, capfd):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    cube = lines[0].copy()
    quick().fit(cube, sigma=0.5).transform(cube)
    assert np.array_equal(cube, lines[0])
    assert torch.equal(before, torch.random.get_rng_state())
    assert capfd.readouterr() == ("", "")
    quick(verbose=1).fit(cube, sigma=0.5)
    assert "12 x 13" in capfd.readouterr().err


def test_pickle_clone_save(lines, fitted, tmp_path):
    cube = lines[0]
    expected = fitted.transform(cube)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(cube), expected)
    io.save(fitted, tmp_path / "decomposer.skops")
    assert np.array_equal(io.load(tmp_path / "decomposer.skops").transform(cube), expected)
    again = clone(fitted).fit(cube, sigma=0.5)
    assert np.array_equal(again.transform(cube), expected)


def test_pipeline_and_search(lines):
    cube, truth, _ = lines
    pipeline = make_pipeline(MedianDenoiser(size=1), quick())
    assert pipeline.fit_transform(cube).shape == cube.shape
    search = GridSearchCV(quick(), {"smooth_amplitude": [1.0, 20.0]}, cv=KFold(2))
    search.fit(cube, truth)
    assert search.best_params_ == {"smooth_amplitude": 20.0}
    assert quick().fit(cube).score(cube, truth) > 5.0


def test_turbulent_cube_beats_the_published_figures():
    # a small one; the figures of whole cubes are in benchmarks/denoising_gaussians.py
    line = make_line_cube("A", n_pixels=24, n_channels=80, random_state=1)
    denoised = GaussianDecomposer(8, max_iter=40).fit(line.cube).transform(line.cube)
    assert snr_gain(line.truth, line.cube, denoised, line.sigma) > 3.0
    assert residual_rms(line.truth, denoised, line.sigma) < 0.1
    assert flux_ratio(line.truth, denoised) == pytest.approx(1.0, abs=0.05)


def failures(**options):
    results = check_estimator(quick(max_iter=20, **options), on_skip=None, on_fail=None)
    assert len(results) > 40
    return {row["check_name"] for row in results if row["status"] == "failed"}


def test_every_check_of_scikit_learn_passes_in_float64():
    assert failures(dtype="float64") == set()


def test_float32_fails_only_comparisons_at_1e_7():
    invariance = ("sample_order_invariance", "subset_invariance")
    assert failures(dtype="float32") <= {f"check_methods_{name}" for name in invariance}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"velocity": np.arange(3)}, r"velocity has shape \(3,\); expected \(40,\)"),
        ({"velocity": np.ones(K)}, "neither rises nor falls"),
        ({"n_components": 0}, "n_components"),
        ({"smooth_width": -1.0}, "smooth_width"),
        ({"dtype": "float16"}, "dtype"),
    ],
)
def test_wrong_parameters(lines, options, message):
    with pytest.raises(ValueError, match=message):
        quick(**options).fit(lines[0], sigma=0.5)


def test_wrong_data(lines, fitted):
    cube = lines[0]
    with pytest.raises(ValueError, match=r"sigma has shape \(3,\)"):
        quick().fit(cube, sigma=[1, 2, 3])
    with pytest.raises(ValueError, match="sigma is 0"):
        quick().fit(cube, sigma=0.0)
    with pytest.raises(ValueError, match=r"signal_mask has shape \(2,\)"):
        quick().fit(cube, signal_mask=[True, False])
    with pytest.raises(ValueError, match="39 channels"):
        fitted.transform(cube[..., 1:])
    with pytest.raises(ValueError, match="blank everywhere"):
        quick().fit(np.full((3, 3, K), np.nan))
    with pytest.raises(ValueError, match="constant"):
        quick().fit(np.ones((3, 3, K)))
