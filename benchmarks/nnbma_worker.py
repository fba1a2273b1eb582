"""nnbma at work, in its own environment: trains, predicts and is timed as `peers.Worker` asks.

The network is the published one: degree-3 polynomials, 10 dense layers growing by half, ELU, and a
masked loss. Two schedules train it:

"notebook"  as the package's own notebooks do: Adam 1e-3, batches of 500, the learning rate times 0.9
            on plateaus, log10 outputs as they are, polynomials not standardised;
"best"      the best found: Adam 2e-3 with a warm-up and a cosine, batches of 250 (64 on grids of up
            to 3,000 models), polynomials and outputs standardised.

nnbma demands validation rows, which decide nothing. It gets 32 of its training rows as such: so it
trains on every row, and spends no time on them.
"""

import copy
import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from nnbma import (
    CauchyLoss,
    DenselyConnected,
    LearningParameters,
    MaskDataset,
    MaskedMSELoss,
    PolynomialExpansion,
    PolynomialNetwork,
    RegressionDataset,
    learning_procedure,
)
from nnbma.operators import pow10
from torch import nn
from torch.func import jacfwd, vmap
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

N_LAYERS, GROWTH, DEGREE = 10, 0.5, 3
VALIDATION_ROWS = 32
WARM_UP = 0.05
ENOUGH = 0.95  # of the time that it was given
SMALL_GRID = 3000


class Peer:
    """One network, and the arrays it learns from."""

    def load(self, schedule, seed, X, log_Y):
        """Scale inputs and outputs; masked entries of `log_Y` are NaN."""
        self.schedule, self.seed = schedule, seed
        self.mean, self.std = X.mean(0), X.std(0)
        self.x = self.scaled(X)
        known = np.isfinite(log_Y)
        # a choice of unit: no network should have to learn a common offset of -50
        self.shift = np.float64(log_Y[known].mean())
        y = np.where(known, log_Y - self.shift, 0.0)
        count = known.sum(0)
        self.center, self.scale = np.zeros(y.shape[1]), np.ones(y.shape[1])
        if schedule == "best":
            self.center = y.sum(0) / count
            self.scale = np.sqrt((known * (y - self.center) ** 2).sum(0) / count)
            self.scale[self.scale == 0] = 1.0
        y = np.where(known, (y - self.center) / self.scale, 0.0).astype(np.float32)
        self.names = [f"output {i}" for i in range(y.shape[1])]
        valid = slice(0, VALIDATION_ROWS)
        self.data = tuple(RegressionDataset(self.x[rows], y[rows]) for rows in (slice(None), valid))
        self.mask = tuple(MaskDataset(known[rows]) for rows in (slice(None), valid))

    def scaled(self, X):
        return ((X - self.mean) / self.std).astype(np.float32)

    def build(self):
        torch.manual_seed(self.seed)
        n_terms = PolynomialExpansion.expanded_features(DEGREE, self.x.shape[1])
        names = {"outputs_names": self.names}
        sub = DenselyConnected(n_terms, len(self.names), N_LAYERS, GROWTH, nn.ELU(), **names)
        net = PolynomialNetwork(
            self.x.shape[1], DEGREE, sub, inputs_transformer=self.scaled,
            outputs_transformer=pow10, **names,
        )  # fmt: skip
        if self.schedule == "best":
            net.update_standardization(self.x)
        return net

    def run(self, epochs, loss):
        """Train a new network; returns it and the seconds that took."""
        net = self.build()
        weights = [weight for weight in net.parameters() if weight.requires_grad]
        if self.schedule == "notebook":
            batch = 500
            optimizer = Adam(weights, lr=1e-3)
            scheduler = ReduceLROnPlateau(optimizer, patience=5, factor=0.9, min_lr=1e-6)
        else:
            batch = 64 if len(self.x) <= SMALL_GRID else 250
            optimizer = Adam(weights, lr=2e-3)
            scheduler = LambdaLR(optimizer, lambda epoch: _one_cycle((epoch + 0.5) / epochs))
        # with drop_last, a batch larger than the data would be no step at all
        batch = min(batch, len(self.x))
        losses = {"mse": MaskedMSELoss, "cauchy": CauchyLoss}
        parameters = LearningParameters(losses[loss](), epochs, batch, optimizer, scheduler)
        start = time.perf_counter()
        learning_procedure(net, self.data, parameters, mask_dataset=self.mask, verbose_level=0)
        return net, time.perf_counter() - start

    def train(self, seconds, loss="mse"):
        """Train for as many epochs as fill the time; the trial that counts them is free."""
        self.run(1, loss)
        trial, took = 1, 0.0
        while took < 2.0 and trial <= 256:
            trial *= 2
            took = self.run(trial, loss)[1]
        epochs = max(1, round(seconds * trial / took))
        for _ in range(3):
            self.net, fit_s = self.run(epochs, loss)
            if fit_s >= ENOUGH * seconds:
                break
            # the machine was busier during the trial: again, with as many epochs as fit
            epochs = max(epochs + 1, round(epochs * seconds / fit_s))
        self.fold()
        n_bytes = sum(p.numel() * p.element_size() for p in self.net.parameters())
        return {"fit_s": fit_s, "epochs": epochs, "loss": loss, "size_mb": n_bytes / 1e6}

    def fold(self):
        """Put the scales of the outputs into the last layer: they cost nothing afterwards."""
        layer = self.net.subnetwork.output_layer
        with torch.no_grad():
            layer.weight.mul_(torch.from_numpy(self.scale[:, None]).float())
            layer.bias.mul_(torch.from_numpy(self.scale).float())
            layer.bias.add_(torch.from_numpy(self.center).float())
        self.net.eval()

    def predict(self, X):
        """log10 of the outputs."""
        return self.net.evaluate(X, transform_inputs=True).astype(np.float64) + self.shift

    def prepare(self, X, outputs):
        """What `timed` times."""
        some = copy.deepcopy(self.net)
        some.eval()
        some.restrict_to_output_subset([self.names[i] for i in outputs])
        x = torch.from_numpy(self.scaled(X))
        jacobian = vmap(jacfwd(some.forward))

        def slopes():
            with torch.no_grad():
                return jacobian(x)

        one = X[:1]
        self.actions = {
            "all": lambda: self.net.evaluate(X, True),
            "all, linear": lambda: self.net.evaluate(X, True, True),
            "some, linear": lambda: some.evaluate(X, True, True),
            "row, linear": lambda: self.net.evaluate(one, True, True),
            "jacobian": slopes,
        }

    def timed(self, action, calls):
        """Seconds of each of `calls` calls."""
        run, seconds = self.actions[action], []
        for _ in range(calls):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        return seconds


def _one_cycle(done):
    return min(1.0, done / WARM_UP) * (0.5 * (1.0 + math.cos(math.pi * min(done, 1.0))) + 1e-3)


def answer(peer, do, folder, **options):
    stored = {}
    if do in ("train", "predict", "prepare"):
        with np.load(folder / "in.npz") as file:
            stored = dict(file)
    if do == "train":
        peer.load(options.pop("schedule"), options.pop("seed"), **stored)
        return peer.train(**options)
    if do == "predict":
        np.savez(folder / "out.npz", log_Y=peer.predict(stored["X"]))
        return {"wrote": True}
    if do == "prepare":
        peer.prepare(stored["X"], stored["outputs"].tolist())
        return {}
    return {"seconds": peer.timed(**options)}


def main():
    # nnbma prints: the channel of the answers is kept apart
    channel, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    peer = Peer()
    for line in sys.stdin:
        request = json.loads(line)
        folder = Path(request.pop("folder"))
        print(json.dumps(answer(peer, request.pop("do"), folder, **request)), file=channel)
        channel.flush()


if __name__ == "__main__":
    main()
