"""Segmenters that come trained: a file of weights, and all else that `SourceSegmenter` has to know."""

import json
from pathlib import Path

import numpy as np

from skastro.io.tensors import read_tensors, write_tensors
from skastro.probability_maps import make_map
from skastro.segmentation.held_out import HeldOut, condensed
from skastro.segmentation.losses import resolve_loss
from skastro.segmentation.networks import UNet
from skastro.segmentation.scaling import ImageScaler

__all__ = ["FOLDER", "PRETRAINED", "read_pretrained", "write_pretrained"]

FOLDER = Path(__file__).parent / "data"
PRETRAINED = ("contaminants",)
WEIGHTS = "network."
HELD = "held_out."
FORMAT = "1"
# fitted attributes that are numbers or names
PLAIN = (
    "mode_", "labels_", "bits_", "nodata_bit_", "n_channels_in_", "image_shape_", "input_unit_",
    "threshold_policy_", "n_iter_", "n_batch_", "turns_",
)  # fmt: skip
ARRAYS = ("prevalence_", "training_prior_", "prior_", "thresholds_", "class_weight_", "classes_")


def write_pretrained(model, path, card=""):
    """Write a fitted segmenter as one file of weights.

    Parameters
    ----------
    model : SourceSegmenter
        Fitted, of a single channel or more, with a `UNet`, "asinh" and calibration by lines or none.
    path : str or Path
    card : str
        What the file should say of its data, figures and limits.
    """
    known = isinstance(model.recipe_, UNet) and model.scaler_.kind_ == "asinh"
    lines = all(hasattr(one, "slope_") for one in model.maps_ or ())
    if not (known and lines):
        raise ValueError(
            f"model has {model.recipe_!r}, scaling {model.scaler_.kind_!r}; expected a UNet, 'asinh' and no "
            "map of probabilities but 'platt'."
        )
    tensors = {
        WEIGHTS + name: value.cpu().numpy()
        for name, value in model.net_.module_.state_dict().items()
    }
    for name, held in zip(model.labels_, model.held_out_ or (), strict=False):
        for field, values in condensed(held)._asdict().items():
            tensors[f"{HELD}{name}.{field}"] = values
    about = {
        "recipe": model.recipe_.get_params(),
        "parameters": {
            "loss": model.loss,
            "coordinates": model.coordinates,
            "augment": model.augment,
        },
        "fitted": {name: getattr(model, name) for name in PLAIN},
        "arrays": {name: np.asarray(getattr(model, name)).tolist() for name in ARRAYS},
        "maps": [[one.slope_, one.intercept_ - one.shift_] for one in model.maps_ or ()],
    }
    metadata = {"format": FORMAT, "skastro": json.dumps(about, default=list), "card": card}
    write_tensors(path, tensors, metadata)


def read_pretrained(cls, name):
    """A fitted segmenter from a name of `PRETRAINED`, or from a file.

    Parameters
    ----------
    cls : type
        `SourceSegmenter`.
    name : str or Path

    Returns
    -------
    model : SourceSegmenter

    Raises
    ------
    ValueError
        Another name, or a file of something else.
    OSError
        The file cannot be read.
    """
    path = Path(name)
    if str(name) in PRETRAINED:
        path = FOLDER / f"{name}.safetensors"
    elif path.suffix != ".safetensors":
        raise ValueError(
            f"name={str(name)!r}; expected {', '.join(PRETRAINED)}, or a file ending with .safetensors."
        )
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT or "skastro" not in metadata:
        raise ValueError(f"{path} holds no segmenter; expected one written by write_pretrained.")
    about = json.loads(metadata["skastro"])
    recipe = UNet(**about["recipe"] | {"widths": tuple(about["recipe"]["widths"])})
    labels = about["fitted"]["labels_"]
    model = cls(recipe, labels=about["fitted"]["bits_"], scaling="asinh", **about["parameters"])
    state = {**model.__getstate__(), **about["fitted"]}
    for key in ("image_shape_", "threshold_policy_", "turns_"):
        state[key] = tuple(state[key])
    for key, values in about["arrays"].items():
        array = np.array(values)
        state[key] = float(array) if array.ndim == 0 else array
    maps = []
    for slope, intercept in about["maps"]:
        one = make_map("platt")
        one.slope_, one.intercept_, one.shift_ = slope, intercept, 0.0
        maps.append(one)
    scaler = ImageScaler("asinh")
    scaler.kind_ = "asinh"
    scaler.center_, scaler.scale_ = (
        np.full(state["n_channels_in_"], value) for value in (0.0, 1.0)
    )
    held = [
        HeldOut(*(tensors[f"{HELD}{one}.{field}"] for field in HeldOut._fields))
        for one in labels
        if f"{HELD}{one}.logit" in tensors
    ]
    state |= {
        "recipe_": recipe,
        "scaler_": scaler,
        "loss_": resolve_loss(model.loss, state["mode_"]),
        "maps_": maps or None,
        "held_out_": held or None,
        "history_": [],
        "card_": metadata.get("card", ""),
        "weights_": {
            key[len(WEIGHTS) :]: value for key, value in tensors.items() if key.startswith(WEIGHTS)
        },
    }
    model.__setstate__(state)
    return model
