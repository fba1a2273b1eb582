"""MatchedFilter: S/N beside the closed-form optimum, speed, and what it finds in sparse and crowded fields.

    python benchmarks/segmentation_matched_filter.py

Optimum: a source in white and correlated noise of known spectrum, 2,000 realisations of 64 x 64 pixels. What
is attained is the mean height of the source over the spread of the map, whatever the map claims.

Fields: 512 x 512 pixels, white noise, Gaussian sources of FWHM 2.5 pixels at any position, with numbers per
S/N (alone, in the noise of the sky) that fall as its inverse square from 3 to 300. A detection, from the
brightest down, is true if a source that no other has taken is within 1.5 pixels, and takes the brightest.
Completeness: of sources above the limit of the field, among the brightest detections of which 5 % are false.
`chance` is the share of random positions that would be true. sep, where it can be imported: 3 x 3 kernel,
1.5 sigma, by peak value. The figures of the reference are of its own fields, whose sources have other
fluxes: no targets.
"""

import argparse
import os
import time

import numpy as np

THREADS = "OMP_NUM_THREADS"
os.environ.setdefault(THREADS, "1")

from records import RESULTS, verdict, write_csv  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402

from skastro.segmentation import MatchedFilter  # noqa: E402

try:
    import sep
except ImportError:
    sep = None

SIDE, FWHM = 64, 2.5
SIGMA = FWHM / np.sqrt(8 * np.log(2))
FAINTEST, BRIGHTEST = 3.0, 300.0  # S/N
# sources a pixel, the S/N from which completeness counts, reference: white, measured, sep
FIELDS = {
    "sparse": (0.001, 5.0, (0.957, 0.950, 0.840)),
    "crowded": (0.008, 10.0, (0.841, 0.930, 0.858)),
    "dense": (0.025, 15.0, (0.703, 0.909, 0.361)),
}
FIRST_SEED, RADIUS, FALSE = 7101, 1.5, 0.05


def source(shape, x, y):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    square = (rows - y) ** 2 + (columns - x) ** 2
    return np.exp(-0.5 * square / SIGMA**2) / (2 * np.pi * SIGMA**2)


def spectra():
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))
    return {
        "white": np.ones((SIDE, SIDE)),
        "pink": 1.0 / (k + 0.02),
        "red": (k + 0.02) ** -3,
        "red over white": (k + 0.02) ** -3 + 20.0,
        "blue": 1.0 + 30.0 * k**2,
    }


def optimum(rows, n):
    psf, centre = source((SIDE, SIDE), SIDE // 2, SIDE // 2), SIDE // 2
    for i, (name, spectrum) in enumerate(spectra().items()):
        best = np.sqrt(np.mean(np.abs(np.fft.fft2(psf)) ** 2 / spectrum))
        flux = 10.0 / best
        rng = np.random.default_rng(FIRST_SEED + i)
        height, squares, found = [], [], []
        model = MatchedFilter(noise=spectrum, background=None, fwhm=FWHM)
        for _ in range(n // 100):
            white = rng.normal(size=(100, SIDE, SIDE))
            noise = np.fft.ifft2(np.fft.fft2(white) * np.sqrt(spectrum)).real
            model.fit(noise)
            quiet, loud = model.transform(noise), model.transform(noise + flux * psf)
            height.append((loud - quiet)[:, centre, centre].mean())
            squares.append(np.square(quiet).mean())
            found.append(model.flux_map(noise + flux * psf)[:, centre, centre].mean())
        spread = np.sqrt(np.mean(squares))
        ratio = np.mean(height) / spread / 10.0
        row = {"part": "optimum", "case": name, "method": "given spectrum"}
        for quantity, value in (
            ("attained_over_optimum", ratio),
            ("spread_of_noise", spread),
            ("flux_over_truth", np.mean(found) / flux),
        ):
            add(rows, row, quantity, value, "within 1 %", abs(value - 1) < 0.01)


def speed(rows, n):
    image = np.random.default_rng(0).normal(size=(1, 1024, 1024)).astype(np.float32)
    for noise in ("white", "measured"):
        model = MatchedFilter(noise=noise).fit(image)
        seconds = []
        for _ in range(n):
            start = time.perf_counter()
            model.transform(image)
            seconds.append(time.perf_counter() - start)
        value = image.size / 1e6 / np.median(seconds)
        row = {"part": "speed", "case": "1024 x 1024, one thread", "method": noise}
        add(rows, row, "mpx_per_second", value, "6", value >= 6.0)


def make_field(density, seed, side=512):
    rng = np.random.default_rng(seed)
    n = rng.poisson(density * side**2)
    x, y = rng.uniform(0, side - 1, (2, n))
    # inverse of the distribution of a power law of index -2
    low, high = 1 / FAINTEST, 1 / BRIGHTEST
    snr = 1 / rng.uniform(high, low, n)
    image = rng.normal(size=(side, side))
    error = 2 * SIGMA * np.sqrt(np.pi)
    for a, b, one in zip(x, y, snr, strict=True):
        i, j = max(round(b) - 8, 0), max(round(a) - 8, 0)
        part = image[i : round(b) + 9, j : round(a) + 9]
        part += one * error * source(part.shape, a - j, b - i)
    return image.astype(np.float32), np.stack([x, y], axis=1), snr


def with_sep(image):
    kernel = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
    data = image - np.float32(np.median(image))
    level = sep.Background(np.ascontiguousarray(image)).globalrms
    found = sep.extract(data, 1.5, err=level, filter_kernel=kernel, minarea=1)
    order = np.argsort(-found["cpeak"])
    return np.stack([found["x"], found["y"]], axis=1)[order]


def with_filter(noise):
    def detect(image):
        table = MatchedFilter(noise=noise, fwhm=FWHM, threshold=2.0).fit(image[None]).detect(image)
        return np.stack([table["x"], table["y"]], axis=1)

    return detect


def completeness(found, places, snr, least):
    """Found and wanted sources, detections from the brightest down."""
    taken, true, which = np.zeros(len(places), bool), np.zeros(len(found), bool), []
    for i, near in enumerate(cKDTree(places).query_ball_point(found, RADIUS)):
        free = [j for j in near if not taken[j]]
        best = max(free, key=lambda j: snr[j]) if free else -1
        which.append(best)
        if free:
            taken[best] = true[i] = True
    share = np.cumsum(~true) / np.arange(1, len(found) + 1)
    kept = np.flatnonzero(share <= FALSE)
    last = kept[-1] + 1 if len(kept) else 0
    got = np.array(which[:last], dtype=int)
    return int(np.sum(snr[got[got >= 0]] >= least)), int(np.sum(snr >= least))


def fields(rows, n):
    methods = {"white": with_filter("white"), "measured": with_filter("measured")}
    if sep is None:
        print("sep cannot be imported: its rows are left out")
    else:
        methods["sep"] = with_sep
    for case, (density, least, published) in FIELDS.items():
        counts, chance = {name: np.zeros(2, int) for name in methods}, []
        for seed in range(FIRST_SEED, FIRST_SEED + n):
            image, places, snr = make_field(density, seed)
            for name, method in methods.items():
                counts[name] += completeness(method(image), places, snr, least)
            random = np.random.default_rng(seed).uniform(0, 511, (2000, 2))
            chance.append(np.mean(cKDTree(places).query(random)[0] < RADIUS))
        for (name, (got, wanted)), other in zip(counts.items(), published, strict=False):
            row = {"part": "fields", "case": f"{case}, S/N >= {least:.0f}", "method": name}
            add(rows, row, "completeness", got / wanted, f"reference {other}", None)
        row = {
            "part": "fields",
            "case": f"{case}, S/N >= {least:.0f}",
            "method": "random positions",
        }
        add(rows, row, "chance", float(np.mean(chance)), "", None)


def add(rows, row, quantity, value, goal, passed):
    judged = "" if passed is None else verdict(passed)
    rows.append(
        {**row, "quantity": quantity, "value": float(value), "goal": goal, "verdict": judged}
    )
    print(
        f"{row['part']:8} {row['case']:24} {row['method']:17} {quantity:22} {value:8.4f}  {goal} {judged}"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few realisations, one field each")
    parser.add_argument("--output", default=RESULTS / "segmentation_matched_filter.csv")
    options = parser.parse_args()
    rows = []
    optimum(rows, 100 if options.quick else 2000)
    speed(rows, 3 if options.quick else 15)
    fields(rows, 1 if options.quick else 4)
    if not options.quick:
        write_csv(options.output, rows, threads=os.environ[THREADS])


if __name__ == "__main__":
    main()
