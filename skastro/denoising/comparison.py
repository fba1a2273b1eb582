"""The methods that denoise a cube, side by side on synthetic cubes and on a real one."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from scipy.ndimage import median_filter
from sklearn.utils import Bunch, check_random_state

from skastro.cube_metrics import cube_summary, flux_ratio
from skastro.datasets import load_ngc4047, make_line_cube
from skastro.denoising.baselines import (
    GaussianSmoother,
    MaskDenoiser,
    MedianDenoiser,
    PCADenoiser,
    TotalVariationDenoiser,
    WaveletDenoiser,
)
from skastro.denoising.checks import check_sigma
from skastro.denoising.cube import CubeDenoiser
from skastro.denoising.gaussians import GaussianDecomposer
from skastro.denoising.noise import estimate_noise, estimate_sigma
from skastro.denoising.signal_mask import find_signal
from skastro.io.cubes import check_unit
from skastro.tasks import Speed, Task
from skastro.validation import native

__all__ = ["TASK", "CubeSplit", "default_estimators", "load_cubes", "noisier_galaxy", "split_cubes"]

WEAK = 3.0  # true peak S/N below which a spectrum is weak
BRIGHT = (slice(32, 96), slice(32, 96))  # of NGC 4047: the galaxy, without the edge of the mosaic
LINE_FREE = [*range(9), *range(36, 44)]  # its channels without line


def noisier_galaxy(factor=3.0, random_state=0):
    """NGC 4047 with more noise of its own kind: a real line whose truth is nearly known.

    The middle of the bundled cube gets noise that was cut out of its own channels without line, in
    units of the noise there: flipped, of random sign, in random order, so that it has the
    distribution and the correlation over the beam of the real noise. The truth is the cube as it
    was observed where signal is found in it, and zero elsewhere.

    Parameters
    ----------
    factor : float, default=3.0
        Added noise, in units of the noise that was there.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `cube`, `truth` and `sigma` of shape (64, 64, 44) in Jy/beam, float32; `flux_mask` of that
        shape, where signal was found; `velocity` in km/s; `unit`; `title`.

    Notes
    -----
    The truth has the noise of the observation. A method that takes out this noise too is charged
    for it: no gain can be much above ``20 * log10(factor)`` dB, 9.5 for 3. Outside the galaxy the
    observed cube is negative in the mean, as interferometers see it without short spacings, so
    fluxes are compared within the mask alone.

    Examples
    --------
    >>> from skastro.denoising.comparison import noisier_galaxy
    >>> galaxy = noisier_galaxy()
    >>> noise = ((galaxy.cube - galaxy.truth) / galaxy.sigma)[..., :9]
    >>> bool(abs(noise.std() - 1) < 0.05)
    True
    """
    rng = check_random_state(random_state)
    galaxy = load_ngc4047()
    level = estimate_noise(galaxy.cube)
    # the noise of a mosaic is smooth on the scale of its beam
    noise_map = median_filter(level.map, 7)[BRIGHT]
    observed = galaxy.cube[BRIGHT]
    sigma = (noise_map[..., None] * level.spectrum).astype(np.float32)
    pure = observed[..., LINE_FREE] / sigma[..., LINE_FREE]
    pure /= pure.std()
    # not as it lies in the cube: that would only be the same noise, larger
    pieces = np.concatenate([pure[::-1], pure[:, ::-1], pure[::-1, ::-1]], axis=-1)
    n_channels = observed.shape[-1]
    drawn = rng.permutation(pieces.shape[-1])[:n_channels]
    signs = rng.choice(np.array([-1.0, 1.0], np.float32), n_channels)
    mask = find_signal(observed, sigma)
    return Bunch(
        cube=observed + np.float32(factor) * sigma * pieces[..., drawn] * signs,
        truth=np.where(mask, observed, np.float32(0)),
        flux_mask=mask,
        sigma=sigma * np.float32(np.sqrt(1.0 + factor**2)),
        velocity=galaxy.velocity,
        unit=galaxy.unit,
        title="NGC 4047, noise added",
    )


def load_cubes():
    """The cubes of ``skastro compare denoising``.

    Returns
    -------
    cubes : dict of str to :class:`~sklearn.utils.Bunch`
        "A": `make_line_cube`, correlated noise. "B": weaker lines, white noise. "NGC 4047": see
        `noisier_galaxy`.
    """
    cubes = {}
    for kind, noise in (("A", "correlated"), ("B", "white")):
        cubes[kind] = make_line_cube(kind, n_pixels=48, random_state=1)
        cubes[kind].title = f"synthetic cube {kind}, {noise} noise"
    return cubes | {"NGC 4047": noisier_galaxy()}


@dataclass
class CubeSplit:
    """A noisy cube that is fitted and denoised, and its truth.

    Attributes
    ----------
    X_train, X_test : ndarray of shape (n_y, n_x, n_channels)
        The same noisy cube.
    Y_test : ndarray of that shape
        The truth, which no method sees.
    sigma : ndarray of that shape
        Noise, for the metrics.
    flux_mask : ndarray of bool of that shape or None
        Where the true flux is known; None: everywhere.
    velocity : ndarray of shape (n_channels,) or None
        In km/s.
    unit : str or None
    title : str
    """

    X_train: np.ndarray
    X_test: np.ndarray
    Y_test: np.ndarray
    sigma: np.ndarray
    flux_mask: np.ndarray | None = None
    velocity: np.ndarray | None = None
    unit: str | None = None
    title: str = "cube"

    @property
    def summary(self):
        """What is fitted and scored, in a few words."""
        shape = " x ".join(map(str, self.X_test.shape))
        return f"{self.title}, {shape}, fitted without its truth and scored against it"


def split_cubes(data, test_size=None, random_state=None):
    """Noisy cubes with their truth, for `skastro.compare.compare`.

    Parameters
    ----------
    data : Bunch, tuple (cube, truth) or (cube, truth, sigma), or dict of str to such
        A Bunch has `cube`, `truth` and perhaps `sigma`, `flux_mask`, `velocity`, `unit`, `title`.
        Shapes (n_y, n_x, n_channels); without `sigma` the noise is estimated.
    test_size, random_state
        Not used: nothing is held out, since no method sees the truth.

    Returns
    -------
    split : CubeSplit, or dict of str to CubeSplit

    Raises
    ------
    ValueError
        Data of another form, or a truth of another shape than its cube.

    Examples
    --------
    >>> from skastro.datasets import make_line_cube
    >>> from skastro.denoising.comparison import split_cubes
    >>> split_cubes(make_line_cube(n_pixels=16, n_channels=32, random_state=0)).summary
    'cube, 16 x 16 x 32, fitted without its truth and scored against it'
    """
    if isinstance(data, Mapping) and data and not {"cube", "truth"} & set(data):
        return {str(name): split_cubes(one) for name, one in data.items()}
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        data = dict(zip(("cube", "truth", "sigma"), data, strict=False))
    if not isinstance(data, Mapping) or not {"cube", "truth"} <= set(data):
        raise ValueError(
            f"data is a {type(data).__name__}; expected a Bunch with 'cube' and 'truth', a tuple "
            "(cube, truth) or (cube, truth, sigma), or a dict of them."
        )
    cube, unit = native(data["cube"]), getattr(data["cube"], "unit", None)
    truth = native(check_unit(data["truth"], unit, "truth"))
    if cube.ndim != 3 or truth.shape != cube.shape:
        raise ValueError(
            f"cube has shape {cube.shape} and truth {truth.shape}; expected the same shape "
            "(n_y, n_x, n_channels)."
        )
    sigma = data.get("sigma")
    if sigma is None:
        sigma = estimate_sigma(cube)
    sigma = check_sigma(check_unit(sigma, unit), cube.shape)
    known = {name: data.get(name) for name in ("flux_mask", "velocity", "title")}
    about = {name: value for name, value in known.items() if value is not None}
    unit = data.get("unit") if unit is None else str(unit)
    return CubeSplit(cube, cube, truth, sigma, unit=unit, **about)


def default_estimators(random_state=0, quick=False):
    """The classical methods, a decomposition into Gaussians, the autoencoder and the denoiser.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=0
    quick : bool, default=False
        Shorter training: to see that all runs, not to judge by.

    Returns
    -------
    estimators : dict of str to estimator
        Without wavelets where PyWavelets is not installed.

    Examples
    --------
    >>> from skastro.denoising.comparison import default_estimators
    >>> list(default_estimators())[-1]
    'CubeDenoiser'
    """
    methods = {
        "median": MedianDenoiser(),
        "total variation": TotalVariationDenoiser(),
        "PCA": PCADenoiser(),
        "Gaussian kernel": GaussianSmoother(),
        "mask x Gaussian": MaskDenoiser(fwhm=1.5),
    }
    if find_spec("pywt") is not None:
        methods["wavelet"] = WaveletDenoiser()
    methods["Gaussian components"] = GaussianDecomposer()
    methods["autoencoder"] = CubeDenoiser(
        "autoencoder", max_epochs=1 if quick else 20, batch_size=64, random_state=random_state
    )
    small = {"max_epochs": 1, "n_samples": 2048} if quick else {}
    return methods | {"CubeDenoiser": CubeDenoiser(random_state=random_state, **small)}


def _score(split, estimate):
    truth, noisy, sigma = split.Y_test, split.X_test, split.sigma
    # voxels that count: those that are no blanks, and for the flux those whose truth is known
    known = np.where(np.isnan(noisy), np.nan, truth)
    weak = np.fmax.reduce(known / sigma, axis=-1) < WEAK
    weak = np.broadcast_to(weak[..., None], truth.shape)
    figures = cube_summary(truth, noisy, estimate, sigma)
    if split.flux_mask is not None:
        known = np.where(split.flux_mask, known, np.nan)
        figures["flux"] = flux_ratio(known, estimate)
    return figures | {"flux_weak": flux_ratio(known, estimate, weak)}


def _fit(estimator, split):
    return estimator.fit(split.X_train)


def _transform(estimator, X):
    return estimator.transform(X)


def _plot(comparison):
    # matplotlib is an extra
    from skastro.displays.denoising import plot_comparison

    return plot_comparison(comparison)


def _megavoxels(X):
    return X.size / 1e6


def _whole(X):
    return X


TASK = Task(
    name="denoising",
    load=load_cubes,
    estimators=default_estimators,
    summarise=None,
    columns={
        "gain": ("gain dB", "{:.2f}".format),
        "gain_low": ("low", "{:.2f}".format),
        "gain_high": ("high", "{:.2f}".format),
        "moment0_gain": ("moment 0", "{:.2f}".format),
        "free": ("free", "{:.3f}".format),
        "flux": ("flux", "{:.3f}".format),
        "flux_weak": ("weak flux", "{:.3f}".format),
    },
    plot=_plot,
    fit=_fit,
    predict=_transform,
    split=split_cubes,
    score=_score,
    speed=Speed("s_per_mvox", "s / Mvox", "{:.2f}".format, _megavoxels, _whole),
    case="cube",
)
