"""What a fitted emulator answers: predictions, error bars, derivatives, where to run the code next."""

import copy
import warnings

import numpy as np
import torch
from astropy.units import Quantity
from sklearn.utils.validation import check_is_fitted, validate_data

from skastro.base import draw_seed
from skastro.emulation.inference import Plan, PlanModule
from skastro.validation import select_outputs, split_unit

__all__ = ["Predictor"]


class Predictor:
    """The half of `ModelEmulator` that works after `fit`; its attributes are set there."""

    def predict(self, X, outputs=None, return_std=False):
        """Predict outputs in the user's units.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        outputs : list of str or int, optional
            Names or indices of the outputs wanted; only these are computed.
        return_std : bool, default=False
            Also one standard deviation, from the spread of the ensemble.

        Returns
        -------
        Y : ndarray of shape (n_samples, n_outputs), or (n_samples,) when fitted with a vector
            A DataFrame or Quantity when `y` was one in `fit`.
        std : the same kind, only with `return_std`
        """
        check_is_fitted(self, "net_")
        X, index = self._check_predict(X)
        chosen = select_outputs(outputs, self.n_outputs_, self.output_names_)
        plan = self._plan(chosen)
        x = self._tensor(self.scales_.inputs(X))
        outside = self._check_support(X)
        if not return_std:
            parts = (plan(x, self._output_dtype()).numpy(),)
        else:
            parts = self._with_std(plan, x, chosen)
        if outside is not None:
            for part in parts:
                part[outside] = np.nan
        parts = tuple(self._give_back(part, chosen, index) for part in parts)
        return parts if return_std else parts[0]

    def _with_std(self, plan, x, chosen):
        if self.design_.n_members == 1:
            raise ValueError(
                "return_std=True with one network; expected n_members of at least 2 in the constructor."
            )
        y, std = (part.numpy() for part in plan(x, self._output_dtype(), return_std=True))
        std *= (self.std_scale_ if chosen is None else self.std_scale_[chosen]).astype(std.dtype)
        # from transformed units to the user's, to first order
        kind = self.scales_.transform_.kind_
        if kind == "log10":
            std *= y
        elif kind == "asinh":
            softening = self.scales_.transform_.softening_
            std *= np.hypot(y, softening if chosen is None else softening[chosen])
        return y, std

    def _output_dtype(self):
        return torch.float32 if self.scales_.output_dtype_ == "float32" else torch.float64

    def _check_predict(self, X):
        X, _ = split_unit(X, "X", self.input_unit_)
        index = getattr(X, "index", None)
        return validate_data(self, X, reset=False, dtype=np.float64, order="C"), index

    def _check_support(self, X):
        """Handle rows outside the training inputs; returns those to blank, if any."""
        if self.on_extrapolation == "ignore":
            return None
        outside = self.support_.outside(X)
        if not outside.any():
            return None
        message = (
            f"{outside.sum()} of {len(X)} row(s) of X lie outside the {self.extrapolation} of the training "
            f"inputs, the first being row {int(np.argmax(outside))}"
        )
        if self.on_extrapolation == "raise":
            raise ValueError(message + "; expected none (on_extrapolation='raise').")
        if self.on_extrapolation == "nan":
            return outside
        warnings.warn(message + ": their predictions are guesses.", UserWarning, stacklevel=3)
        return None

    def _give_back(self, values, chosen, index):
        """The kind of array that the user gave as targets."""
        names, ndim, unit, is_frame = self.output_info_
        if is_frame:
            import pandas as pd

            columns = names if chosen is None else [names[i] for i in chosen]
            return pd.DataFrame(values, columns=columns, index=index)
        if ndim == 1:
            values = values[:, 0]
        if unit is not None:
            return Quantity(values, unit, copy=False)
        return values

    def _tensor(self, x):
        x = torch.from_numpy(x)
        if self._in_float64():
            x = x.double()
        return x.to(next(self.net_.module_.parameters()).device)

    def _in_float64(self):
        # kriging needs the digits; targets beyond float32 that are not logarithmic, the range
        log = self.scales_.transform_.kind_ == "log10"
        return self.kriging_ is not None or (self.scales_.wide_ and not log)

    def _plan(self, chosen):
        """The operations for some outputs, kept for the next call."""
        key = None if chosen is None else chosen.tobytes()
        plan = self._plans.get(key)
        if plan is not None:
            return plan
        module, device = self.net_.module_, next(self.net_.module_.parameters()).device
        dtype = self._torch_dtype
        if self._in_float64():
            module, dtype = copy.deepcopy(module).double(), torch.float64
        if self.kriging_ is not None:
            module = self.kriging_.network(module)

        def tensor(values):
            return torch.as_tensor(values, dtype=dtype, device=device)

        scales = self.scales_
        plan = Plan(
            module,
            tensor(scales.center_),
            tensor(scales.scale_),
            scales.transform_.kind_,
            tensor(scales.transform_.softening_),
            None if chosen is None else torch.from_numpy(chosen).to(device),
            self.design_.n_members,
            scales.wide_,
        )
        while len(self._plans) >= 4:
            self._plans.pop(next(iter(self._plans)))
        self._plans[key] = plan
        return plan

    def jacobian(self, X, outputs=None):
        """First derivatives of the outputs by the inputs, exact, in the user's units.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        outputs : list of str or int, optional
            Names or indices of the outputs wanted; only these are computed.

        Returns
        -------
        jacobian : ndarray of shape (n_samples, n_outputs, n_features)
        """
        plan, x = self._derivative(X, outputs)
        slopes = plan.jacobian(x)[1] / self._input_scale(x)[:, None, None]
        return slopes.permute(1, 2, 0).cpu().numpy()

    def hessian(self, X, outputs=None):
        """Second derivatives of the outputs by the inputs, exact, in the user's units.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        outputs : list of str or int, optional

        Returns
        -------
        hessian : ndarray of shape (n_samples, n_outputs, n_features, n_features)
        """
        plan, x = self._derivative(X, outputs)
        scale = self._input_scale(x)
        curves = plan.hessian(x) / (scale[:, None] * scale)[..., None, None]
        return curves.permute(2, 3, 0, 1).cpu().numpy()

    def _derivative(self, X, outputs):
        check_is_fitted(self, "net_")
        X, _ = self._check_predict(X)
        chosen = select_outputs(outputs, self.n_outputs_, self.output_names_)
        return self._plan(chosen), self._tensor(self.scales_.inputs(X))

    def _input_scale(self, x):
        return torch.as_tensor(self.scales_.input_scale_, dtype=x.dtype, device=x.device)

    def as_torch(self, outputs=None):
        """The fitted emulator as a differentiable torch module, for samplers and optimisers.

        Parameters
        ----------
        outputs : list of str or int, optional

        Returns
        -------
        module : nn.Module
            Maps inputs (n_samples, n_features) to outputs (n_samples, n_outputs), both in the user's
            units.
        """
        check_is_fitted(self, "net_")
        chosen = select_outputs(outputs, self.n_outputs_, self.output_names_)
        x = self._tensor(self.scales_.inputs(self.scales_.input_mean_[None]))
        mean = torch.as_tensor(self.scales_.input_mean_, dtype=x.dtype, device=x.device)
        return PlanModule(self._plan(chosen), mean, self._input_scale(x))

    def extrapolating(self, X, support=None):
        """Rows outside the training inputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        support : {"box", "hull"}, optional
            Bounding box or convex hull; `extrapolation` by default. "hull" needs a fit with it.

        Returns
        -------
        outside : ndarray of bool of shape (n_samples,)
        """
        check_is_fitted(self, "net_")
        support = support or self.extrapolation
        if support == "hull" and self.support_.kind != "hull":
            raise ValueError(
                "support='hull' but fitted with extrapolation='box'; expected 'hull' there."
            )
        return self.support_.outside(self._check_predict(X)[0], support)

    def suggest(self, n_models=1, n_candidates=4096):
        """Inputs at which the next runs of the code would teach most: where the ensemble disagrees.

        Parameters
        ----------
        n_models : int, default=1
        n_candidates : int, default=4096
            Random points of the box of the training inputs among which to choose.

        Returns
        -------
        X : ndarray of shape (n_models, n_features)
            The first is the most uncertain; each further one trades uncertainty for distance to those
            before it.
        """
        check_is_fitted(self, "net_")
        if self.design_.n_members == 1:
            raise ValueError("suggest with one network; expected n_members of at least 2.")
        rng = np.random.default_rng(draw_seed(self.random_state))
        X = rng.uniform(
            self.support_.low_, self.support_.high_, (n_candidates, self.n_features_in_)
        )
        x = self.scales_.inputs(X)
        doubt = np.sqrt(np.square(self._standardised(x)[1] * self.std_scale_).mean(axis=1))
        chosen, nearest = [], np.full(n_candidates, np.inf)
        for _ in range(min(n_models, n_candidates)):
            reach = 1.0 if not chosen else np.minimum(nearest, 1.0)
            chosen.append(int(np.argmax(doubt * reach)))
            nearest = np.minimum(nearest, np.linalg.norm(x - x[chosen[-1]], axis=1))
        return X[chosen]

    def _standardised(self, x):
        """Mean and spread of the members at scaled inputs, in units of the scaled targets."""
        plan = self._plan(None)
        with torch.inference_mode():
            z = plan.transformed(self._tensor(x))
            z = (z - plan.center) / plan.scale
            return z.mean(dim=0).cpu().numpy(), z.std(dim=0).cpu().numpy()

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("_plans", None)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        self._plans = {}
