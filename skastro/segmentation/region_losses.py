"""Losses of maps of classes that compare whole images: overlap and number of pixels."""

import torch

from skastro.segmentation.pixel_losses import MapLoss, check_positive

__all__ = ["CountPenaltyLoss", "DiceLoss"]

FORMS = ("deviance", "squared")


class DiceLoss(MapLoss):
    r"""One minus the soft Dice coefficient of each image and label [1]_.

    .. math:: \ell = 1 - \frac{2 \sum_i p_i y_i + s}{\sum_i p_i + \sum_i y_i + s}

    the same at each pixel i of an image, so that the mean over pixels is the loss. Pixels that are negative
    and predicted so don't enter. Not proper: its optimum is close to a mask of 0 and 1, not the posterior
    probability.

    Parameters
    ----------
    smooth : float, default=1.0
        The s, pixels: what an image without positives is held to.
    exclusive : bool, default=False
        Classes exclude each other: the mean over classes, of the softmax.
    reduction : {"none"}
        The mean is taken by the estimator, which knows weights.

    References
    ----------
    .. [1] Milletari, Navab & Ahmadi, "V-Net: fully convolutional neural networks for volumetric medical image
       segmentation", 3DV (2016).

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import DiceLoss
    >>> target = torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
    >>> DiceLoss()(torch.zeros(1, 1, 1, 4), target)
    tensor([[[[0.4000, 0.4000, 0.4000, 0.4000]]]])
    """

    pixelwise = False

    def __init__(self, smooth=1.0, exclusive=False, reduction="none"):
        super().__init__(exclusive, reduction)
        self.smooth = check_positive(smooth, "smooth")

    def _loss(self, logits, target, scored):
        p, y, wrong = self._sums(logits, target, scored)
        return self._spread(wrong / (p + y + self.smooth), logits)


class CountPenaltyLoss(MapLoss):
    r"""Penalty of a wrong number of positive pixels, relative to it, of each image and label.

    With :math:`S = \sum_i p_i + s` and :math:`N = \sum_i y_i + s`, "deviance" is the one of Itakura and Saito
    and "squared" the square of the relative error,

    .. math:: \ell_\mathrm{deviance} = \frac NS - \ln \frac NS - 1, \qquad
        \ell_\mathrm{squared} = \left(\frac{S - N}{N}\right)^2

    the same at each pixel of an image. For small errors the first is half the second.

    What it makes of the probabilities: given an image, N is random. The expected deviance is smallest at
    :math:`S = \mathrm E[N]` alone, since it is a Bregman divergence [1]_, and the posterior probabilities
    have this sum, whether or not pixels depend on each other. So they are among its optima, with everything
    else of this sum (`consistent`, not `proper`), and the sum with a log loss has them as its only one. The
    expected square is smallest at :math:`S = \mathrm E[1/N] / \mathrm E[1/N^2] < \mathrm E[N]`: it makes
    probabilities too small, and added to the log loss it takes the meaning from them.
    This holds with weights of images, not of pixels by class: the sums are those of the pixels as they are.

    Parameters
    ----------
    form : {"deviance", "squared"}, default="deviance"
    smooth : float, default=1.0
        The s, pixels: what an image without positives is held to.
    exclusive : bool, default=False
        Classes exclude each other: the mean over classes, of the softmax.
    reduction : {"none"}
        The mean is taken by the estimator, which knows weights.

    References
    ----------
    .. [1] Banerjee, Guo & Wang, "On the optimality of conditional expectation as a Bregman predictor", IEEE
       Trans. Inf. Theory 51, 2664 (2005).

    Examples
    --------
    >>> import torch
    >>> from skastro.segmentation import CountPenaltyLoss
    >>> target = torch.tensor([[[[0.0, 0.0, 0.0, 1.0]]]])
    >>> CountPenaltyLoss("squared")(torch.zeros(1, 1, 1, 4), target)
    tensor([[[[0.2500, 0.2500, 0.2500, 0.2500]]]])
    """

    pixelwise = False

    def __init__(self, form="deviance", smooth=1.0, exclusive=False, reduction="none"):
        super().__init__(exclusive, reduction)
        if form not in FORMS:
            raise ValueError(f"form={form!r}; expected one of {', '.join(FORMS)}.")
        self.form, self.smooth = form, check_positive(smooth, "smooth")

    @property
    def consistent(self):
        """Whether the posterior probability is an optimum."""
        return self.form == "deviance"

    def _loss(self, logits, target, scored):
        p, y, _ = self._sums(logits, target, scored)
        if self.form == "squared":
            return self._spread(((p - y) / (y + self.smooth)).square(), logits)
        # logarithm of S / N: of what is above 1, where a sum over many pixels would round to 0
        more = torch.log1p((p - y).clamp_min(0.0) / (y + self.smooth))
        fewer = torch.log1p((y - p).clamp_min(0.0) / (p + self.smooth))
        log = torch.where(p > y, more, -fewer)
        return self._spread((y - p) / (p + self.smooth) + log, logits)
