"""An image beside its true mask, the probabilities and what is decided."""

import numpy as np

from skastro.displays.blending import NOT_SCORED, blend_labels, label_colors, shrink
from skastro.displays.labels import IGNORED, check_labels, predicted_maps
from skastro.displays.style import COLORS, require_matplotlib, stretch
from skastro.images import check_images
from skastro.probabilities import check_probabilities

__all__ = ["MaskDisplay"]

# pixels of a side that a panel can show
LARGEST = 250
# largest probability below which the scale of colours is logarithmic
FAINT = 0.05
OUTCOMES = {"right": COLORS[2], "false": COLORS[1], "missed": COLORS[0]}


class MaskDisplay:
    """An image, its true mask, the probabilities and the decision, side by side.

    Of one class: the probabilities have a scale of colours, and the decision is drawn as right, false and
    missed pixels. Of several: each class has its colour, as strong as it is probable; where classes overlap,
    colours multiply. Of exclusive classes the most frequent one is white. Pixels that are not scored are
    grey. Images of more than 250 pixels a side are drawn in blocks: of the image, their mean; of masks and
    probabilities, the largest value, so that no lone pixel is lost.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    image : ndarray of shape (h, w)
    proba : ndarray of shape (n_labels, h, w)
    decision : ndarray of bool of shape (n_labels, h, w)
    truth : ndarray of bool of shape (n_labels, h, w) or None
    hidden : ndarray of bool of shape (h, w)
        Not scored.
    labels : list of str
    white : int or None
        Class that is drawn white.
    name : str or None
        Of the method.

    Attributes
    ----------
    axes_ : dict of str to matplotlib.axes.Axes
        "image", "truth" where there is one, "probability", "decision".
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays import MaskDisplay
    >>> image = np.random.default_rng(0).normal(size=(16, 16))
    >>> proba = 1 / (1 + np.exp(-image))
    >>> display = MaskDisplay.from_predictions(image, proba, image > 1, threshold=0.7)
    >>> list(display.axes_)
    ['image', 'truth', 'probability', 'decision']
    """

    def __init__(
        self, *, image, proba, decision, truth=None, hidden=None, labels=("",), white=None, name=None
    ):  # fmt: skip
        self.image = image
        self.proba = proba
        self.decision = decision
        self.truth = truth
        self.hidden = np.zeros(np.shape(image), bool) if hidden is None else hidden
        self.labels = labels
        self.white = white
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, index=0, labels=None, ignore_index=IGNORED, name=None, figure=None
    ):  # fmt: skip
        """Draw what a fitted estimator makes of an image.

        Parameters
        ----------
        estimator : fitted estimator
            With `predict_proba` and `predict`.
        X : array-like of shape (n, h, w) or (n, n_channels, h, w), or list of images
        y : array-like, optional
            Masks of all images.
        index : int, default=0
            Which image.
        labels, ignore_index, figure
            As in `from_predictions`; names are the estimator's `labels_` by default.
        name : str, optional
            For the title; the class of the estimator by default.

        Returns
        -------
        display : MaskDisplay
        """
        n = len(X)
        if not -n <= index < n:
            raise ValueError(
                f"index={index!r}; expected a whole number below {n}, one of the images."
            )
        index %= n
        one = X[index : index + 1]
        proba, name, own = predicted_maps(estimator, one, name)
        return cls.from_predictions(
            one[0], proba[0], None if y is None else y[index], decision=estimator.predict(one)[0],
            labels=own if labels is None else labels, ignore_index=ignore_index, name=name, figure=figure,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, image, proba, truth=None, *, decision=None, threshold=0.5, labels=None,
        ignore_index=IGNORED, name=None, figure=None,
    ):  # fmt: skip
        """Draw an image, its truth, probabilities and decisions.

        Parameters
        ----------
        image : array-like of shape (h, w) or (n_channels, h, w)
            NaN where blank. Of several channels the first is drawn.
        proba : array-like of shape (h, w) or (n_labels, h, w)
        truth : array-like, optional
            Of the shape of `proba`, bool or 0 and 1; or of exclusive classes (h, w), the index of each.
        decision : array-like, optional
            In the form of the truth. None: by `threshold`, of exclusive classes the most probable one.
        threshold : float or array-like of shape (n_labels,), default=0.5
            Probability from which a class is decided for.
        labels : sequence of str, optional
            Names of all classes.
        ignore_index : int, default=255
            In `truth`: not scored; and NaN.
        name : str, optional
            Of the method, for the title.
        figure : matplotlib.figure.Figure, optional
            A new one by default.

        Returns
        -------
        display : MaskDisplay

        Raises
        ------
        ValueError
            Shapes that don't agree, probabilities outside 0 to 1, other labels than those of the classes.
        """
        image = np.asarray(getattr(image, "value", image)) if not np.ma.isMA(image) else image
        if np.ndim(image) not in (2, 3):
            raise ValueError(
                f"image has shape {np.shape(image)}; expected (h, w) or (n_channels, h, w)."
            )
        image = check_images(image[None], "image")[0][0, 0]
        proba = check_probabilities(proba)
        if proba.ndim not in (2, 3) or proba.shape[-2:] != image.shape:
            raise ValueError(
                f"proba has shape {proba.shape}; expected {image.shape} or (n_labels, *{image.shape})."
            )
        maps = proba.reshape(-1, *image.shape)
        n, exclusive = len(maps), False
        names = [""] * n if labels is None and n == 1 else [f"class {i}" for i in range(n)]
        names = names if labels is None else [str(one) for one in labels]
        if len(names) != n:
            raise ValueError(f"labels has {len(names)} entries; expected {n}.")
        hidden = np.zeros(image.shape, bool)
        if truth is not None:
            truth, hidden, exclusive = _read_mask(truth, proba, "truth", ignore_index)
        if decision is not None:
            decision, _, same = _read_mask(decision, proba, "decision", None)
            exclusive |= same
        elif exclusive:
            decision = maps.argmax(0) == np.arange(n)[:, None, None]
        else:
            threshold = np.asarray(threshold, dtype=float)
            if threshold.shape not in ((), (n,)):
                raise ValueError(
                    f"threshold has shape {threshold.shape}; expected a number or ({n},)."
                )
            decision = maps >= threshold.reshape(-1, 1, 1)
        white = None
        if exclusive:
            frequent = decision if truth is None else truth
            white = int(frequent.sum((1, 2)).argmax())
        display = cls(
            image=image, proba=maps, decision=decision, truth=truth, hidden=hidden, labels=names,
            white=white, name=name,
        )  # fmt: skip
        return display.plot(figure)

    def plot(self, figure=None):
        """Draw the panels.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            A new one by default.

        Returns
        -------
        self : MaskDisplay
        """
        pyplot = require_matplotlib()
        keys = ["image", "truth", "probability", "decision"]
        if self.truth is None:
            keys.remove("truth")
        if figure is None:
            h, w = self.image.shape
            height = float(np.clip(3.0 * h / w, 1.2, 6.0)) + 1.2
            figure = pyplot.figure(figsize=(3.0 * len(keys) + 0.6, height), layout="constrained")
        self.figure_ = figure
        axes = figure.subplots(1, len(keys), squeeze=False)[0]
        self.axes_ = dict(zip(keys, axes, strict=True))
        for key, ax in self.axes_.items():
            ax.set(xticks=[], yticks=[])
            ax.set_title(key, fontsize="medium")
        # of what is known: one blank pixel must not blank a block
        image = shrink(self.image, LARGEST, _known_mean)
        self._show("image", image, cmap="gray", norm=stretch(image))
        self.axes_["image"].set_facecolor(NOT_SCORED)
        several = len(self.proba) > 1
        (self._draw_classes if several else self._draw_one)()
        if self.name:
            figure.suptitle(self.name, fontsize="large")
        return self

    def _show(self, key, picture, **style):
        return self.axes_[key].imshow(
            picture, origin="lower", interpolation="nearest", extent=self._extent(), **style
        )

    def _extent(self):
        h, w = self.image.shape
        return -0.5, w - 0.5, -0.5, h - 0.5

    def _blend(self, maps, colors):
        hidden = shrink(self.hidden, LARGEST, np.all)
        return blend_labels(shrink(np.asarray(maps, float), LARGEST), colors, hidden)

    def _draw_classes(self):
        from matplotlib.patches import Patch

        shown = [i for i in range(len(self.labels)) if i != self.white]
        colors = label_colors(len(shown))
        maps = {"truth": self.truth, "probability": self.proba, "decision": self.decision}
        for key, one in maps.items():
            if one is not None:
                self._show(key, self._blend(one[shown], colors))
        handles = [
            Patch(facecolor=color, label=self.labels[i])
            for i, color in zip(shown, colors, strict=True)
        ]
        if self.white is not None:
            handles.append(Patch(facecolor="white", edgecolor="0.4", label=self.labels[self.white]))
        self._draw_legend(handles)

    def _draw_one(self):
        from matplotlib.colors import LogNorm, Normalize, to_rgb
        from matplotlib.patches import Patch

        ink = np.zeros((1, 3))
        if self.truth is not None:
            self._show("truth", self._blend(self.truth, ink))
        proba = shrink(self.proba[0], LARGEST)
        top = float(proba.max())
        norm = LogNorm(1e-4 * top, top) if 0 < top < FAINT else Normalize(0.0, 1.0)
        picture = self._show("probability", np.maximum(proba, norm.vmin), cmap="viridis", norm=norm)
        self.figure_.colorbar(
            picture, ax=self.axes_["probability"], pad=0.02, aspect=25, shrink=0.8
        )
        handles = []
        if self.truth is None:
            self._show("decision", self._blend(self.decision, ink))
        else:
            found, true = self.decision[0], self.truth[0]
            maps = found & true, found & ~true & ~self.hidden, ~found & true
            # a block shows the rarest of what is in it: an error before what is right
            colors = np.array([to_rgb(color) for color in OUTCOMES.values()])
            shrunk = shrink(np.stack(maps), LARGEST)
            shrunk[0] &= ~(shrunk[1] | shrunk[2])
            hidden = shrink(self.hidden, LARGEST, np.all)
            self._show("decision", blend_labels(shrunk.astype(float), colors, hidden))
            handles = [
                Patch(facecolor=color, label=f"{key}: {int(one.sum()):,}")
                for (key, color), one in zip(OUTCOMES.items(), maps, strict=True)
            ]
        self._draw_legend(handles)
        if self.labels[0]:
            self.axes_["probability"].set_title(f"probability: {self.labels[0]}", fontsize="medium")

    def _draw_legend(self, handles):
        from matplotlib.patches import Patch

        if self.hidden.any():
            handles.append(Patch(facecolor=NOT_SCORED, label="not scored"))
        if not handles:
            return
        self.figure_.legend(
            handles=handles, loc="outside lower center", ncols=min(len(handles), 8), frameon=False,
            fontsize="small",
        )  # fmt: skip


def _known_mean(values, axis=None):
    """Mean of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    n = known.sum(axis=axis)
    return np.where(n > 0, np.where(known, values, 0.0).sum(axis=axis) / np.maximum(n, 1), np.nan)


def _read_mask(mask, proba, name, ignore_index):
    """Planes of bool, what is not scored, and whether the classes are exclusive."""
    n = len(proba) if proba.ndim == 3 else 1
    mask, scored, exclusive = check_labels(
        mask, proba, name, 0 if proba.ndim == 3 else None, ignore_index
    )
    if exclusive:
        return (mask == np.arange(n)[:, None, None]) & scored, ~scored, True
    shape = n, *proba.shape[-2:]
    # of several classes: a pixel of which none is scored
    return ((mask == 1) & scored).reshape(shape), ~scored.reshape(shape).any(0), False
