"""The FFTs that a scattering statistic can't do without, on the grids it uses, and the time they take.

A count is a Counter of (kind, height, width) for one map: "complex", "real" (of a real field, to half of its
spectrum) or "half" (the way back). All that is no FFT is left out: products with filters, moduli, sums.
Grids are read from the statistics themselves, and counts hold for those: coarser ones would be another
approximation. A field that is needed on two grids counts twice, on equal grids once.
"""

import time
from collections import Counter

import torch

__all__ = [
    "backward",
    "covariance_ffts",
    "ffts",
    "peer_ffts",
    "phase_harmonics_ffts",
    "seconds",
    "wst_ffts",
]

PLANES = (1, 4, 16, 64)
LARGEST = 2**22  # pixels of a batch
LEAST = 1e-3  # seconds of a measurement


def wst_ffts(bank):
    """Of a `WST`: both layers forth, the first also back.

    Once a real FFT of the map; for each first wavelet an inverse FFT, and a real one of its modulus if a
    second wavelet follows; for each path of order 2 an inverse FFT. Averages take no FFT: local ones are
    products with small matrices.
    """
    count = Counter({("real", *bank.padded): 1})
    for j, first in enumerate(bank._first):
        layers = [second for (j1, _), second in bank._second.items() if j1 == j]
        for size in first.sizes:
            count["complex", *size] += 1
            count["real", *size] += bool(layers)
            for second in layers:
                count.update(("complex", *one) for one in second.sizes)
    return +count


def _modulus_ffts(sizes, n_orientations):
    """A wavelet field of each scale and orientation, and the spectrum of its modulus."""
    count = Counter()
    for size in sizes:
        count["complex", *size] += n_orientations
        count["real", *size] += n_orientations
    return count


def covariance_ffts(bank):
    """Of a `Covariance`: the map, and each wavelet field back and its modulus forth; the rest are sums."""
    count = _modulus_ffts(bank.bank.sizes, bank.n_orientations)
    count["real", *bank.shape] += 1
    return count


def phase_harmonics_ffts(bank):
    """Of `PhaseHarmonics` (periodic): the same, and the fields whose phases are multiplied.

    Those are, on each grid of the coupling, the finer fields that use it and all that are coarser; a field
    that the moduli have on the same grid counts once. Each low-pass takes one way back.
    """
    count = _modulus_ffts(bank.pool.bank.sizes, bank.n_orientations)
    count["real", *bank.shape] += 1
    count["half", *bank.shape] += bank.n_lows
    have = set(enumerate(map(tuple, bank.pool.bank.sizes)))
    for start, n_first, size in bank.pool.coupling.groups if bank.pool.coupling else ():
        finer = range(start, min(start + n_first, bank.n_scales - 1))
        for j in {*finer, *range(start + 1, bank.n_scales)}:
            if (j, tuple(size)) not in have:
                have.add((j, tuple(size)))
                count["complex", *size] += bank.n_orientations
    return +count


def ffts(bank):
    """The count of a statistic of ours, by its class."""
    counts = {
        "WST": wst_ffts,
        "Covariance": covariance_ffts,
        "PhaseHarmonics": phase_harmonics_ffts,
    }
    return counts[type(bank).__name__](bank)


def peer_ffts(bank):
    """The same statistic on the grids of its peer.

    kymatio: those of local coefficients of ours. scattering_transform, WST, cuts scale j to a square of
    2 max(8, min(n / 2^j, n / 2)), in its default. Its covariance has all fields on the grid of the map. So
    has pywph, where each field comes once and products are means over pixels: no modulus is transformed.
    """
    kind, J, L = type(bank).__name__, bank.n_scales, bank.n_orientations
    if kind == "WST" and bank.output == "local":
        return wst_ffts(bank)
    count = Counter({("real", *bank.shape): 1})
    if kind == "WST":
        sizes = [
            tuple(2 * max(8, min(-(-n // 2**j), n // 2)) for n in bank.shape) for j in range(J)
        ]
        for j, size in enumerate(sizes):
            after = [j2 for j1, j2 in bank.pairs if j1 == j]
            count["complex", *size] += L
            count["real", *size] += L * bool(after)
            for j2 in after:
                count["complex", *sizes[j2]] += L * L
    elif kind == "Covariance":
        count += _modulus_ffts([bank.shape] * J, L)
    else:
        count["complex", *bank.shape] += J * L
        count["half", *bank.shape] += bank.n_lows
    return +count


def backward(count):
    """The count of the gradient alone, fields of the forward pass being at hand.

    The adjoint of an FFT is an FFT of its size, of a real field the way back. What is computed again
    in the backward pass is not counted: keeping it would do without, at the price of memory.
    """
    turned = {"real": "half", "half": "real", "complex": "complex"}
    return Counter({(turned[kind], *size): n for (kind, *size), n in count.items()})


def _transforms(kind, n, size):
    """Ways to have torch do a batch: fresh memory, a buffer used again, in place."""
    real = torch.randn(n, *size)
    half = torch.fft.rfft2(real)
    if kind == "real":
        return [lambda: torch.fft.rfft2(real), lambda: torch.fft.rfft2(real, out=half)]
    if kind == "half":
        back = {"s": size, "norm": "forward"}
        return [
            lambda: torch.fft.irfft2(half, **back),
            lambda: torch.fft.irfft2(half, **back, out=real),
        ]
    z, other = torch.randn(2, n, *size, dtype=torch.complex64)
    return [
        lambda: torch.fft.fft2(z),
        lambda: torch.fft.fft2(z, out=other),
        lambda: torch.fft.fft2(other, norm="ortho", out=other),
    ]


def _best(kind, size, most):
    """Seconds of the processor for one transform, in the batch and the way that are fastest."""
    found = []
    for n in PLANES:
        if n > 1 and (n > most or n * size[0] * size[1] > LARGEST):
            continue
        for transform in _transforms(kind, n, size):
            transform()
            repeats, spent, start = 0, 0.0, time.process_time()
            # once at least: the clock of a busy machine can leap
            while not repeats or spent < LEAST:
                transform()
                repeats += 1
                spent = time.process_time() - start
            found.append(spent / (repeats * n))
    return min(found)


@torch.inference_mode()
def seconds(counts, n_maps):
    """Seconds of the processor that counts take for a number of maps, float32.

    Parameters
    ----------
    counts : sequence of Counter
    n_maps : int

    Returns
    -------
    seconds : list of float
        Each transform in the batch that is fastest, of those there are to do.
    """
    counts, most = list(counts), Counter()
    for count in counts:
        most |= count
    each = {
        (kind, *size): _best(kind, tuple(size), n * n_maps) for (kind, *size), n in most.items()
    }
    return [n_maps * sum(n * each[key] for key, n in count.items()) for count in counts]
