"""What the trainings of segmenters and of classifiers of images share."""

import torch

__all__ = ["choose_batch", "start_at"]

# Batches of an epoch, at least.
MIN_BATCHES = 16


def choose_batch(batch_size, n_rows, n_pixels, most):
    """Rows of a batch.

    Parameters
    ----------
    batch_size : int or "auto"
    n_rows : int
        To train on.
    n_pixels : int
        Of a row.
    most : int
        Pixels of a batch, for "auto": fewer where an epoch would have fewer than sixteen batches.

    Returns
    -------
    batch_size : int
    """
    if batch_size != "auto":
        return batch_size
    return max(1, min(most // n_pixels, n_rows // MIN_BATCHES))


def start_at(module, kind, bias):
    """Make a network begin at given outputs: the prior of training need not be learnt first.

    Parameters
    ----------
    module : Module
        Its last layer of the kind is the one of the outputs, if it has as many and a bias.
    kind : type
        Conv2d or Linear.
    bias : sequence of float
    """
    last = [one for one in module.modules() if isinstance(one, kind)][-1:]
    if last and last[0].bias is not None and len(last[0].bias) == len(bias):
        with torch.no_grad():
            last[0].bias.copy_(torch.as_tensor(bias))
