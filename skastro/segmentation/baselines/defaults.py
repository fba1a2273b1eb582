"""The classical segmenters of a comparison, with sensible settings."""

from importlib.util import find_spec

from skastro.base import draw_seed
from skastro.segmentation.baselines.boosted import BoostedPixelClassifier
from skastro.segmentation.baselines.compressed import CompressedPixelClassifier
from skastro.segmentation.baselines.cosmic_rays import AstroscrappyClassifier
from skastro.segmentation.baselines.matched import MatchedFilterClassifier
from skastro.segmentation.baselines.mean_mask import MeanMask
from skastro.segmentation.baselines.photutils_detections import PhotutilsClassifier
from skastro.segmentation.baselines.raw_counts import RawCounts
from skastro.segmentation.baselines.sep_detections import SepClassifier
from skastro.segmentation.matched_filter import MatchedFilter

__all__ = ["default_baselines"]


def default_baselines(kind="sources", *, fwhm=2.5, quick=False, random_state=0):
    """Make the classical segmenters that a network is compared with.

    Parameters
    ----------
    kind : {"sources", "contaminants"}, default="sources"
        "sources": point sources in fields of one geometry. "contaminants": masks of survey images, wherever
        in the image.
    fwhm : float, default=2.5
        Full width at half maximum of a point source, in pixels.
    quick : bool, default=False
        Few trees, epochs and pixels: to see that all runs, not to judge by.
    random_state : int, RandomState or None, default=0

    Returns
    -------
    baselines : list of (str, estimator)
        Those of sep, photutils and astroscrappy only where these packages are installed.

    Raises
    ------
    ValueError
        Another `kind`.

    Examples
    --------
    >>> from skastro.segmentation.baselines import default_baselines
    >>> [name for name, _ in default_baselines()][:3]
    ['position only', 'raw counts', 'matched filter']
    """
    if kind not in ("sources", "contaminants"):
        raise ValueError(f"kind={kind!r}; expected 'sources' or 'contaminants'.")
    sources = kind == "sources"
    common = {"random_state": draw_seed(random_state), "n_pixels": 20_000 if quick else 200_000}
    found = [("position only", MeanMask())] if sources else []
    found.append(("raw counts", RawCounts(**common)))
    if sources:
        matched = MatchedFilterClassifier(MatchedFilter(fwhm=fwhm), **common)
        found.append(("matched filter", matched))
        if find_spec("sep") is not None:
            found.append(("sep", SepClassifier(min_area=1, **common)))
        if find_spec("photutils") is not None:
            found.append(("DAOStarFinder", PhotutilsClassifier(fwhm, **common)))
    elif find_spec("astroscrappy") is not None:
        found.append(("astroscrappy", AstroscrappyClassifier(**common)))
    perceptron = CompressedPixelClassifier(
        coordinates=sources, max_iter=5 if quick else 40, **common
    )
    trees = BoostedPixelClassifier(max_iter=20 if quick else 200, **common)
    return [*found, ("PCA and perceptron", perceptron), ("gradient boosting", trees)]
