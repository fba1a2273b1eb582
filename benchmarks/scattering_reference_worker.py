"""Scattering coefficients of one peer, in float64 where it has it: what ours are compared with.

Answers the requests of `peers.Worker` with arrays; runs in the environment of the peers and imports nothing
of ours. A request is the name of a function of `PEERS`, its arrays, and its options.
"""

import json
import os
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

TYPES = ("mean", "P00", "S1", "C01re", "C01im", "C11re", "C11im")


def tensor(x, dtype=torch.float64):
    return torch.from_numpy(np.ascontiguousarray(x)).to(dtype)


# -- kymatio: its filters are of single precision


def kymatio_2d(x, n_scales, n_orientations, reflect):
    """Local coefficients; without `reflect`, of the map taken as it comes, and so periodic."""
    from kymatio.torch import Scattering2D

    inner = x.shape if reflect else tuple(n - 2 * 2**n_scales for n in x.shape)
    bank = Scattering2D(n_scales, shape=inner, L=n_orientations, pre_pad=not reflect)
    return {"values": bank(tensor(x, torch.float32)).numpy()}


def kymatio_1d(x, n_scales, quality):
    from kymatio.torch import Scattering1D

    bank = Scattering1D(n_scales, shape=len(x), Q=quality)
    return {"values": bank(tensor(x, torch.float32)).numpy()}


def kymatio_3d(x, n_scales, max_degree, powers):
    """Orders 1 and 2, (path, degree, power)."""
    from kymatio.torch import HarmonicScattering3D

    warnings.simplefilter("ignore")  # one for each function of scipy that it calls, each time
    bank = HarmonicScattering3D(
        n_scales, shape=x.shape, L=max_degree, sigma_0=1, integral_powers=powers
    )
    return {"values": bank(tensor(x, torch.float32)).numpy()}


# -- scattering_transform: a clone, not a package


def _clone():
    sys.path.insert(0, os.environ["SKASTRO_SCATTERING_TRANSFORM"])
    import scattering

    return scattering


def _bank(shape, n_scales, n_orientations):
    return _clone().Scattering2d(*shape, n_scales, n_orientations, device="cpu", precision="double")


def wst(x, n_scales, n_orientations):
    """Means of moduli: S1 (j1, l1) and S2 (j1, j2, l1, l2), NaN where it has none."""
    found = _bank(x.shape, n_scales, n_orientations).scattering_coef(
        tensor(x)[None], j1j2_criteria="j2>=j1", algorithm="classic"
    )
    return {key: found[key][0].numpy() for key in ("P00", "S1", "S2")}


def covariance(x, n_scales, n_orientations, normalization="P00", reference=None):
    """Flat vectors, all and isotropic, each with its index (type, j1, j2, j3, l1, l2, l3)."""
    bank = _bank(x.shape, n_scales, n_orientations)
    if reference is not None:
        bank.add_ref(tensor(reference)[None])
    found = bank.scattering_cov(
        tensor(x)[None], use_ref=reference is not None, normalization=normalization
    )
    out = {}
    for end in ("", "_iso"):
        out[f"values{end}"] = found[f"for_synthesis{end}"][0].numpy()
        out[f"index{end}"] = found[f"index_for_synthesis{end}"].numpy().astype(np.int8)
    return out


def cross_covariance(x, y, n_scales, n_orientations):
    """Corr00, C01 and C11 with the first factor of x and the second of y, and the other way round."""
    found = _bank(x.shape, n_scales, n_orientations).scattering_cov_2fields(
        tensor(x)[None], tensor(y)[None]
    )
    j2, j3 = np.nonzero(np.arange(n_scales)[:, None] <= np.arange(n_scales))
    out = {"Corr00": found["Corr00"][0].numpy(), "C01_index": np.stack([j2, j3])}
    out["C01"] = found["C01"][0, 2:].numpy()[:, j2, j3]
    j = np.arange(n_scales)
    index = np.stack(np.nonzero((j[:, None, None] <= j[:, None]) & (j[:, None] <= j)))
    return out | {"C11_index": index, "C11": found["Corr11"][0, 2:].numpy()[:, *index]}


def harmonics(x, n_scales, n_orientations):
    """Of angles, then of scales too, of the covariances; index (type, k1, a, b, l1, l2, l3).

    The second comes in an order that changes from run to run: sorted here.
    """
    _clone()
    from scattering import FourierAngle, FourierScale, scale_annotation_a_b

    found = _bank(x.shape, n_scales, n_orientations).scattering_cov(tensor(x)[None])
    index = scale_annotation_a_b(found["index_for_synthesis"].numpy().T)
    angles, angle_index = FourierAngle()(found["for_synthesis"], index, if_isotropic=False)
    scales, scale_index = FourierScale()(angles, angle_index)
    out = {}
    for name, values, rows in (("angles", angles, angle_index), ("scales", scales, scale_index)):
        rows = np.array([[TYPES.index(row[0]), *map(int, row[1:])] for row in rows])
        order = np.lexsort(rows.T[::-1])
        out[name] = values[0].numpy()[order]
        out[f"{name}_index"] = rows[order].astype(np.int8)
    return out


# -- pywph


def pywph(x, n_scales, n_orientations, y=None, dn=0, n_angles=4, norm=None, periodic=True):
    """Moments of x, or of x and y with the cross moments, the scaling moments last, and their tables."""
    from pywph import WPHOp

    bank = WPHOp(*x.shape, n_scales, L=n_orientations, dn=dn, A=n_angles, precision="double")
    bank.load_model(cross_moments=y is not None)
    maps = np.ascontiguousarray(x) if y is None else [np.ascontiguousarray(m) for m in (x, y)]
    values = bank.apply(maps, norm=norm, pbc=periodic, cross=y is not None)
    return {
        "values": values.numpy(),
        "index": np.array(bank.wph_moments_indices).astype(np.int16),
        "low_index": np.array(bank.scaling_moments_indices).astype(np.int8),
    }


PEERS = {
    one.__name__: one
    for one in (
        *(kymatio_2d, kymatio_1d, kymatio_3d),
        *(wst, covariance, cross_covariance, harmonics, pywph),
    )
}


def versions():
    """Of all peers; of the clone the commit, where there is one."""
    found = {name: version(name) for name in ("kymatio", "pywph", "torch", "numpy", "scipy")}
    if "SKASTRO_SCATTERING_TRANSFORM" in os.environ:
        command = ["git", "-C", os.environ["SKASTRO_SCATTERING_TRANSFORM"], "rev-parse", "HEAD"]
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found["scattering_transform"] = commit.strip()[:7]
    return found


def main():
    channel, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        folder, do = Path(request.pop("folder")), request.pop("do")
        if do == "versions":
            answer = {"versions": versions()}
        else:
            with np.load(folder / "in.npz") as file:
                np.savez(folder / "out.npz", **PEERS[do](**dict(file), **request))
            answer = {"wrote": True}
        print(json.dumps(answer), file=channel, flush=True)


if __name__ == "__main__":
    main()
