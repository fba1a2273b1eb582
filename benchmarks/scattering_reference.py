"""Coefficients of kymatio, scattering_transform and pywph for the tests of ours, written to tests/data.

    SKASTRO_SCATTERING_TRANSFORM=path/of/a/clone python benchmarks/scattering_reference.py

On two fields of a formula, 64 x 64, on crops of them whose sides are odd and differ, on a row and on a small
volume. The peers run in their own environment, which is made once. scattering_transform has no licence
file: numbers that it gives are written, none of its code.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from peers import PEERS, Worker, installed

__all__ = ["CASES", "CLONE", "PEERS", "Worker", "fields", "installed"]

CLONE = "SKASTRO_SCATTERING_TRANSFORM"
FOLDER = Path(__file__).parents[1] / "tests" / "data" / "scattering" / "peers"
SIDE = 64


def fields():
    """What the coefficients are of: arrays of float64 by name; m is the row, n the column.

    "y" has another wave than "x"; "odd_x" and "odd_y" are crops of them, "wide" has even sides, "line" is one
    row after another, and "volume" a product.
    """
    m, n = np.mgrid[:SIDE, :SIDE].astype(float)
    turn = 2 * np.pi / SIDE

    def field(k):
        waves = np.cos(turn * (3 * m + 2 * n)) + 0.25 * np.cos(turn * m * n)
        waves += 0.5 * np.sin(turn * (k * m - 7 * n) + np.cos(turn * m))
        return waves + np.exp(-((m - 20) ** 2 + (n - 40) ** 2) / 18)

    x, y = field(5), field(6)
    volume = x[20:32, 30:42, None] * y[8:24, None, :12].mean(0) + y[:12, None, 40:52]
    return {
        "x": x,
        "y": y,
        "odd_x": x[:45, 5:58],
        "odd_y": y[:45, 5:58],
        "wide": x[:48],
        "line": x[10:14].ravel(),
        "volume": volume,
    }


# peer: {case: (function of the worker, its fields, its options)}
CASES = {
    "kymatio": {
        "reflect": ("kymatio_2d", {"x": "x"}, dict(n_scales=3, n_orientations=4, reflect=True)),
        "reflect_odd": (
            "kymatio_2d", {"x": "odd_x"}, dict(n_scales=2, n_orientations=3, reflect=True),
        ),
        "periodic": ("kymatio_2d", {"x": "x"}, dict(n_scales=3, n_orientations=4, reflect=False)),
        "periodic_wide": (
            "kymatio_2d", {"x": "wide"}, dict(n_scales=2, n_orientations=5, reflect=False),
        ),
        "line": ("kymatio_1d", {"x": "line"}, dict(n_scales=4, quality=4)),
        "line_coarse": ("kymatio_1d", {"x": "line"}, dict(n_scales=5, quality=1)),
        "volume": (
            "kymatio_3d", {"x": "volume"}, dict(n_scales=1, max_degree=2, powers=[0.5, 1.0, 2.0]),
        ),
    },
    "scattering_transform": {
        "wst": ("wst", {"x": "x"}, dict(n_scales=4, n_orientations=4)),
        "wst_odd": ("wst", {"x": "odd_x"}, dict(n_scales=3, n_orientations=3)),
        "P00": ("covariance", {"x": "x"}, dict(n_scales=4, n_orientations=4)),
        "P00_odd": ("covariance", {"x": "odd_x"}, dict(n_scales=3, n_orientations=4)),
        "P00_reference": (
            "covariance", {"x": "x", "reference": "y"}, dict(n_scales=3, n_orientations=4),
        ),
        "P11": (
            "covariance", {"x": "x"}, dict(n_scales=3, n_orientations=4, normalization="P11"),
        ),
        "P11_odd": (
            "covariance", {"x": "odd_x"}, dict(n_scales=3, n_orientations=3, normalization="P11"),
        ),
        "cross": ("cross_covariance", {"x": "x", "y": "y"}, dict(n_scales=3, n_orientations=4)),
        "cross_odd": (
            "cross_covariance", {"x": "odd_x", "y": "odd_y"}, dict(n_scales=2, n_orientations=3),
        ),
        "harmonics": ("harmonics", {"x": "x"}, dict(n_scales=3, n_orientations=4)),
    },
    "pywph": {
        "plain": ("pywph", {"x": "x"}, dict(n_scales=4, n_orientations=4, dn=2)),
        "auto": ("pywph", {"x": "x"}, dict(n_scales=3, n_orientations=4, dn=2, norm="auto")),
        "plain_odd": ("pywph", {"x": "odd_x"}, dict(n_scales=3, n_orientations=4)),
        "auto_odd": (
            "pywph", {"x": "odd_x"}, dict(n_scales=3, n_orientations=3, dn=2, norm="auto"),
        ),
        "cross": ("pywph", {"x": "x", "y": "y"}, dict(n_scales=4, n_orientations=4)),
        "cross_odd": (
            "pywph", {"x": "odd_x", "y": "odd_y"}, dict(n_scales=3, n_orientations=4, dn=2),
        ),
        "open": (
            "pywph", {"x": "x"}, dict(n_scales=3, n_orientations=4, dn=2, periodic=False),
        ),
        "open_odd": (
            "pywph", {"x": "odd_x"},
            dict(n_scales=3, n_orientations=4, dn=1, periodic=False, norm="auto"),
        ),
    },
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the tables are written")
    arguments = parser.parse_args()
    given = fields()
    with Worker("scattering_reference_worker.py", "scattering", 1) as worker:
        versions = worker.ask("versions")["versions"]
        for peer, cases in CASES.items():
            if peer == "scattering_transform" and CLONE not in os.environ:
                print(f"{peer}: skipped, {CLONE} names no clone of SihaoCheng/scattering_transform")
                continue
            found = {}
            for case, (function, names, options) in cases.items():
                arrays = {argument: given[name] for argument, name in names.items()}
                answer = worker.ask(function, arrays, **options)["arrays"]
                found |= {f"{case}/{key}": values for key, values in answer.items()}
            wanted = dict.fromkeys((peer, "torch", "numpy", "scipy"))
            said = ", ".join(f"{name} {versions[name]}" for name in wanted)
            arguments.folder.mkdir(parents=True, exist_ok=True)
            path = arguments.folder / f"{peer}.npz"
            np.savez_compressed(path, versions=said, **found)
            print(f"wrote {path}: {len(cases)} cases, {path.stat().st_size / 1000:.0f} kB, {said}")


if __name__ == "__main__":
    main()
