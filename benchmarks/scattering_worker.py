"""Scattering statistics of one package, in its own environment: builds, runs, measures its memory.

Answers the requests of `peers.Worker`; every package, ours too, is run by this same script.

build     of `case` for images of the shape that is sent; answers with the seconds that it took
run       once, forward or (`gradient`) forward and backward; the seconds of the processor
limit     of ours: the seconds of the FFTs that can't be avoided, forward or with the gradient, on the grids
          of ours and on those of the peer
values    the coefficients of the images
synthesis of scattering_transform: maps like the one that is sent, and the seconds of the processor
memory    how far the memory of this process grows, at most, above what it has after a run of one image
"""

import ctypes
import gc
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch


def kymatio(shape, n_scales, n_orientations, reflect):
    from kymatio.torch import Scattering2D

    # with `pre_pad` the images are taken as they come, and so periodic
    inner = shape if reflect else tuple(n - 2 * 2**n_scales for n in shape)
    bank = Scattering2D(n_scales, shape=inner, L=n_orientations, pre_pad=not reflect)
    return lambda x: bank(x.contiguous()).flatten(1)


def cheng(shape, n_scales, n_orientations):
    sys.path.insert(0, os.environ["SKASTRO_SCATTERING_TRANSFORM"])
    import scattering

    return scattering.Scattering2d(*shape, n_scales, n_orientations, device="cpu")


def cheng_wst(shape, n_scales, n_orientations):
    bank = cheng(shape, n_scales, n_orientations)

    def statistics(x, algorithm="fast"):
        found = bank.scattering_coef(x, j1j2_criteria="j2>j1", algorithm=algorithm)
        # in the order (j1, l1, j2, l2)
        pairs = [found["S2"][:, j, j + 1 :].transpose(1, 2).flatten(1) for j in range(n_scales - 1)]
        return torch.cat([x.mean((1, 2))[:, None], found["S1"].flatten(1), *pairs], 1)

    # its default is an approximation: values are compared with what it approximates
    statistics.exact = lambda x: statistics(x, "classic")
    return statistics


def cheng_covariance(shape, n_scales, n_orientations):
    bank = cheng(shape, n_scales, n_orientations)
    return lambda x: bank.scattering_cov(x)["for_synthesis"]


def pywph(shape, n_scales, n_orientations):
    from pywph import WPHOp

    bank = WPHOp(*shape, n_scales, L=n_orientations, dn=0, device="cpu")

    def statistics(x):
        found = []
        for image in x:
            bank.clear_normalization()
            parts, n_chunks = [], 1
            image, n_chunks = bank.preconfigure(image, requires_grad=image.requires_grad)
            for i in range(n_chunks):
                part, _ = bank.apply(image, i, norm=None, ret_indices=True)
                parts.append(part)
            found.append(torch.cat(parts))
        return torch.stack(found)

    return statistics


def ours(family, shape, n_scales, n_orientations, **options):
    from skastro import scattering

    bank = getattr(scattering, family)(shape, n_scales, n_orientations, **options)

    def statistics(x):
        return bank(x).flatten(1)

    statistics.bank = bank
    return statistics


CASES = {
    "kymatio, reflect": lambda *size: kymatio(*size, reflect=True),
    "kymatio, periodic": lambda *size: kymatio(*size, reflect=False),
    "scattering_transform, WST": cheng_wst,
    "scattering_transform, covariance": cheng_covariance,
    "pywph": pywph,
    "skastro, WST": lambda *size: ours("WST", *size),
    "skastro, WST, local, reflect": lambda *size: ours("WST", *size, output="local"),
    "skastro, WST, local, periodic": lambda *size: ours(
        "WST", *size, output="local", boundary="periodic"
    ),
    "skastro, covariance": lambda *size: ours("Covariance", *size),
    "skastro, phase harmonics": lambda *size: ours("PhaseHarmonics", *size),
}


def memory(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def settled():
    """Memory of this process without what the allocator keeps; its peak is counted from here on.

    What was freed but not given back would be taken again without being seen.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = memory("VmRSS")
    if memory("VmHWM") - before > 2**22:
        raise RuntimeError("the peak of the memory is not counted anew after 5 > clear_refs.")
    return before


def run(statistics, images, gradient):
    """Coefficients, and the seconds of the processor."""
    images = torch.from_numpy(images)
    start = time.process_time()
    if not gradient:
        with torch.inference_mode():
            found = statistics(images)
        return found, time.process_time() - start
    images.requires_grad_()
    found = statistics(images)
    weights = torch.linspace(0.5, 1.5, found.shape[1])
    (found.abs() if found.is_complex() else found).mul(weights).sum().backward()
    return found.detach(), time.process_time() - start


def main():
    channel, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        folder = Path(request["folder"])
        answer = {}
        if request["do"] == "build":
            with np.load(folder / "in.npz") as file:
                images = file["images"]
            start = time.process_time()
            size = images.shape[1:], request["n_scales"], request["n_orientations"]
            statistics = CASES[request["case"]](*size)
            answer["seconds"] = time.process_time() - start
        elif request["do"] == "run":
            answer["seconds"] = run(statistics, images, request["gradient"])[1]
        elif request["do"] == "limit":
            from scattering_limit import backward, ffts, peer_ffts, seconds

            counts = {"own": ffts(statistics.bank), "peer": peer_ffts(statistics.bank)}
            if request["gradient"]:
                counts = {grids: count + backward(count) for grids, count in counts.items()}
            found = seconds(counts.values(), len(images))
            answer["limits"] = dict(zip(counts, found, strict=True))
        elif request["do"] == "values":
            exact = getattr(statistics, "exact", statistics)
            np.savez(folder / "out.npz", values=run(exact, images, False)[0].numpy())
            answer["wrote"] = True
        elif request["do"] == "synthesis":
            sys.path.insert(0, os.environ["SKASTRO_SCATTERING_TRANSFORM"])
            import scattering

            with np.load(folder / "in.npz") as file:
                target = file["images"]
            start = time.process_time()
            maps = scattering.synthesis(
                "s_cov", target, steps=request["steps"], seed=request["seed"], device="cpu"
            )
            answer = {"seconds": time.process_time() - start, "wrote": True}
            np.savez(folder / "out.npz", maps=np.asarray(maps).reshape(target.shape))
        elif request["do"] == "memory":
            # what is made at the first call belongs to the filters, or to the libraries
            run(statistics, images[:1], request["gradient"])
            before = settled()
            run(statistics, images, request["gradient"])
            answer["bytes"] = memory("VmHWM") - before
        print(json.dumps(answer), file=channel, flush=True)


if __name__ == "__main__":
    main()
