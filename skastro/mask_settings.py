"""What ``skastro mask`` looks for: the model, its classes, priors, thresholds and dilations."""

import hashlib
from typing import NamedTuple

from skastro.datasets.contaminant_classes import CONTAMINANTS

__all__ = ["MaskSettings", "configure", "describe_classes", "load_model", "weights_digest"]

DEFAULT_MODEL = "contaminants"
MEANINGS = {label: one.name for label, one in CONTAMINANTS.items()}
NEEDED = ("predict_tiles", "set_prior", "set_threshold", "labels_", "bits_", "nodata_bit_")


class MaskSettings(NamedTuple):
    """What is done to each file.

    Attributes
    ----------
    labels : tuple of str
        Classes that the masks have.
    dilations : dict of str to int
        Radius in pixels by which each class is grown.
    estimate : tuple of str
        Classes whose prior is estimated on each image.
    model_name, digest : str
        Of the model, and SHA-256 of its weights.
    tile : int or None
        Pixels of the side of a tile.
    hdus : tuple of str
        Names or numbers of the extensions that are examined; () for all.
    proba, compress : bool
        Whether probabilities are written too, and whether the file is compressed.
    """

    labels: tuple
    dilations: dict
    estimate: tuple = ()
    model_name: str = DEFAULT_MODEL
    digest: str = ""
    tile: int | None = None
    hdus: tuple = ()
    proba: bool = False
    compress: bool = False


def load_model(path=None):
    """The model that comes with skastro, or one that was saved.

    Parameters
    ----------
    path : Path, optional
        What `skastro.io.save` wrote.

    Returns
    -------
    model : SourceSegmenter

    Raises
    ------
    ValueError
        The file is no estimator, one that finds nothing in images, one without numbers for its prior or bits
        for its classes.
    OSError
        The file cannot be read.
    """
    if path is None:
        from skastro.segmentation import SourceSegmenter

        return SourceSegmenter.from_pretrained(DEFAULT_MODEL)
    from skastro.io import load

    # skops says so of a file that is no archive, and not of one that is missing
    with open(path, "rb"):
        model = load(path)
    lost = [name for name in NEEDED if not hasattr(model, name)]
    if lost:
        raise ValueError(
            f"--model {path} is a {type(model).__name__}, without {lost[0]}; expected a fitted "
            "SourceSegmenter."
        )
    if isinstance(model.prior_, str):
        raise ValueError(
            f"--model {path} has prior {model.prior_!r}; expected numbers, which set_prior sets, and "
            "--prior estimate for each image."
        )
    if not all(model.bits_.values()):
        raise ValueError(
            f"--model {path} has exclusive classes (bits {list(model.bits_.values())}); expected a bit for "
            "each class, of mode='multilabel' or 'binary'."
        )
    return model


def weights_digest(model):
    """SHA-256 of the names and numbers of the weights of a network."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.net_.module_.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def numbers_of(model, name):
    """An attribute with a number for each class, as a dict."""
    import numpy as np

    values = np.broadcast_to(np.asarray(getattr(model, name), float), (len(model.labels_),))
    return {label: float(value) for label, value in zip(model.labels_, values, strict=True)}


def plain(value):
    """A number, or a list of them, that JSON can hold: it has no infinity."""
    import numpy as np

    if value is None or np.ndim(value):
        return None if value is None else [plain(one) for one in value]
    return float(value) if np.isfinite(value) else str(value)


def _label(text, model, option):
    """The class that a text means, in any case."""
    for label in model.labels_:
        if label.lower() == text.strip().lower():
            return label
    raise ValueError(
        f"{option} has the class {text!r}; expected one of {', '.join(model.labels_)}."
    )


def _number(text, option, expected, test):
    try:
        value = float(text)
    except ValueError:
        value = None
    # not a number, or NaN, which no test holds for
    if value is None or not test(value):
        raise ValueError(f"{option} {text!r}; expected {expected}.")
    return value


def _pairs(texts, model, option, expected, test):
    """CLASS=NUMBER, once or several with commas, to a dict."""
    found = {}
    for text in texts:
        for pair in text.split(","):
            name, equals, number = pair.partition("=")
            if not equals:
                raise ValueError(f"{option} {pair!r}; expected CLASS=NUMBER.")
            label = _label(name, model, option)
            if label in found:
                raise ValueError(f"{option} has the class {label} twice; expected it once.")
            found[label] = _number(number, f"{option} {name.strip()}", expected, test)
    return found


def configure(model, *, classes=None, priors=(), thresholds=(), dilate=()):
    """Set priors and thresholds of a model as the command line says.

    Parameters
    ----------
    model : SourceSegmenter
        Changed.
    classes : str, optional
        Names with commas between; None: all.
    priors : list of str, default=()
        "cr=1e-4", or "estimate" for the classes that have none.
    thresholds : list of str, default=()
        "cr=0.4", or one policy: "fdr:0.01", "mcc", "0.5".
    dilate : list of str, default=()
        "cr=2", or "1" for all classes.

    Returns
    -------
    settings : MaskSettings

    Raises
    ------
    ValueError
        An unknown class, a class that is not looked for, a number out of its range.
    """
    labels = tuple(model.labels_)
    if classes is not None:
        named = [_label(one, model, "--classes") for one in classes.split(",") if one.strip()]
        if not named:
            raise ValueError(f"--classes {classes!r} names none; expected {', '.join(labels)}.")
        labels = tuple(one for one in labels if one in named)
    numbers = [text for text in priors if text.strip().lower() != "estimate"]
    given = _pairs(numbers, model, "--prior", "a number between 0 and 1", lambda p: 0 < p < 1)
    _check_wanted(given, labels, "--prior")
    estimate = ()
    if len(numbers) < len(priors):
        estimate = tuple(one for one in labels if one not in given)
    if given:
        model.set_prior(given)
    _set_thresholds(model, thresholds, labels)
    return MaskSettings(labels, _dilations(model, dilate, labels), estimate)


def _check_wanted(given, labels, option):
    for label in given:
        if label not in labels:
            raise ValueError(f"{option} has the class {label}, which --classes leaves out.")


def _set_thresholds(model, texts, labels):
    policies = [text for text in texts if "=" not in text]
    if not texts:
        return
    if policies and len(texts) > 1:
        raise ValueError(
            f"--threshold has {policies[0]!r} and another; expected one policy, or CLASS=NUMBER for "
            "each class."
        )
    if not policies:
        from_0_to_1 = "a number from 0 to 1"
        given = _pairs(texts, model, "--threshold", from_0_to_1, lambda t: 0 <= t <= 1)
        _check_wanted(given, labels, "--threshold")
        levels = numbers_of(model, "thresholds_") | given
        levels = [levels[label] for label in model.labels_]
        model.set_threshold("fixed", levels if len(levels) > 1 else levels[0])
        return
    policy, colon, level = policies[0].partition(":")
    try:
        policy, level = "fixed", float(policy)
    except ValueError:
        level = (
            None if not colon else _number(level, f"--threshold {policy}", "a number", lambda _: 1)
        )
    try:
        model.set_threshold(policy, level)
    except ValueError as error:
        raise ValueError(f"--threshold {policies[0]}: {error}") from error


def _dilations(model, texts, labels):
    expected = "a whole number of pixels from 0 to 1000"

    def whole(n):
        return 0 <= n <= 1000 and n == int(n)

    everywhere = [text for text in texts if "=" not in text]
    if len(everywhere) > 1:
        raise ValueError(f"--dilate has {everywhere[0]} and {everywhere[1]}; expected one for all.")
    base = _number(everywhere[0], "--dilate", expected, whole) if everywhere else 0
    given = _pairs([one for one in texts if "=" in one], model, "--dilate", expected, whole)
    _check_wanted(given, labels, "--dilate")
    return {label: int(given.get(label, base)) for label in labels}


def describe_classes(model):
    """Table of the classes of a model: bit, prior, threshold and meaning."""
    priors, thresholds = numbers_of(model, "prior_"), numbers_of(model, "thresholds_")
    width = max(6, *(len(label) for label in model.labels_))
    lines = [f"{'class':<{width}}  {'bit':>10}  {'prior':>9}  {'threshold':>9}  meaning"]
    for label, bit in sorted(model.bits_.items(), key=lambda item: item[1]):
        prior, threshold = f"{priors[label]:.4g}", f"{thresholds[label]:.4g}"
        meaning = MEANINGS.get(label, "")
        lines.append(f"{label:<{width}}  {bit:>10}  {prior:>9}  {threshold:>9}  {meaning}".rstrip())
    lines.append(
        f"{'NODATA':<{width}}  {model.nodata_bit_:>10}  {'':>9}  {'':>9}  blank, or not examined"
    )
    return "\n".join(lines)
