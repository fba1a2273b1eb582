import numpy as np
import torch
from sklearn.base import clone

from skastro.separation import MixtureAutoencoder
from skastro.separation.networks import N_DRAWS, MixturePrior

SIZES = {"n_features": 6, "n_latent": 3, "n_components": 2}


def network(hidden=(8,)):
    return MixtureAutoencoder(hidden)(**SIZES).double()


def test_it_starts_as_principal_component_analysis():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(7, 6)))
    module = network().eval()
    mean, log_variance = module.encode(x)
    torch.testing.assert_close(mean, x[:, :3])
    torch.testing.assert_close(log_variance, torch.full((7, 3), np.log(0.1)).double())
    found = module(x)
    # draws come in pairs about the mean
    torch.testing.assert_close(found.decoded.mean(1)[:, :3], x[:, :3])
    assert found.decoded.shape == found.log_noise.shape == (7, N_DRAWS, 6)
    assert not found.decoded[..., 3:].any()


def test_draws_are_new_in_training_and_the_same_afterwards():
    x = torch.ones(4, 6).double()
    module = network()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(module(x).decoded, module(x).decoded)
    before = torch.get_rng_state()
    module.eval()
    assert torch.equal(module(x).decoded, module(x).decoded)
    assert torch.equal(module(x).decoded[:2], module(x[:2]).decoded)
    assert torch.equal(before, torch.get_rng_state())


def test_a_prior_is_put_in_and_taken_out():
    rng = np.random.default_rng(0)
    whiteners = np.tril(rng.normal(size=(2, 3, 3)), -1) + np.eye(3) * rng.uniform(0.5, 2, (2, 1, 3))
    given = MixturePrior(
        *map(torch.from_numpy, (np.log([0.2, 0.8]), rng.normal(size=(2, 3)), whiteners))
    )
    module = network()
    module.set_prior(given)
    for have, want in zip(module.prior, given, strict=True):
        torch.testing.assert_close(have, want)
    # the zeros of a new network are a standard normal, twice
    fresh = network().prior
    torch.testing.assert_close(fresh.whiteners, torch.eye(3).double().expand(2, 3, 3))
    torch.testing.assert_close(fresh.log_weights.exp(), torch.full((2,), 0.5).double())


def test_every_weight_learns():
    module = network((8, 5))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        found = module(torch.randn(20, 6).double())
    sum(one.square().sum() for one in (*found[:4], *found.prior)).backward()
    still = [name for name, one in module.named_parameters() if not one.grad.any()]
    assert still == []


def test_recipe_is_clonable():
    recipe = clone(MixtureAutoencoder()).set_params(hidden=(4, 4))
    assert sum(isinstance(one, torch.nn.SiLU) for one in recipe(**SIZES).encoder.bent) == 2
