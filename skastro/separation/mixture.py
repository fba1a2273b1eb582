"""A variational auto-encoder with a Gaussian-mixture prior, trained on ready features, and what it says."""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from skastro.base import NetEstimator, row_blocks
from skastro.separation.losses import EvidenceLoss, log_responsibilities
from skastro.separation.networks import MixturePrior

__all__ = ["MixtureNet"]

# weight of the divergence while the latent space is found, before there is a mixture
FIRST_KL_WEIGHT = 0.3
# epochs that this takes, in parts of those that follow
FIRST_PART = 1 / 3
# numbers of the network at work for each number of a row: draws of the latent vector
OVERHEAD = 512


class MixtureNet(NetEstimator):
    """The part of `ScatteringMixtureModel` that knows features and no maps.

    A child sets `recipe_`, the network's, and `sizes_`, what it is called with.

    Attributes
    ----------
    weights_, means_, covariances_ : ndarray
        Of the mixture.
    evidences_ : list of float
    """

    # a row far from all components must not undo what was learnt
    _max_norm = 5.0
    _kl_weight = 1.0

    def _fit_mixture(self, features, rng, anew):
        """Train on a tensor (n, n_features); of several trainings the one of the highest evidence stays."""
        rows = self._split_rows(len(features), int(rng.integers(2**31 - 1)))
        held_out = features[rows[0] if rows[1] is None else rows[1]]
        best, self.evidences_ = None, []
        for _ in range(self.n_init if anew else 1):
            seed = int(rng.integers(2**31 - 1))
            if anew:
                self._find_latent_space(features, rows, seed)
            if not (anew and self.net_.interrupted_):
                self._train(features, features, rows=rows, seed=seed, reset=False)
            self.evidences_.append(float(self._evidence(held_out).mean()))
            # a training that failed has no number
            found = np.nan_to_num(self.evidences_[-1], nan=-np.inf)
            if best is None or found > best[0]:
                best = found, self.net_, self.history_
            if self.net_.interrupted_:
                break
        _, self.net_, self.history_ = best
        self.n_iter_ = len(self.history_)
        self._sort_components()

    @property
    def weights_(self):
        return np.exp(self._prior.log_weights.cpu().numpy())

    @property
    def means_(self):
        return self._prior.means.cpu().numpy()

    @property
    def covariances_(self):
        whiteners = self._prior.whiteners.double()
        return torch.linalg.inv(whiteners.mT @ whiteners).to(self._torch_dtype).cpu().numpy()

    @property
    def _prior(self):
        with torch.no_grad():
            return MixturePrior(*(one.detach() for one in self.net_.module_.prior))

    def _sort_components(self):
        prior = self._prior
        order = prior.log_weights.argsort(descending=True, stable=True)
        self.net_.module_.set_prior(MixturePrior(*(one[order] for one in prior)))

    def _make_module(self):
        return self.recipe_(**self.sizes_)

    def _make_criterion(self):
        return EvidenceLoss(self._kl_weight)

    def _find_latent_space(self, features, rows, seed):
        """A new network, trained with a single Gaussian, and a mixture put on what it finds."""
        self._kl_weight = FIRST_KL_WEIGHT
        try:
            epochs = max(1, round(FIRST_PART * self.max_epochs))
            self._train(features, features, rows=rows, seed=seed, epochs=epochs)
        finally:
            del self._kl_weight
        mean, log_variance = self._encode(features[rows[0]])
        mean, spread = mean.double().cpu().numpy(), log_variance.double().exp().mean(0).cpu()
        mixture = GaussianMixture(self.n_components, n_init=3, random_state=seed)
        with warnings.catch_warnings():
            # it is only where the training starts
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(mean)
        covariances = mixture.covariances_ + np.diag(spread)
        prior = MixturePrior(
            np.log(mixture.weights_), mixture.means_, np.linalg.inv(np.linalg.cholesky(covariances))
        )
        device = self.net_.device
        prior = MixturePrior(
            *(torch.from_numpy(one).to(device, self._torch_dtype) for one in prior)
        )
        self.net_.module_.set_prior(prior)

    def _blocks(self, features):
        size = features[0].numel() * features.element_size() * OVERHEAD
        for rows in row_blocks(len(features), size):
            yield features[rows].to(self.net_.device)

    def _encode(self, features):
        with torch.inference_mode():
            found = [self.net_.module_.encode(block) for block in self._blocks(features)]
        return tuple(torch.cat(one) for one in zip(*found, strict=True))

    def _log_probabilities(self, features):
        prior = MixturePrior(*(one.double() for one in self._prior))
        mean, log_variance = (one.double() for one in self._encode(features))
        return log_responsibilities(mean, log_variance, prior).cpu().numpy()

    def _evidence(self, features):
        loss = EvidenceLoss()
        with torch.inference_mode():
            found = [
                loss(self.net_.module_(block), block).double() for block in self._blocks(features)
            ]
        return -torch.cat(found).cpu().numpy()
