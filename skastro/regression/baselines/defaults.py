"""The classical regressors of a comparison, with sensible settings."""

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, HistGradientBoostingRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skastro.base import draw_seed
from skastro.regression.baselines.features import FeatureExtractor
from skastro.regression.baselines.forest import ForestDensityRegressor
from skastro.regression.baselines.neighbors import NeighborsDensityRegressor
from skastro.regression.baselines.pipeline import DistributionPipeline
from skastro.regression.baselines.residuals import ResidualRegressor
from skastro.regression.baselines.summaries import RegressionSummaries, ridge
from skastro.regression.baselines.template_fit import TemplateFitRegressor

__all__ = ["default_baselines"]


def default_baselines(kind="images", *, templates=None, features=None, quick=False, random_state=0):
    """Make the classical regressors that a network is compared with; all predict distributions.

    Parameters
    ----------
    kind : {"images", "table"}, default="images"
        What they are fitted to.
    templates : array-like of shape (n_templates, h, w), optional
        Of images: adds a fit of these, and what two of the others make of its amplitudes and the features.
    features : transformer, optional
        From images to a table. None: a `FeatureExtractor` of rings and strips.
    quick : bool, default=False
        Few trees and epochs: to see that all runs, not to judge by.
    random_state : int, RandomState or None, default=0

    Returns
    -------
    baselines : list of (str, estimator)

    Raises
    ------
    ValueError
        Another `kind`, or templates or features for a table.

    Examples
    --------
    >>> from skastro.regression.baselines import default_baselines
    >>> [name for name, _ in default_baselines("table")]
    ['ridge', 'k nearest', 'random forest', 'gradient boosting', 'MLP x3']
    """
    if kind not in ("images", "table"):
        raise ValueError(f"kind={kind!r}; expected 'images' or 'table'.")
    seed = draw_seed(random_state)
    images = kind == "images"
    if not images and not (templates is None and features is None):
        raise ValueError("templates or features were given for kind='table'; expected images.")
    # hundreds of features, and many of them alike: few for each split
    trees = {"max_features": 0.1, "n_estimators": 100} if images else {"n_estimators": 300}
    if quick:
        trees["n_estimators"] = 10
    boosting = HistGradientBoostingRegressor(
        loss="absolute_error",
        max_iter=30 if quick else 150,
        max_features=0.3 if images else 1.0,
        random_state=seed,
    )
    networks = MLPRegressor(
        hidden_layer_sizes=(128, 128),
        alpha=1.0 if images else 1e-3,
        early_stopping=True,
        n_iter_no_change=6,
        max_iter=30 if quick else 60,
        random_state=seed,
    )
    several = BaggingRegressor(networks, 3, bootstrap=False, random_state=seed)
    several = _scaled_targets(make_pipeline(StandardScaler(), several))
    cv = {"cv": 2 if quick else 5, "random_state": seed}
    nearest = NeighborsDensityRegressor(25)
    if images:
        nearest = DistributionPipeline(
            [
                ("summaries", RegressionSummaries()),
                ("regressor", nearest.set_params(n_neighbors=50)),
            ]
        )
    found = [
        ("ridge", ResidualRegressor(_scaled_targets(ridge()), **cv)),
        ("k nearest", nearest),
        ("random forest", ForestDensityRegressor(random_state=seed, **trees)),
        ("gradient boosting", ResidualRegressor(boosting, **cv)),
        ("MLP x3", ResidualRegressor(several, **{**cv, "cv": 2 if quick else 3})),
    ]
    if not images:
        return found
    features = FeatureExtractor() if features is None else features
    informed = found[:2]
    found = _behind(features, "features", found)
    if templates is not None:
        fit = TemplateFitRegressor(templates)
        both = FeatureUnion([("features", features), ("templates", fit)])
        found += _behind(both, "features and templates", informed)
        found.append(("template fit", ResidualRegressor(fit, **{**cv, "cv": 2})))
    return found


def _behind(transformer, what, estimators):
    """Estimators of tables, for what the transformer takes."""
    return [
        (
            f"{name} of {what}",
            DistributionPipeline(
                [("features", clone(transformer)), ("regressor", clone(estimator))]
            ),
        )
        for name, estimator in estimators
    ]


def _scaled_targets(regressor):
    """One penalty, or one loss, must suit all targets."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())
