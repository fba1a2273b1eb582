"""Recipes of networks, as users give them: callables, or estimators with parameters to search."""

import copy

from sklearn.base import BaseEstimator, clone

__all__ = ["copy_recipe"]


def copy_recipe(recipe):
    """A recipe of one's own: what a fit keeps doesn't change with the parameter that it came from.

    Parameters
    ----------
    recipe : callable or estimator

    Returns
    -------
    recipe : callable or estimator
        Not fitted, where it is an estimator.

    Examples
    --------
    >>> from skastro.recipes import copy_recipe
    >>> from skastro.separation import MixtureAutoencoder
    >>> recipe = MixtureAutoencoder()
    >>> own = copy_recipe(recipe)
    >>> own is recipe, own.get_params() == recipe.get_params()
    (False, True)
    """
    return clone(recipe) if isinstance(recipe, BaseEstimator) else copy.deepcopy(recipe)
