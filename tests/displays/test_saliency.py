"""Images and their saliency: what is drawn, summed and told."""

import matplotlib
import numpy as np
import pytest

from skastro.displays import SaliencyDisplay

matplotlib.use("agg")
rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(3, 2, 6, 8))
SALIENCY = rng.normal(size=IMAGES.shape)
BANDS = ["g", "r"]


class Known:
    """Linear: its saliency is exact."""

    target_names_ = ["mass", "age"]
    weights = rng.normal(size=(2, 2, 6, 8))

    def predict(self, X, extra=0.0):
        return np.einsum("nchw,tchw->nt", X, self.weights) + extra

    def saliency(self, X, target=0, extra=0.0):
        return X * self.weights[target]


def drawn(ax):
    return np.asarray(ax.images[-1].get_array())


def test_channels_are_summed():
    display = SaliencyDisplay.from_values(IMAGES, SALIENCY, titles=["a", "b", "c"], unit="kpc")
    assert display.axes_["saliency"].shape == (1, 3)
    for i in range(3):
        above, below = display.axes_["images"][0, i], display.axes_["saliency"][0, i]
        np.testing.assert_allclose(drawn(above), IMAGES[i, 0] + IMAGES[i, 1])
        np.testing.assert_allclose(drawn(below), SALIENCY[i, 0] + SALIENCY[i, 1])
        assert above.get_title() == "abc"[i]
        assert below.get_title() == f"sum {SALIENCY[i].sum():+.3g}".replace("-", "−")
    assert display.colorbar_.ax.get_ylabel() == "contribution of a pixel to\nprediction [kpc]"


def test_colours_are_centred_and_shared():
    saliency = SALIENCY.copy()
    saliency[0, 0, 0, 0] = -1e3
    display = SaliencyDisplay.from_values(IMAGES, saliency, channels=[1, 0], channel_names=BANDS)
    end = np.percentile(np.abs(saliency), 99.5)
    for ax in display.axes_["saliency"].ravel():
        assert ax.images[0].get_clim() == (-end, end)
    for row, channel in enumerate([1, 0]):
        for i in range(3):
            np.testing.assert_allclose(drawn(display.axes_["images"][row, i]), IMAGES[i, channel])
            np.testing.assert_allclose(
                drawn(display.axes_["saliency"][row, i]), saliency[i, channel]
            )
    assert [ax.get_ylabel() for ax in display.axes_["images"][:, 0]] == ["r", "g"]
    assert [ax.get_ylabel() for ax in display.axes_["saliency"][:, 0]] == [
        "r saliency",
        "g saliency",
    ]


def test_channel_by_name_and_overlay():
    display = SaliencyDisplay.from_values(
        IMAGES, SALIENCY, channels="r", channel_names=BANDS, overlay=True
    )
    ax = display.axes_["saliency"][0, 2]
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), IMAGES[2, 1])
    np.testing.assert_allclose(drawn(ax), SALIENCY[2, 1])
    end = ax.images[1].get_clim()[1]
    np.testing.assert_allclose(
        ax.images[1].get_alpha(), np.minimum(np.abs(SALIENCY[2, 1]) / end, 1)
    )
    display.figure_.canvas.draw()


def test_saliency_of_an_estimator():
    model = Known()
    y = model.predict(IMAGES) + 1.0
    display = SaliencyDisplay.from_estimator(model, IMAGES, y, target="age", extra=0.5)
    np.testing.assert_allclose(display.saliency[:, 0], (IMAGES * model.weights[1]).sum(1))
    # with a baseline of zero it sums to the prediction less that for zero
    np.testing.assert_allclose(display.totals, model.predict(IMAGES)[:, 1])
    assert display.titles[0] == f"true {y[0, 1]:.4g}\npredicted {y[0, 1] - 0.5:.4g}"
    assert display.target_name == "age"
    alone = SaliencyDisplay.from_estimator(model, IMAGES[:1])
    assert alone.titles == [f"predicted {y[0, 0] - 1:.4g}"] and alone.target_name == "mass"


def test_the_first_images_of_many_and_images_without_channels():
    many = rng.poisson(1.0, (9, 5, 5))
    display = SaliencyDisplay.from_values(many, many - 1.0)
    assert display.axes_["images"].shape == (1, 4) and len(display.totals) == 4
    np.testing.assert_array_equal(drawn(display.axes_["images"][0, 3]), many[3])


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_images_and_no_saliency(value):
    images = np.full((1, 4, 4), value)
    display = SaliencyDisplay.from_values(images, np.zeros((1, 4, 4)))
    display.figure_.canvas.draw()
    assert display.axes_["saliency"][0, 0].images[0].get_clim() == (-1.0, 1.0)


def test_unknown_pixels_are_left_empty_and_bright_ones_keep_the_noise_visible():
    images = rng.normal(size=(1, 32, 32))
    images[0, 3, 3], images[0, 10:12, 10:14] = np.nan, 1e4
    display = SaliencyDisplay.from_values(images, rng.normal(size=images.shape))
    picture = display.axes_["images"][0, 0].images[0]
    display.figure_.canvas.draw()
    assert np.ma.getmaskarray(picture.get_array())[3, 3]
    # the noise takes a good part of the greys
    assert np.diff(picture.norm([-1.0, 1.0])).item() > 0.05


@pytest.mark.parametrize(
    "images, saliency, options, message",
    [
        (IMAGES[0, 0], SALIENCY[0, 0], {}, r"images has shape \(6, 8\); expected \(n, h, w\)"),
        (IMAGES[:0], SALIENCY[:0], {}, r"images has shape \(0, 2, 6, 8\)"),
        (
            IMAGES,
            SALIENCY[:, :1],
            {},
            r"saliency has shape \(3, 1, 6, 8\); expected \(3, 2, 6, 8\)",
        ),
        (IMAGES, SALIENCY * np.nan, {}, "saliency has NaN or infinity"),
        (IMAGES, SALIENCY, {"channels": 2}, "channels=2; expected an index below 2"),
        (IMAGES, SALIENCY, {"channels": "u"}, "channels='u'; expected one of"),
        (IMAGES, SALIENCY, {"channels": []}, "channels is empty"),
        (IMAGES, SALIENCY, {"channel_names": ["g"]}, "channel_names has 1 entries; expected 2"),
        (IMAGES, SALIENCY, {"titles": ["a"]}, "titles has 1 entries; expected 3"),
    ],
)
def test_bad_values(images, saliency, options, message):
    with pytest.raises(ValueError, match=message):
        SaliencyDisplay.from_values(images, saliency, **options)


def test_bad_estimator_target_and_truth():
    with pytest.raises(ValueError, match="object has no saliency"):
        SaliencyDisplay.from_estimator(object(), IMAGES)
    with pytest.raises(ValueError, match="target='z'; expected one of"):
        SaliencyDisplay.from_estimator(Known(), IMAGES, target="z")
    with pytest.raises(ValueError, match=r"y has shape \(3,\); expected \(3, 2\)"):
        SaliencyDisplay.from_estimator(Known(), IMAGES, np.zeros(3))
