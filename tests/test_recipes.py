from functools import partial

from sklearn.preprocessing import StandardScaler
from torch import nn

from skastro.recipes import copy_recipe


def test_an_estimator_is_cloned():
    recipe = StandardScaler(with_mean=False).fit([[0.0], [1.0]])
    own = copy_recipe(recipe)
    assert own is not recipe and own.get_params() == recipe.get_params()
    assert not hasattr(own, "scale_")


def test_what_a_callable_holds_is_its_own():
    options = {"bias": False}
    recipe = partial(nn.Linear, **options)
    own = copy_recipe(recipe)
    recipe.keywords["bias"] = True
    assert own(2, 3).bias is None and recipe(2, 3).bias is not None


def test_a_function_stays_what_it_is():
    def make(**sizes):
        return nn.Identity()

    assert copy_recipe(make) is make and copy_recipe(nn.Linear) is nn.Linear
