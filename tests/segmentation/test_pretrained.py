"""Segmenters that come trained: what a file of weights brings back, and what the one that ships can do."""

import pickle

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from skastro.datasets import CONTAMINANTS, make_contaminants, unpack_bits
from skastro.segmentation import SourceSegmenter, UNet
from skastro.segmentation.pretrained import FOLDER, write_pretrained


@pytest.fixture(scope="module")
def frames():
    # a seed that nothing was trained, calibrated or chosen on
    return make_contaminants(4, shape=(256, 256), random_state=77)


@pytest.fixture(scope="module")
def survey():
    return SourceSegmenter.from_pretrained("contaminants")


def test_has_the_classes_and_bits_of_the_frames(survey, frames):
    assert survey.labels_ == list(frames.labels)
    assert survey.bits_ == {name: CONTAMINANTS[name].bit for name in frames.labels}
    assert "Limits" in survey.card_ and survey.card_ == (FOLDER / "contaminants.md").read_text()


def test_fits_into_five_megabytes():
    assert (FOLDER / "contaminants.safetensors").stat().st_size < 5e6


def test_finds_what_is_sharp(survey, frames):
    proba = survey.predict_proba(frames.images)
    truth = unpack_bits(frames.bits, survey.bits_)
    # many cosmic rays are at one sigma, in crowded fields
    for name, least in {"CR": 0.85, "HCL": 0.95, "DCL": 0.95, "SAT": 0.95}.items():
        i = survey.labels_.index(name)
        assert truth[:, i].any(), name
        assert roc_auc_score(truth[:, i].ravel(), proba[:, i].ravel()) > least, name


def test_thresholds_come_along(survey, frames):
    model = pickle.loads(pickle.dumps(survey))
    before = model.predict_bits(frames.images)
    again = model.set_threshold("mcc").predict_bits(frames.images)
    np.testing.assert_array_equal(before, again)
    stricter = model.set_threshold("fpr", 1e-5).predict(frames.images)
    assert stricter.sum() < model.set_threshold("fpr", 1e-3).predict(frames.images).sum()


def test_a_file_brings_all_back(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.normal(100.0, 5.0, (16, 32, 32)).astype(np.float32)
    hot = rng.random(images.shape) < 0.05
    images[hot] += 15.0
    planes = np.where(hot, 4, 0).astype(np.uint16)
    model = SourceSegmenter(
        UNet(widths=(6, 8)), labels={"hot": 4}, scaling="asinh", calibration="platt", lr=1e-2,
        max_epochs=4, threshold="mcc", validation_fraction=0.3, random_state=0,
    ).fit(images, planes)  # fmt: skip
    path = tmp_path / "hot.safetensors"
    write_pretrained(model, path, "what it is")
    other = SourceSegmenter.from_pretrained(path)
    assert other.card_ == "what it is" and other.bits_ == {"hot": 4}
    np.testing.assert_array_equal(other.predict_proba(images), model.predict_proba(images))
    np.testing.assert_array_equal(other.predict_bits(images), model.predict_bits(images))
    # of all held-out pixels, or of those that ship
    np.testing.assert_allclose(other.set_threshold("mcc").thresholds_, model.thresholds_, rtol=0.1)
    with pytest.raises(ValueError, match="expected a UNet, 'asinh'"):
        write_pretrained(
            SourceSegmenter(UNet(widths=(6,)), scaling="max", max_epochs=1).fit(images, hot), path
        )


def test_other_names_and_files(tmp_path):
    with pytest.raises(ValueError, match=r"name='stars'; expected contaminants"):
        SourceSegmenter.from_pretrained("stars")
    with pytest.raises(FileNotFoundError):
        SourceSegmenter.from_pretrained(tmp_path / "none.safetensors")
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is no file of safetensors"):
        SourceSegmenter.from_pretrained(wrong)
