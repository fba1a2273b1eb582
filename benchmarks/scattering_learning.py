"""What few maps teach: scattering features and a linear model beside classical features and a small CNN.

    python benchmarks/scattering_learning.py

Two tasks on maps of 64 x 64 pixels. Regression: how intermittent a turbulent map is, its spectrum known to
vary too (error: rms over the scatter of the truth, 1 for the mean). Classification: Gaussian, filaments or
turbulence, all of the same histogram (by ranks) and of varying spectra (error: fraction wrong).
Learning curves in the number of training maps, on 400 test maps; mean over draws of the training maps.
The CNN (four convolutions, batch normalisation, mean over the map; flips and turns; a fifth of the maps held
out to stop) is given the better of two learning rates by those held-out maps. One thread.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from records import RESULTS, verdict, write_csv  # noqa: E402
from sklearn.linear_model import RidgeClassifierCV, RidgeCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from torch import nn  # noqa: E402

from skastro.datasets import make_fields  # noqa: E402
from skastro.scattering import ScatteringTransform  # noqa: E402
from skastro.scattering.baselines import (  # noqa: E402
    BispectrumFeatures,
    HistogramMoments,
    PowerSpectrumFeatures,
)

N_PIXELS, N_TEST = 64, 400
SIZES = (20, 50, 100, 200, 400)
KINDS = ("gaussian", "filaments", "turbulence")
EPOCHS, PATIENCE = 150, 30


def ranked(maps):
    """Maps of one histogram, that of a Gaussian to a good approximation of ranks."""
    ranks = maps.reshape(len(maps), -1).argsort(axis=1).argsort(axis=1)
    uniform = (ranks + 0.5) / ranks.shape[1]
    return torch.special.ndtri(torch.from_numpy(uniform)).numpy().reshape(maps.shape)


def regression(n, seed):
    rng = np.random.default_rng(seed)
    scatter, index = rng.uniform(0.1, 1.0, n), rng.uniform(2.0, 3.0, n)
    maps = make_fields(
        n, "turbulence", n_pixels=N_PIXELS, index=index, scatter=scatter, random_state=seed
    ).maps
    return (maps / maps.std(axis=(1, 2), keepdims=True)).astype(np.float32), scatter


def classification(n, seed):
    rng = np.random.default_rng(seed)
    label = rng.integers(len(KINDS), size=n)
    index = {"filaments": (1.0, 2.0)}
    maps = np.empty((n, N_PIXELS, N_PIXELS), np.float32)
    for i, kind in enumerate(KINDS):
        rows = np.flatnonzero(label == i)
        slopes = rng.uniform(*index.get(kind, (2.0, 3.0)), len(rows))
        maps[rows] = make_fields(
            len(rows), kind, n_pixels=N_PIXELS, index=slopes, random_state=seed + i
        ).maps
    return ranked(maps).astype(np.float32), label


class CNN:
    """A small network, with `fit` and `predict`."""

    def __init__(self, n_classes, seed):
        self.n_classes, self.seed = n_classes, seed

    def fit(self, maps, y):
        rng = np.random.default_rng(self.seed)
        held = rng.permutation(len(maps)) < max(4, len(maps) // 5)
        y = torch.from_numpy(np.asarray(y))
        if not self.n_classes:
            self.mean, self.scale = y.mean(), y.std()
            y = ((y - self.mean) / self.scale).float()
        x = torch.from_numpy(maps)[:, None]
        runs = [self._train(x, y, held, lr) for lr in (3e-3, 1e-3)]
        self.network = min(runs, key=lambda run: run[0])[1]
        return self

    def _train(self, x, y, held, lr):
        torch.manual_seed(self.seed)
        layers, n = [], 1
        for width in (16, 32, 48, 64):
            layers += [nn.Conv2d(n, width, 3, padding=1, padding_mode="circular")]
            layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.AvgPool2d(2)]
            n = width
        network = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, max(1, self.n_classes))
        )
        network.to(memory_format=torch.channels_last)
        loss = nn.CrossEntropyLoss() if self.n_classes else nn.MSELoss()
        optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-2)
        rows = np.flatnonzero(~held)
        best, kept, last = np.inf, None, 0
        rng = np.random.default_rng(self.seed)
        for epoch in range(EPOCHS):
            network.train()
            for batch in np.array_split(rng.permutation(rows), max(1, len(rows) // 32)):
                images = x[batch]
                for axis in (2, 3):
                    images = images.flip(axis) if rng.random() < 0.5 else images
                images = images.transpose(2, 3) if rng.random() < 0.5 else images
                optimizer.zero_grad()
                loss(network(images).squeeze(1), y[batch]).backward()
                optimizer.step()
            network.eval()
            with torch.inference_mode():
                value = float(loss(network(x[held]).squeeze(1), y[held]))
            if value < best:
                best, last = value, epoch
                kept = {key: v.clone() for key, v in network.state_dict().items()}
            if epoch - last > PATIENCE:
                break
        network.load_state_dict(kept)
        return best, network

    def predict(self, maps):
        self.network.eval()
        with torch.inference_mode():
            out = self.network(torch.from_numpy(maps)[:, None])
        if self.n_classes:
            return out.argmax(1).numpy()
        return (out[:, 0].double() * self.scale + self.mean).numpy()


def features():
    scattering = {"reduction": "isotropic", "n_scales": 5}
    return {
        "scattering: wst": ScatteringTransform("wst", logarithm=True, **scattering),
        "scattering: covariance": ScatteringTransform("covariance", **scattering),
        "power spectrum": PowerSpectrumFeatures(),
        "bispectrum": BispectrumFeatures(),
        "moments": HistogramMoments(n_scales=3),
    }


def linear(n_classes):
    if n_classes:
        return RidgeClassifierCV(np.logspace(-3, 5, 25))
    return RidgeCV(np.logspace(-3, 5, 25))


def error(y, predicted, n_classes):
    if n_classes:
        return float(np.mean(predicted != y))
    return float(np.sqrt(np.mean((predicted - y) ** 2)) / np.std(y))


def learn(task, make, n_classes, arguments):
    """Rows of a task: an error for each method and number of maps."""
    test, truth = make(N_TEST, 9001)
    pool, labels = make(max(SIZES) * 2, 9002)
    tables = {}
    for name, one in features().items():
        start = time.process_time()
        tables[name] = one.fit(pool).transform(pool), one.transform(test)
        milliseconds = 1e3 * (time.process_time() - start) / (len(pool) + len(test))
        print(f"{task}: {name}: {tables[name][0].shape[1]} features, {milliseconds:.1f} ms a map")
    rows = []
    for n in SIZES:
        draws = [
            np.random.default_rng([7, k]).permutation(len(pool))[:n] for k in range(arguments.draws)
        ]
        found = {}
        for name, (train, held) in tables.items():
            found[name] = []
            for draw in draws:
                model = make_pipeline(StandardScaler(), linear(n_classes))
                model.fit(train[draw], labels[draw])
                found[name].append(error(truth, model.predict(held), n_classes))
        if not arguments.no_cnn:
            found["CNN"] = [
                error(truth, CNN(n_classes, k).fit(pool[d], labels[d]).predict(test), n_classes)
                for k, d in enumerate(draws)
            ]
        for name, errors in found.items():
            rows.append(
                {"task": task, "maps": n, "method": name, "error": float(np.mean(errors)),
                 "scatter": float(np.std(errors))}
            )  # fmt: skip
        print(
            f"{task}, {n} maps: " + ", ".join(f"{k} {np.mean(v):.3f}" for k, v in found.items()),
            flush=True,
        )
        if n == 50 and "CNN" in found:
            ours = min(np.mean(v) for k, v in found.items() if k.startswith("scattering"))
            ok = ours < np.mean(found["CNN"])
            print(
                f"    50 maps: scattering {ours:.3f}, CNN {np.mean(found['CNN']):.3f}: {verdict(ok)}"
            )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3, help="of the training maps")
    parser.add_argument("--no-cnn", action="store_true")
    arguments = parser.parse_args()
    rows = learn("intermittency", regression, 0, arguments)
    rows += learn("kind of field", classification, len(KINDS), arguments)
    write_csv(RESULTS / "scattering_learning.csv", rows, threads=int(os.environ["OMP_NUM_THREADS"]))


if __name__ == "__main__":
    main()
