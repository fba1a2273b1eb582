import math

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from skastro.denoising import gaussian_spectra
from skastro.denoising.gaussian_fit import Prior
from skastro.denoising.gaussian_model import sum_of_gaussians
from skastro.denoising.gaussian_spectra import fit_spectra, initial_components

K = 40
PRIOR = Prior((0.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.5), (math.inf, K - 1.0, K / 2))


def make(n_spectra=7, seed=0, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    true = np.stack([
        rng.uniform(8, 20, (2, n_spectra)),
        [[12.0], [26.0]] + rng.uniform(-2, 2, (2, n_spectra)),
        rng.uniform(1.5, 3, (2, n_spectra)),
    ])  # fmt: skip
    data = sum_of_gaussians(torch.from_numpy(true), K).numpy() + rng.normal(size=(n_spectra, K))
    start = np.repeat([[[10.0], [10.0]], [[11.0], [27.0]], [[2.0], [2.0]]], n_spectra, axis=2)
    data, start = (torch.from_numpy(one).to(dtype) for one in (data, start))
    return data, torch.ones_like(data), start


def test_fit_is_that_of_scipy():
    data, weight, start = make()
    weight = weight * torch.linspace(0.5, 2.0, K)
    weight[:, 12] = 0.0
    found, value, n_iter = fit_spectra(data, weight, start, PRIOR, tol=1e-12)
    assert 1 < n_iter <= 100
    for i in range(len(data)):

        def residual(x, i=i):
            model = sum_of_gaussians(torch.from_numpy(x).view(3, 2), K)
            return ((model - data[i]) * weight[i].sqrt()).numpy()

        expected = least_squares(residual, start[..., i].numpy().ravel(), xtol=1e-12, ftol=1e-12)
        assert float(value[i]) == pytest.approx(expected.cost, rel=1e-9)
        # without bounds a width may come out negative
        x = np.r_[expected.x[:4], np.abs(expected.x[4:])]
        assert np.allclose(found[..., i].numpy().ravel(), x, atol=1e-4)


def test_bounds_hold():
    data, weight, start = make()
    prior = PRIOR._replace(lower=(0.0, 0.0, 2.5), upper=(9.0, 25.0, 2.8))
    found, _, _ = fit_spectra(-data, weight, start, prior)
    assert (found[0] == 0).all()
    found, _, _ = fit_spectra(data, weight, start, prior)
    assert found[0].max() <= 9 and found[1].max() <= 25
    assert found[2].min() >= 2.5 and found[2].max() <= 2.8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_spectrum_depends_on_the_others(dtype, monkeypatch):
    data, weight, start = make(30, dtype=dtype)
    together, value, _ = fit_spectra(data, weight, start, PRIOR)
    alone = [fit_spectra(data[i : i + 1], weight[:1], start[..., :1], PRIOR)[0] for i in range(30)]
    tight = 1e-3 if dtype == torch.float32 else 1e-9
    assert torch.allclose(torch.cat(alone, dim=-1), together, atol=tight)
    monkeypatch.setattr(gaussian_spectra, "BLOCK_VALUES", 150)
    blocks, _, _ = fit_spectra(data, weight, start, PRIOR)
    assert torch.allclose(blocks, together, atol=tight)


def test_support_empties_components():
    data, weight, start = make()
    support = torch.ones(2, 7, dtype=torch.bool)
    support[0, 3] = False
    found, _, _ = fit_spectra(data, weight, start, PRIOR, support=support)
    assert found[0, 0, 3] == 0 and (found[0][support] > 0).all()


def test_width_is_pulled_to_that_of_the_start():
    data, weight, start = make()
    spread = [
        float((fit_spectra(data, weight, start, PRIOR._replace(width_variance=w))[0][2] - 2.0).abs().max())
        for w in (0.0, 100.0, 1e6)
    ]  # fmt: skip
    assert spread[0] > 0.3 and spread[1] < 0.7 * spread[0] and spread[2] < 0.01


def test_width_is_pulled_to_what_is_given():
    data, weight, start = make()
    prior = PRIOR._replace(width_variance=1e6)
    widths = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    found, _, _ = fit_spectra(data, weight, start, prior, widths=widths)
    assert torch.allclose(found[2], widths, atol=0.01)


def test_a_blank_spectrum_stays_where_it_started():
    data, weight, start = make()
    weight[2] = 0.0
    found, value, _ = fit_spectra(data, weight, start, PRIOR)
    assert torch.equal(found[..., 2], start[..., 2]) and value[2] == 0


def test_first_components_of_a_crowded_spectrum():
    true = torch.tensor([[9.0, 4.0, 6.0], [8.0, 13.0, 30.0], [1.2, 1.2, 5.0]], dtype=torch.float64)
    line = sum_of_gaussians(true, K)
    found = initial_components(line, torch.full((K,), 100.0), 3, PRIOR)
    order = found[1].argsort()
    assert torch.allclose(found[:, order], true, atol=1e-3)


def test_components_beyond_the_data_are_harmless():
    line = sum_of_gaussians(torch.tensor([[9.0], [8.0], [1.2]]), K)
    for data in (line, torch.zeros(K), -line):
        found = initial_components(data, torch.ones(K), 3, PRIOR)
        assert found.shape == (3, 3) and torch.isfinite(found).all() and (found[0] >= 0).all()
    narrow = PRIOR._replace(upper=(math.inf, 1.0, 0.5))
    assert initial_components(line[:2], torch.ones(2), 1, narrow).shape == (3, 1)
