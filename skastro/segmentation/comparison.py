"""Segmenters side by side, on point sources of the Galactic Centre."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch

from skastro.datasets import make_galactic_center
from skastro.segmentation.baselines import default_baselines
from skastro.segmentation.estimator import SourceSegmenter
from skastro.segmentation.networks import UNet
from skastro.segmentation_metrics import pixel_scores
from skastro.tasks import Speed, Task

__all__ = ["TASK", "default_estimators", "load_default"]

N_IMAGES = 1024
FWHM = 1.34  # of the point spread function, in pixels
N_BRIGHTEST = 200
# images of 64 x 64 pixels are not halved more than three times
NETWORK = UNet(widths=(24, 32, 48, 64))
SETTINGS = {
    "scaling": "sqrt", "coordinates": True, "augment": "flips", "lr": 5e-3, "max_epochs": 12,
}  # fmt: skip


def load_default(n_images=N_IMAGES, random_state=0):
    """Images of the Galactic Centre and the flux of the point sources in each pixel.

    Parameters
    ----------
    n_images : int, default=1024
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `data`, photon counts (n_images, 64, 64); `target`, fluxes of that shape, 0 where no source is.

    Examples
    --------
    >>> from skastro.segmentation.comparison import load_default
    >>> bunch = load_default(n_images=5)
    >>> bunch.data.shape, bool(0.2 < (bunch.target > 0).mean() < 0.4)
    ((5, 64, 64), True)
    """
    sky = make_galactic_center(n_images, return_maps=True, random_state=random_state)
    return Bunch(data=sky.images, target=sky.flux_ps_gc + sky.flux_ps_disk)


def default_estimators(random_state=0, quick=False):
    """Every baseline, the mean mask that knows the position only among them, and `SourceSegmenter`.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=0
    quick : bool, default=False
        Few trees, epochs and pixels: to see that all runs, not to judge by.

    Returns
    -------
    estimators : dict of str to estimator

    Examples
    --------
    >>> from skastro.segmentation.comparison import default_estimators
    >>> list(default_estimators(quick=True))[0]
    'position only'
    """
    found = dict(default_baselines(fwhm=FWHM, quick=quick, random_state=random_state))
    model = SourceSegmenter(
        clone(NETWORK), labels=("source",), random_state=random_state, **SETTINGS
    )
    found["SourceSegmenter"] = model.set_params(max_epochs=1) if quick else model
    return found


def _fit(estimator, split):
    return estimator.fit(split.X_train, np.asarray(split.Y_train) > 0)


def _predict(estimator, X):
    return estimator.decision_function(X)


def _score(split, score):
    flux = np.asarray(split.Y_test)
    every = pixel_scores(flux > 0, score, fpr_levels=())
    bright = pixel_scores(
        flux > 0, score, selection="brightest", n_brightest=N_BRIGHTEST, flux=flux, fpr_levels=()
    )
    return {
        "auc": every.auc,
        "average_precision": every.average_precision,
        "auc_brightest": bright.auc,
        "precision_brightest": bright.precision,
    }


def _plot(comparison):
    # matplotlib is an extra
    from skastro.displays.segmentation import plot_comparison

    return plot_comparison(comparison)


TASK = Task(
    name="segmentation",
    load=load_default,
    estimators=default_estimators,
    summarise=None,
    columns={
        "auc": ("AUC", "{:.3f}".format),
        "average_precision": ("average precision", "{:.3f}".format),
        "auc_brightest": (f"AUC of {N_BRIGHTEST} brightest", "{:.3f}".format),
        "precision_brightest": (f"precision of {N_BRIGHTEST} brightest", "{:.3f}".format),
    },
    plot=_plot,
    fit=_fit,
    predict=_predict,
    score=_score,
    speed=Speed(
        "predict_s_per_mpx",
        "s / Mpx",
        "{:.3f}".format,
        lambda X: np.size(X) / 1e6,
        lambda X: X,
    ),
)
