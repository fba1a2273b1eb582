"""Truth and prediction, checked together and read in blocks."""

import numpy as np
import pytest

from skastro import pairs
from skastro.pairs import check_pair, column_blocks, read_block


def test_nothing_is_copied():
    y_true, y_pred = np.ones((5, 3), dtype=np.float32), np.ones((5, 3))
    truth, guess, mask = check_pair(y_true, y_pred, None)
    assert np.shares_memory(truth, y_true) and np.shares_memory(guess, y_pred) and mask is None
    block, _, valid = read_block(truth, guess, None, slice(0, 2))
    assert block.dtype == np.float64 and valid.all()
    block[:] = 7.0
    assert (y_true == 1.0).all()


@pytest.mark.parametrize("shapes", [((5,), (5, 1)), ((5, 1), (5,)), ((5,), (5,))])
def test_one_output_in_either_form(shapes):
    truth, guess, _ = check_pair(np.ones(shapes[0]), np.ones(shapes[1]), None)
    assert truth.shape == guess.shape == (5, 1)


@pytest.mark.parametrize("shapes", [((5,), ()), ((5,), (1, 5)), ((5, 2), (2, 5)), ((1,), ())])
def test_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match="expected .*, the shape of y_true"):
        check_pair(np.ones(shapes[0]), np.ones(shapes[1]), None)


def test_blocks_cover_all_columns_once(monkeypatch):
    monkeypatch.setattr(pairs, "BLOCK_ENTRIES", 25)
    found = [list(range(b.start, b.stop)) for b in column_blocks((10, 5))]
    assert found == [[0, 1], [2, 3], [4]]
    # a column longer than a block is still read
    assert len(list(column_blocks((100, 3)))) == 3
