"""
A parameter from few maps
=========================

Intermittent maps with the same power spectrum differ in how far from Gaussian they are. Features that
need no training tell by how much, from a few dozen maps: a power spectrum cannot.
"""

# %%
# Maps whose spectrum says nothing
# --------------------------------
# The scatter of the logarithm of the local amplitude is what is looked for: how intermittent a map is.
# All maps have the same spectrum and variance, and are as often above zero as below.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skastro.datasets import make_fields
from skastro.scattering import ScatteringTransform
from skastro.scattering.baselines import HistogramMoments, PowerSpectrumFeatures

rng = np.random.default_rng(0)
scatter = rng.uniform(0.1, 1.0, 160)
maps = make_fields(160, "turbulence", n_pixels=64, index=2.5, scatter=scatter, random_state=1).maps
maps /= maps.std(axis=(1, 2), keepdims=True)
train, test = slice(0, 60), slice(60, 160)

# %%
# Search for the statistics
# -------------------------
# Family and number of scales are parameters of a pipeline as any others.

ridge = RidgeCV(np.logspace(-3, 4, 15))
pipeline = make_pipeline(ScatteringTransform(logarithm=True), StandardScaler(), ridge)
search = GridSearchCV(
    pipeline,
    {
        "scatteringtransform__family": ["wst", "covariance"],
        "scatteringtransform__n_scales": [3, 5],
        "scatteringtransform__reduction": ["isotropic"],
    },
    cv=KFold(4),
)
search.fit(maps[train], scatter[train])
print(search.best_params_)

# %%
# Beside the classical features
# -----------------------------

models = {
    "power spectrum": make_pipeline(PowerSpectrumFeatures(), StandardScaler(), ridge),
    "moments of pixels": make_pipeline(HistogramMoments(n_scales=3), StandardScaler(), ridge),
    "scattering": search,
}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.5), sharex=True, sharey=True, layout="constrained")
for axis, (name, model) in zip(axes, models.items(), strict=True):
    if model is not search:
        model.fit(maps[train], scatter[train])
    predicted = model.predict(maps[test])
    error = np.sqrt(np.mean((predicted - scatter[test]) ** 2))
    axis.plot([0, 1.2], [0, 1.2], color="0.7")
    axis.plot(scatter[test], predicted, ".")
    axis.set(
        title=f"{name}: error {error:.3f}", xlabel="true scatter", xlim=(0, 1.2), ylim=(0, 1.2)
    )
axes[0].set_ylabel("predicted")
plt.show()
