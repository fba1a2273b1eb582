"""Small convolutional networks of maps: what is learnt from the pixels alone, to compare features with."""

import numpy as np
import torch
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d
from torch import nn

from skastro.scattering.cnn_base import MapCNN
from skastro.validation import check_targets

__all__ = ["CNNClassifier", "CNNRegressor"]


class CNNRegressor(RegressorMixin, MapCNN):
    """Numbers from maps, by a small convolutional network.

    Borders are periodic. What it learns does not depend on where in the map something is.

    Parameters
    ----------
    network : callable or None, default=None
        A recipe: called with `n_channels` and `n_outputs` it returns a module from
        (n, n_channels, h, w) to (n, n_outputs). None: convolutions of 3 x 3 pixels, batch normalisation,
        rectifiers, halved resolution, one for each of `widths`; the mean over the map; a linear layer.
    widths : sequence of int, default=(16, 32, 48, 64)
        Channels of each level.
    augmentation : {"flip", "dihedral"} or None, default="dihedral"
        Turn maps at random in training: 4 reflections, or also the transposition (square maps).
    average_turns : bool, default=True
        Predict the mean over the same turns: slower by their number.
    lr : float, default=3e-3
        Highest learning rate.
    max_epochs : int, default=200
    batch_size : int, default=64
    batch_growth : float, default=1.0
        Ratio of the last epoch's batch size to the first's.
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
        Of the learning rate.
    validation_fraction : float or None, default=0.2
        Part of the maps held out to choose the best epoch.
    patience : int or None, default=None
        Stop after so many epochs without a better loss. None: never.
    warm_start : bool, default=False
        Go on from the weights of the previous fit.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.
    callbacks : list of skorch callbacks or None, default=None
    verbose : int, default=0
        1 shows a progress bar with the loss.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    net_ : skastro.base.Net
        The trained net; ``net_.module_`` is the network.
    history_ : list of dict
        Epoch, losses, learning rate, batch size and duration of each epoch.
    n_iter_ : int
    n_turns_ : int
        Symmetries of the augmentation.
    center_, scale_ : ndarray of shape (n_channels,)
        Mean and standard deviation of the training maps.
    map_shape_ : tuple (h, w)
    n_channels_in_ : int
    unit_ : str or None
        Of the maps seen in `fit`.
    target_center_, target_scale_ : ndarray of shape (n_outputs,)
        Mean and standard deviation of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.datasets import make_fields
    >>> from skastro.scattering.baselines import CNNRegressor
    >>> index = np.random.default_rng(0).uniform(1, 4, 60)
    >>> maps = make_fields(60, n_pixels=16, index=index, random_state=0).maps
    >>> model = CNNRegressor(widths=(8, 16), random_state=0).fit(maps[:40], index[:40])
    >>> bool(model.score(maps[40:], index[40:]) > 0.7)
    True
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Train on maps and their numbers.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        y : array-like of shape (n,) or (n, n_outputs)

        Returns
        -------
        self : CNNRegressor

        Raises
        ------
        ValueError
            Maps that are not finite, real, and of at least 2 x 2 pixels, that don't vary, or
            fewer than two; targets of another length, or not finite.
        """
        anew = not (self.warm_start and hasattr(self, "net_"))
        maps = self._read(X, anew)
        values, info = check_targets(y, n_samples=len(maps))
        if np.isnan(values).any():
            row, column = np.argwhere(np.isnan(values))[0]
            raise ValueError(
                f"Input y contains NaN at row {row}, output {column}; expected finite numbers."
            )
        if anew:
            self.target_center_ = values.mean(axis=0)
            scale = values.std(axis=0)
            self.target_scale_ = np.where(scale > 0, scale, 1.0)
        elif values.shape[1] != self._n_outputs():
            raise ValueError(
                f"y has shape {np.shape(y)}; expected {self._n_outputs()} output(s), as in the first fit."
            )
        self.target_ndim_ = info.ndim
        target = ((values - self.target_center_) / self.target_scale_).astype(self.dtype)
        return self._fit(maps, torch.from_numpy(target), anew)

    def predict(self, X):
        """Predict the numbers of maps.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Of the size and channels seen in `fit`, and in a unit that converts to its.

        Returns
        -------
        y : ndarray of shape (n,) or (n, n_outputs), float64
            In the unit of `fit`.
        """
        found = self._outputs(X, lambda outputs: outputs)
        found = found * self.target_scale_ + self.target_center_
        return found[:, 0] if self.target_ndim_ == 1 else found

    def score(self, X, y, sample_weight=None):
        """Coefficient of determination, averaged over outputs.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        y : array-like of shape (n,) or (n, n_outputs)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        score : float
        """
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _n_outputs(self):
        return len(self.target_center_)

    def _make_criterion(self):
        return nn.MSELoss(reduction="none")


class CNNClassifier(ClassifierMixin, MapCNN):
    """Kinds of maps, by a small convolutional network.

    Borders are periodic. What it learns does not depend on where in the map something is.

    Parameters
    ----------
    network : callable or None, default=None
        A recipe: called with `n_channels` and `n_outputs` it returns a module from
        (n, n_channels, h, w) to (n, n_outputs). None: convolutions of 3 x 3 pixels, batch normalisation,
        rectifiers, halved resolution, one for each of `widths`; the mean over the map; a linear layer.
    widths : sequence of int, default=(16, 32, 48, 64)
        Channels of each level.
    augmentation : {"flip", "dihedral"} or None, default="dihedral"
        Turn maps at random in training: 4 reflections, or also the transposition (square maps).
    average_turns : bool, default=True
        Predict the mean over the same turns: slower by their number.
    lr : float, default=3e-3
        Highest learning rate.
    max_epochs : int, default=200
    batch_size : int, default=64
    batch_growth : float, default=1.0
        Ratio of the last epoch's batch size to the first's.
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
        Of the learning rate.
    validation_fraction : float or None, default=0.2
        Part of the maps held out to choose the best epoch.
    patience : int or None, default=None
        Stop after so many epochs without a better loss. None: never.
    warm_start : bool, default=False
        Go on from the weights of the previous fit.
    dtype : {"float32", "float64"}, default="float32"
    device : str, default="auto"
        "cpu", "cuda", "mps"...; "auto" takes the fastest there is.
    callbacks : list of skorch callbacks or None, default=None
    verbose : int, default=0
        1 shows a progress bar with the loss.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    net_ : skastro.base.Net
        The trained net; ``net_.module_`` is the network.
    history_ : list of dict
        Epoch, losses, learning rate, batch size and duration of each epoch.
    n_iter_ : int
    n_turns_ : int
        Symmetries of the augmentation.
    center_, scale_ : ndarray of shape (n_channels,)
        Mean and standard deviation of the training maps.
    map_shape_ : tuple (h, w)
    n_channels_in_ : int
    unit_ : str or None
        Of the maps seen in `fit`.
    classes_ : ndarray of shape (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.datasets import make_fields
    >>> from skastro.scattering.baselines import CNNClassifier
    >>> kinds = ["gaussian", "filaments"]
    >>> maps = np.concatenate([make_fields(30, kind, n_pixels=16, random_state=0).maps for kind in kinds])
    >>> label = np.repeat(kinds, 30)
    >>> model = CNNClassifier(widths=(8, 16), random_state=0).fit(maps[::2], label[::2])
    >>> bool(model.score(maps[1::2], label[1::2]) > 0.9)
    True
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Train on maps and their labels.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        y : array-like of shape (n,)
            Labels: numbers or strings, of at least two classes.

        Returns
        -------
        self : CNNClassifier

        Raises
        ------
        ValueError
            Maps that are not finite, real, and of at least 2 x 2 pixels, that don't vary, or
            fewer than two; labels of another length, of one class, or, with
            `warm_start`, of a class not seen before.
        """
        anew = not (self.warm_start and hasattr(self, "net_"))
        maps = self._read(X, anew)
        if y is None:
            raise ValueError("This estimator requires y to be passed, but the target y is None.")
        labels = column_or_1d(y, warn=True)
        if len(labels) != len(maps):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: y has {len(labels)} rows; "
                f"expected {len(maps)}, as X has."
            )
        check_classification_targets(labels)
        classes, numbers = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y has 1 class, {str(classes[0])!r}; expected at least 2 classes.")
        if anew:
            self.classes_ = classes
        elif not np.isin(classes, self.classes_).all():
            new = classes[~np.isin(classes, self.classes_)][0]
            raise ValueError(f"y has the class {str(new)!r}; expected those of the first fit.")
        else:
            numbers = np.searchsorted(self.classes_, labels)
        return self._fit(maps, torch.from_numpy(numbers.astype(np.int64)), anew)

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            Of the size and channels seen in `fit`, and in a unit that converts to its.

        Returns
        -------
        probability : ndarray of shape (n, n_classes), float64
        """
        return self._outputs(X, lambda outputs: outputs.softmax(dim=1))

    def predict(self, X):
        """The most probable class of each map.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            As in `predict_proba`.

        Returns
        -------
        label : ndarray of shape (n,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X, y, sample_weight=None):
        """Fraction of maps whose class is found.

        Parameters
        ----------
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        score : float
        """
        return super().score(X, y, sample_weight)

    def _n_outputs(self):
        return len(self.classes_)

    def _make_criterion(self):
        return nn.CrossEntropyLoss(reduction="none")
