import numpy as np
import pytest
import torch

from skastro.datasets import make_fields
from skastro.field_metrics import gaussian_minkowski, minkowski_functionals
from skastro.scattering.topology import EULER, Topology


@pytest.fixture(scope="module")
def maps():
    fields = make_fields(3, "lognormal", n_pixels=(40, 54), index=2.5, random_state=0).maps
    return fields.astype(float) * 3 + 7


def test_functionals_are_those_of_the_metrics_averaged_over_half_a_step(maps):
    topology = Topology(maps.shape[1:], n_thresholds=9)
    found = topology(torch.from_numpy(maps)).numpy().reshape(3, 3, 9)
    norm = topology.norm(torch.from_numpy(maps))
    z = (maps - maps.mean((1, 2), keepdims=True)) / maps.std((1, 2), keepdims=True)
    slope = sum(((np.roll(z, -1, axis) - z) ** 2).mean((1, 2)) for axis in (1, 2)) / 2
    np.testing.assert_allclose(norm["slope"], slope, rtol=1e-12)
    near = (np.arange(400) + 0.5) / 400 - 0.5
    levels = topology.thresholds + 0.5 * near[:, None]
    exact = minkowski_functionals(z, levels.ravel())
    mean = [one.reshape(3, 400, 9).mean(1) for one in exact]
    np.testing.assert_allclose(found[:, 0], mean[0], atol=1e-4)
    np.testing.assert_allclose(found[:, 1], 2 * mean[1] / np.sqrt(slope)[:, None], atol=2e-3)
    np.testing.assert_allclose(found[:, 2], EULER * mean[2] / slope[:, None], atol=2e-2)
    assert topology.names[9] == "perimeter[nu=-2.00]" and len(topology.names) == 27
    assert (topology.labels["threshold"][topology.labels["functional"] == 2] == np.arange(9)).all()


def test_gaussian_fields_have_the_functionals_of_theory():
    k = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)) * 128
    rng = np.random.default_rng(0)
    white = np.fft.rfft2(rng.normal(size=(40, 128, 128)))
    # smooth on the scale of pixels, and far smaller than the map
    fields = np.fft.irfft2(white * np.exp(-((k / 14) ** 2)))
    topology = Topology((128, 128), n_thresholds=9)
    found = topology(torch.from_numpy(fields)).mean(0).numpy().reshape(3, 9)
    expected = gaussian_minkowski(topology.thresholds)
    np.testing.assert_allclose(found[0], expected.area, atol=0.02)
    np.testing.assert_allclose(found[1], 2 * expected.perimeter, atol=0.04)
    np.testing.assert_allclose(found[2], EULER * expected.euler_characteristic, atol=0.06)


def test_gradient_float32_and_units(maps):
    topology = Topology((6, 7), n_thresholds=5)
    x = torch.randn(2, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(topology, x.requires_grad_())
    reference = topology.norm(x.detach()[:1])
    assert torch.autograd.gradcheck(lambda u: topology(u, None, reference), x)
    whole = Topology(maps.shape[1:])
    double = torch.from_numpy(maps)
    torch.testing.assert_close(whole(double.float()).double(), whole(double), atol=1e-3, rtol=0)
    torch.testing.assert_close(whole(5 * double - 3), whole(double), atol=1e-9, rtol=0)
    # what a map is compared with stays as it is
    norm = whole.norm(double)
    torch.testing.assert_close(whole(double, None, norm), whole(double))
    assert (whole(double + 1, None, norm) - whole(double)).abs().max() > 0.05


def test_constant_maps_and_wrong_arguments():
    topology = Topology((8, 8))
    x = torch.ones(1, 8, 8, requires_grad=True)
    topology(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    with pytest.raises(ValueError, match="n_thresholds=1; expected an integer of at least 2"):
        Topology((8, 8), n_thresholds=1)
    with pytest.raises(ValueError, match=r"range=0.0; expected a number above 0"):
        Topology((8, 8), range=0.0)
    with pytest.raises(ValueError, match="y was given; expected None"):
        topology(x, x)
    with pytest.raises(ValueError, match="reference has"):
        topology(x, None, {"mean": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"x has shape \(1, 8, 9\)"):
        topology(torch.ones(1, 8, 9))
