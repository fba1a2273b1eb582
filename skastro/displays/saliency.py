"""Where in its images an estimator sees what it predicts."""

import numpy as np

from skastro.displays.style import END, require_matplotlib, stretch
from skastro.displays.targets import resolve_target

__all__ = ["SaliencyDisplay"]

N_SHOWN = 4  # images


class SaliencyDisplay:
    """Images, and below each what its pixels contribute to a prediction.

    Red pixels raise the prediction, blue ones lower it; all images share one scale. Pixels beyond the
    99.5th percentile have the colour of the end. The number above a saliency is its sum over all pixels
    and channels: with integrated gradients [1]_, the prediction less that for the mean training image.

    Make it by `from_estimator` or `from_values`.

    Parameters
    ----------
    images : ndarray of shape (n, n_rows, h, w)
        Channels that are shown, or one sum of them.
    saliency : ndarray of shape (n, n_rows, h, w)
        Their contributions.
    totals : ndarray of shape (n,)
        Sum over all pixels and channels.
    row_names : list of str
        Of the channels, "" for their sum.
    titles : list of str
        Of the images.
    target_name : str, default="prediction"
    unit : str, optional
        Of the target.

    Attributes
    ----------
    axes_ : dict of str to ndarray of Axes of shape (n_rows, n)
        "images" and "saliency".
    colorbar_ : matplotlib.colorbar.Colorbar
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.displays import SaliencyDisplay
    >>> images = np.random.default_rng(0).poisson(5.0, (2, 8, 8))
    >>> display = SaliencyDisplay.from_values(images, images - 5.0, unit="kpc")
    >>> display.axes_["saliency"].shape
    (1, 2)
    """

    def __init__(
        self, *, images, saliency, totals, row_names, titles, target_name="prediction", unit=None
    ):
        self.images = images
        self.saliency = saliency
        self.totals = totals
        self.row_names = row_names
        self.titles = titles
        self.target_name = target_name
        self.unit = unit

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, target=0, channels=None, channel_names=None, unit=None,
        overlay=False, figure=None, **context,
    ):  # fmt: skip
        """Ask a fitted estimator for the saliency of images, and draw it.

        Parameters
        ----------
        estimator : fitted estimator
            With ``saliency(X, target=...)`` and `predict`.
        X : array-like of shape (n, h, w) or (n, n_channels, h, w)
            A few images.
        y : array-like of shape (n,) or (n, n_targets), optional
            Truth, for the titles.
        target : int or str, default=0
            Index, or name where the estimator has `target_names_`.
        channels, channel_names, unit, overlay, figure
            As in `from_values`.
        **context : dict
            For `saliency` and `predict`, such as `extra`.

        Returns
        -------
        display : SaliencyDisplay
        """
        if not hasattr(estimator, "saliency"):
            raise ValueError(
                f"{type(estimator).__name__} has no saliency; expected an estimator that has."
            )
        names = getattr(estimator, "target_names_", None) or []
        predicted = np.asarray(estimator.predict(X, **context))
        predicted = predicted.reshape(len(predicted), -1)
        target = resolve_target(target, names, predicted.shape[1])
        titles = [f"predicted {one:.4g}" for one in predicted[:, target]]
        if y is not None:
            y = np.asarray(y)
            if len(y) != len(predicted) or y.size != predicted.size:
                raise ValueError(f"y has shape {y.shape}; expected {predicted.shape}.")
            truth = y.reshape(predicted.shape)[:, target]
            titles = [f"true {v:.4g}\n{text}" for v, text in zip(truth, titles, strict=True)]
        return cls.from_values(
            X, estimator.saliency(X, target=target, **context), channels=channels,
            channel_names=channel_names, titles=titles, unit=unit, overlay=overlay, figure=figure,
            target_name=names[target] if names else "prediction",
        )  # fmt: skip

    @classmethod
    def from_values(
        cls, images, saliency, *, channels=None, channel_names=None, titles=None,
        target_name="prediction", unit=None, overlay=False, figure=None,
    ):  # fmt: skip
        """Draw images and their saliency.

        Parameters
        ----------
        images : array-like of shape (n, h, w) or (n, n_channels, h, w)
            The first four are drawn.
        saliency : array-like of the shape of `images`
            Contribution of each pixel to the prediction, in the unit of the target.
        channels : int, str or list of such, optional
            A row for each; by default one for the sum of all.
        channel_names : sequence of str, optional
            Of all channels.
        titles : sequence of str of length n, optional
        target_name : str, default="prediction"
        unit : str, optional
            Of the target.
        overlay : bool, default=False
            Draw the saliency over a grey image: the smaller it is, the more of the image is seen.
        figure : matplotlib.figure.Figure, optional
            A new one by default.

        Returns
        -------
        display : SaliencyDisplay

        Raises
        ------
        ValueError
            Shapes that don't agree, no image, a saliency that is not finite, a channel that isn't there,
            another number of titles or names.
        """
        values = np.asarray(getattr(images, "value", images), dtype=float)
        found = np.asarray(getattr(saliency, "value", saliency), dtype=float)
        if values.ndim not in (3, 4) or values.size == 0:
            raise ValueError(
                f"images has shape {values.shape}; expected (n, h, w) or (n, n_channels, h, w), n at least 1."
            )
        if found.shape != values.shape:
            raise ValueError(
                f"saliency has shape {found.shape}; expected {values.shape}, as images."
            )
        if not np.isfinite(found).all():
            raise ValueError("saliency has NaN or infinity; expected finite numbers.")
        n = len(values)
        titles = [""] * n if titles is None else [str(one) for one in titles]
        if len(titles) != n:
            raise ValueError(f"titles has {len(titles)} entries; expected {n}, one for each image.")
        values, found = (
            (one if one.ndim == 4 else one[:, None])[:N_SHOWN] for one in (values, found)
        )
        n_channels = values.shape[1]
        names = [] if channel_names is None else [str(one) for one in channel_names]
        if names and len(names) != n_channels:
            raise ValueError(f"channel_names has {len(names)} entries; expected {n_channels}.")
        totals = found.sum((1, 2, 3))
        if channels is None:
            row_names = [""]
            values, found = (one.sum(1, keepdims=True) for one in (values, found))
        else:
            chosen = [channels] if isinstance(channels, str | int | np.integer) else channels
            index = [resolve_target(one, names, n_channels, "channels") for one in chosen]
            if not index:
                raise ValueError("channels is empty; expected at least one.")
            row_names = [names[i] if names else f"channel {i}" for i in index]
            values, found = values[:, index], found[:, index]
        display = cls(
            images=values, saliency=found, totals=totals, row_names=row_names,
            titles=titles[:N_SHOWN], target_name=target_name, unit=unit,
        )  # fmt: skip
        return display.plot(figure, overlay=overlay)

    def plot(self, figure=None, *, overlay=False):
        """Draw the images above, their saliency below.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            A new one by default.
        overlay : bool, default=False

        Returns
        -------
        self : SaliencyDisplay
        """
        pyplot = require_matplotlib()
        n, n_rows, h, w = self.images.shape
        if figure is None:
            size = 2.4 * n + 1.2, 2 * n_rows * 2.4 * h / w + 0.5
            figure = pyplot.figure(figsize=size, layout="constrained")
        grid = figure.subplots(2 * n_rows, n, squeeze=False)
        self.figure_ = figure
        self.axes_ = {"images": grid[::2], "saliency": grid[1::2]}
        end = float(np.percentile(np.abs(self.saliency), END)) or float(np.abs(self.saliency).max())
        end = end or 1.0
        for row, name in enumerate(self.row_names):
            norm = stretch(self.images[:, row])
            for i in range(n):
                above, below = self.axes_["images"][row, i], self.axes_["saliency"][row, i]
                style = {"origin": "lower", "interpolation": "nearest"}
                above.imshow(self.images[i, row], cmap="gray", norm=norm, **style)
                values = self.saliency[i, row]
                alpha = None
                if overlay:
                    below.imshow(self.images[i, row], cmap="gray", norm=norm, **style)
                    alpha = np.clip(np.abs(values) / end, 0.0, 1.0)
                picture = below.imshow(
                    values, cmap="RdBu_r", vmin=-end, vmax=end, alpha=alpha, **style
                )
                for ax in (above, below):
                    ax.set(xticks=[], yticks=[])
            self.axes_["images"][row, 0].set_ylabel(name or "image")
            self.axes_["saliency"][row, 0].set_ylabel(f"{name} saliency".strip())
        what = "sum" if self.row_names == [""] else "sum over channels"
        for i in range(n):
            self.axes_["images"][0, i].set_title(self.titles[i], fontsize="small")
            total = f"{what} {self.totals[i]:+.3g}".replace("-", "−")
            self.axes_["saliency"][0, i].set_title(total, fontsize="small")
        mappable = picture
        if overlay:
            from matplotlib.cm import ScalarMappable

            # the colours without the image below
            mappable = ScalarMappable(picture.norm, picture.cmap)
        unit = f" [{self.unit}]" if self.unit else ""
        self.colorbar_ = figure.colorbar(
            mappable, ax=list(self.axes_["saliency"].ravel()), pad=0.01, extend="both",
            aspect=22 * (2 * n_rows - 1), label=f"contribution of a pixel to\n{self.target_name}{unit}",
        )  # fmt: skip
        return self
