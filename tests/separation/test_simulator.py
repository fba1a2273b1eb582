import numpy as np
import pytest
import torch

from skastro.scattering import ScatteringTransform
from skastro.separation.simulator import Simulator

SIDE = 32


@pytest.fixture(scope="module")
def simulator():
    rng = np.random.default_rng(0)
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)) * SIDE
    k[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIDE, SIDE))) * k**-2.0)
    mixture = field / field.std() + 0.5 * rng.normal(size=field.shape)
    mixture = torch.tensor((mixture - mixture.mean())[None, None])
    samples = torch.tensor(0.5 * rng.normal(size=(20, 1, SIDE, SIDE)))
    recipe = ScatteringTransform(
        "wst", n_scales=3, reduction="isotropic", logarithm=True, dtype="float64", device="cpu"
    )
    return Simulator(recipe.fit(mixture.numpy()[0]), mixture, samples, 2**24)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_statistics_are_those_of_the_transform(simulator):
    maps = simulator.textures(5, generator())
    names = simulator._describe.recipe.get_feature_names_out().tolist()
    expected = simulator._describe.recipe.transform(maps[:, 0].numpy())
    columns = [names.index(name) for name in simulator.names]
    assert "S0" not in simulator.names and len(columns) == len(names) - 1
    np.testing.assert_allclose(simulator.statistics(maps), expected[:, columns], rtol=1e-8)


def test_textures_have_one_spectrum_and_many_histograms(simulator):
    maps = simulator.textures(40, generator())
    power = simulator.rings.power(maps)[:, 0]
    assert torch.allclose(power, power.mean(0).expand_as(power), rtol=1e-6)
    scaled = maps[:, 0].flatten(1) / maps[:, 0].flatten(1).std(1, keepdim=True)
    kurtosis = scaled.pow(4).mean(1)
    assert kurtosis.min() < 3.5 and kurtosis.max() > 5
    assert torch.equal(maps, simulator.textures(40, generator()))


def test_maps_get_the_statistics_that_they_shall_have(simulator):
    target = simulator.statistics(simulator.textures(6, generator(1)))
    scale = simulator.scale(target)
    start = simulator.textures(6, generator(2))
    found = simulator.statistics(simulator.search(target, scale, start, 30))
    before = (simulator.statistics(start) - target).square().mean()
    assert (found - target).square().mean() < 0.05 * before
    nearest = simulator.statistics(simulator.synthesize(target, scale, 30, generator(2)))
    assert (nearest - target).square().mean() < 0.05 * before


def test_blocks_change_nothing(simulator):
    target = simulator.statistics(simulator.textures(4, generator(1)))
    start, scale = simulator.textures(4, generator(2)), simulator.scale(target)
    together = simulator.search(target, scale, start, 5)
    memory, simulator.max_memory = simulator.max_memory, 1
    alone = simulator.search(target, scale, start, 5)
    simulator.max_memory = memory
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-8)


def test_pilots_explain_the_mixture(simulator):
    which = np.arange(12)
    pilots = simulator.pilots(which, 25, generator())
    mixed = simulator.statistics(pilots + simulator.samples[which])
    # within a tenth of what the contamination changes; without it they have less at small scales
    change = simulator.statistics(pilots) - mixed
    miss = mixed - simulator.observed
    assert miss.square().mean() < 0.01 * change.square().mean()
    smallest = simulator.names.index("S1[j1=0]")
    assert (simulator.statistics(pilots)[:, smallest] < simulator.observed[smallest] - 0.3).all()
