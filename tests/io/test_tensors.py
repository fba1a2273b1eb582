"""Named arrays in one file: the format of safetensors, by hand and by its own library."""

import json

import numpy as np
import pytest

from skastro.io.tensors import read_tensors, write_tensors


def some():
    rng = np.random.default_rng(0)
    return {
        "a": rng.normal(size=(3, 4)).astype(np.float32),
        "b.c": np.arange(5),
        "scalar": np.array(2.5),
        "flags": np.array([True, False]),
        "big": np.arange(3, dtype=">u2"),
        "empty": np.zeros((0, 2), np.float16),
    }


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, some(), {"card": "what it is"})
    tensors, metadata = read_tensors(path)
    assert metadata == {"card": "what it is"} and set(tensors) == set(some())
    for name, array in some().items():
        np.testing.assert_array_equal(tensors[name], array)
        assert tensors[name].shape == array.shape and tensors[name].dtype.isnative


def test_bytes_are_those_of_the_format(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": np.array([1.0, -2.0], np.float32)})
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    assert json.loads(raw[8 : 8 + size]) == {
        "x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    }
    assert raw[8 + size :] == b"\x00\x00\x80\x3f\x00\x00\x00\xc0" and size % 8 == 0


def test_the_library_of_the_format_agrees(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    path, other = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    write_tensors(path, some(), {"card": "what it is"})
    for name, array in safetensors.load_file(path).items():
        np.testing.assert_array_equal(array, some()[name])
    native = {k: v.astype(v.dtype.newbyteorder("=")) for k, v in some().items()}
    safetensors.save_file(native, other)
    for name, array in read_tensors(other)[0].items():
        np.testing.assert_array_equal(array, native[name])


@pytest.mark.parametrize("raw", [b"", b"abc", b"\x08" + 7 * b"\0" + b"notajson", None])
def test_other_files(tmp_path, raw):
    path = tmp_path / "x.safetensors"
    if raw is None:
        # an array that is cut off
        write_tensors(path, some())
        raw = path.read_bytes()[:-3]
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="is no file of safetensors") as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


def test_bad_input(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="tensors has 'x' of type"):
        write_tensors(path, {"x": np.array(["a"])})
    with pytest.raises(ValueError, match="metadata has 'n' of another type"):
        write_tensors(path, some(), {"n": 3})
    assert path.read_bytes() == b"old"
