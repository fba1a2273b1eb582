"""A separation by one method, ours or a public one on pywph's filters: runs, and times itself.

Answers the requests of `peers.Worker`, in the environment of the peers or in ours; only "ours" imports any of
it. What is done for the peers, beyond what was published: the statistics of the mixture are taken once, and
unless `products` is asked for, the cross moments come of one product of matrices and not of as many maps.

prepare   imports ours
build     the operator of pywph for maps of a shape, of the classes of moments that the public script has:
          S11, S00, S01, C01 without shifts, which are means of products
check     largest difference from `WPHOp.apply`, in parts of the normalisation of each moment
direct    min_u <|(Phi(u + c_i) - Phi(d)) / N|^2>_i, of Regaldo-Saint Blancard et al. (2021): all samples at
          each gradient. N, as in the public script, comes of the powers S11 of the mixture
eras      the bias by the contamination is averaged once an era, as in the scripts of Auclair et al. (2024);
          with a spectrum in rings, less that of the samples. First on powers alone
ours      `StatisticalSeparator` with its default parameters

The peers begin at the mixture. All answer with the signal and the seconds of the processor, those of children
included; the peers also with the loss at every evaluation.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

CLASSES = ["S11", "S00", "S01", "C01"]
# tolerances of the public script: the number of iterations decides
STOP = {"gtol": 1e-14, "ftol": 1e-14, "maxcor": 20}


def seconds():
    """Of the processor, by this process and its children."""
    return sum(os.times()[:4])


class Statistics:
    """The moments of one map, flat and complex; `power` alone are the first of them.

    `products`: maps of the products are made, as in the public script.
    """

    def __init__(self, shape, n_scales, n_orientations, products):
        from pywph import WPHOp

        self.operator = WPHOp(*shape, n_scales, L=n_orientations, dn=0, device="cpu")
        self.operator.load_model(CLASSES, dn=0)
        self.products = products
        # (j1, l1, p1, j2, l2, p2, ...)
        table = torch.as_tensor(self.operator.wph_moments_indices).long()
        self.first = table[:, 0] * n_orientations + table[:, 1]
        self.second = table[:, 3] * n_orientations + table[:, 4]
        harmonics = table[:, 2] + table[:, 5]
        self.n_power, self.n_modulus = ((harmonics == p).sum().item() for p in (2, 0))
        cross = slice(self.n_power + self.n_modulus, None)
        self.cross = self.first[cross], self.second[cross]

    def fields(self, x):
        return torch.fft.ifft2(torch.fft.fft2(x) * self.operator.psi_f)

    def power(self, x):
        return self.fields(x).abs().square().mean((-1, -2))

    def __call__(self, x):
        wavelets = self.fields(x)
        modulus = wavelets.abs()
        power = modulus.square().mean((-1, -2))
        variance = power - modulus.mean((-1, -2)).square()
        return torch.cat([power, variance, self.crossed(modulus, wavelets)])

    def crossed(self, modulus, wavelets):
        if self.products:
            one, other = (
                field.index_select(0, index)
                for field, index in zip((modulus, wavelets), self.cross, strict=True)
            )
            return (one * other).mean((-1, -2))
        modulus, wavelets = modulus.flatten(1), torch.view_as_real(wavelets.flatten(1))
        parts = [modulus @ wavelets[..., i].T / modulus.shape[1] for i in range(2)]
        return torch.complex(*parts)[self.cross]

    def norm(self, x):
        """Of each moment: the root of the powers of both factors."""
        power = self.power(x)
        return (power[self.first] * power[self.second]).sqrt()


def descend(start, objective, max_iter):
    """The map of least loss and the losses of all evaluations; `objective` leaves its gradient in u."""
    losses = []

    def evaluate(flat):
        u = torch.from_numpy(flat.astype(np.float32)).reshape(start.shape).requires_grad_()
        losses.append(objective(u))
        return losses[-1], u.grad.numpy().ravel().astype(np.float64)

    found = minimize(
        evaluate,
        start.numpy().ravel().astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, **STOP},
    )
    return torch.from_numpy(found.x.astype(np.float32)).reshape(start.shape), losses


def direct(statistics, mixture, samples, max_iter):
    with torch.no_grad():
        target, norm = statistics(mixture), statistics.norm(mixture)

    def objective(u):
        total = 0.0
        for c in samples:
            loss = ((statistics(u + c) - target) / norm).abs().square().mean() / len(samples)
            loss.backward()
            total += loss.item()
        return total

    return descend(mixture, objective, max_iter)


class Rings:
    """Mean power in rings of wave numbers, equally wide in logarithms from 1 to the corner."""

    def __init__(self, shape, n_rings):
        k = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) * n for n in shape), indexing="ij"))
        edges = np.geomspace(1.0, k.max() * 1.0001, n_rings + 1)
        ring = np.searchsorted(edges, k.ravel(), side="right")
        self.ring, self.n_rings = torch.from_numpy(ring), n_rings
        self.count = torch.bincount(self.ring, minlength=n_rings + 1)[1:].clamp(min=1)

    def __call__(self, x):
        power = torch.fft.fft2(x).abs().square().ravel() / x.numel()
        sums = torch.zeros(self.n_rings + 1).index_add(0, self.ring, power)
        return sums[1:] / self.count


def eras(statistics, mixture, samples, schedule, n_rings):
    """`schedule`: pairs (power alone?, iterations), one for each era."""
    u, losses = mixture, []
    rings = Rings(mixture.shape, n_rings)
    with torch.no_grad():
        spectrum = rings(mixture) - torch.stack([rings(c) for c in samples]).mean(0)
    for power_alone, max_iter in schedule:
        phi = statistics.power if power_alone else statistics
        with torch.no_grad():
            now = phi(u)
            shifts = torch.stack([phi(u + c) for c in samples]) - now
            target, spread = phi(mixture) - shifts.mean(0), shifts.std(0)
            of_spectrum = torch.stack([rings(u + c) for c in samples]).std(0)
            kept, kept_rings = spread > 0, of_spectrum > 0

        def objective(u, phi=phi, target=target, spread=spread, width=of_spectrum,
                      kept=kept, kept_rings=kept_rings):  # fmt: skip
            loss = ((phi(u) - target)[kept] / spread[kept]).abs().square().mean()
            misfit = (rings(u) - spectrum)[kept_rings] / width[kept_rings]
            loss = loss + misfit.square().mean()
            loss.backward()
            return loss.item()

        u, found = descend(u, objective, max_iter)
        losses.append(found)
    return u, losses


def check(statistics, x):
    # its second factor is conjugate
    theirs = statistics.operator.apply(x.clone(), norm=None)[: len(statistics.first)].conj()
    with torch.no_grad():
        return ((statistics(x) - theirs) / statistics.norm(x)).abs().max().item()


def ours(mixture, samples, random_state):
    from skastro.separation import StatisticalSeparator

    model = StatisticalSeparator(random_state=random_state, device="cpu").fit(samples.numpy())
    return torch.from_numpy(model.transform(mixture.numpy()[None])[0])


def main():
    channel, sys.stdout = sys.stdout, sys.stderr
    statistics = None
    for line in sys.stdin:
        request = json.loads(line)
        folder, do = Path(request.pop("folder")), request.pop("do")
        arrays = {}
        if do not in ("prepare", "build"):
            with np.load(folder / "in.npz") as file:
                arrays = {key: torch.from_numpy(file[key].astype(np.float32)) for key in file}
        start = seconds()
        if do == "prepare":
            import skastro.separation  # noqa: F401

            answer = {}
        elif do == "build":
            statistics = Statistics(**request)
            answer = {"n_moments": len(statistics.first)}
        elif do == "check":
            answer = {"difference": check(statistics, arrays["mixture"])}
        elif do == "ours":
            found = ours(**arrays, **request)
            answer = {"wrote": True}
        else:
            method = {"direct": direct, "eras": eras}[do]
            found, losses = method(statistics, **arrays, **request)
            answer = {"losses": losses, "wrote": True}
        answer["seconds"] = seconds() - start
        if answer.get("wrote"):
            np.savez(folder / "out.npz", signal=found.numpy())
        print(json.dumps(answer), file=channel, flush=True)


if __name__ == "__main__":
    main()
