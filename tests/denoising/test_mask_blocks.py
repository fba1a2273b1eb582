import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skastro.denoising.cube_survey import RowReader, mask_scale, survey_mask, survey_noise
from skastro.denoising.mask_blocks import BlockComponents
from skastro.denoising.noise import estimate_noise
from skastro.denoising.signal_mask import find_signal
from skastro.io import read_cube


@pytest.fixture(scope="module")
def cube():
    """Structures along the rows, so that blocks cut them."""
    rng = np.random.default_rng(3)
    field = gaussian_filter(rng.standard_normal((90, 20, 40)), (9, 1.5, 2))
    cube = 6.0 * np.clip(field / field.std() - 1.0, 0, None)
    cube += rng.standard_normal(cube.shape)
    cube[30:33, 4:7] = np.nan
    return cube.astype(np.float32)


@pytest.mark.parametrize("rows", [1, 7, 31, 90])
@pytest.mark.parametrize("options", [{}, {"high": 4.0, "min_voxels": 40, "smooth": 2.0}])
def test_same_mask_as_of_the_whole(cube, rows, options):
    whole = find_signal(cube, 1.0, n_dilate=0, **options)
    source, level = read_cube(cube), [np.ones((1, 1, 1), np.float32)]
    scale = mask_scale(source, level, options.get("smooth", 1.0))
    found = survey_mask(source, level, options, scale, rows)
    seen = np.isfinite(cube)
    assert 1000 < whole.sum() < 0.9 * whole.size
    np.testing.assert_array_equal(found[0:90] & seen, whole)
    np.testing.assert_array_equal(found[5:9] & seen[5:9], whole[5:9])


def test_a_peak_far_away_saves_a_component():
    snr = np.zeros((40, 3, 9))
    snr[:, 1, 4] = 2.5
    for peak, kept in ((4.0, 0), (6.0, 40)):
        snr[39, 1, 4] = peak
        found = BlockComponents(snr.shape, 2.0, 5.0, least=8)
        for start in range(0, 40, 3):
            rows = slice(start, min(start + 3, 40))
            found.add(rows, snr[rows])
        found.close()
        assert found[0:40].sum() == kept


def test_branches_that_meet_in_a_later_block_are_one():
    snr = np.zeros((6, 5, 3))
    snr[0:4, 0, 1] = snr[0:4, 4, 1] = 3.0
    snr[4, :, 1] = 3.0
    snr[0, 0, 1] = 9.0
    found = BlockComponents(snr.shape, 2.0, 5.0, least=13)
    for rows in (slice(0, 2), slice(2, 4), slice(4, 6)):
        found.add(rows, snr[rows])
    found.close()
    np.testing.assert_array_equal(found[0:6], snr > 2.0)


def test_nothing_above():
    found = BlockComponents((2, 3, 4), 2.0, 5.0, least=1)
    found.add(slice(0, 2), np.zeros((2, 3, 4)))
    found.close()
    assert not found[0:2].any()


def test_noise_read_in_rows_is_that_of_the_array(cube):
    level = estimate_noise(cube)
    rows = RowReader(read_cube(cube))
    np.testing.assert_array_equal(rows[3:80:7, ::5], cube[3:80:7, ::5])
    again = estimate_noise(rows)
    np.testing.assert_array_equal(again.map, level.map)
    factors = survey_noise(read_cube(cube))
    assert factors[0].shape == (90, 20, 1) and np.isfinite(factors[0]).all()
