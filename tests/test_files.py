"""A failed write leaves the old file and nothing else."""

import errno
import os
import stat

import numpy as np
import pytest

from skastro.files import replacing, reserve, write_at


def test_the_file_is_replaced_when_all_is_written(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.suffix == ".csv" and temporary.parent == tmp_path
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.csv"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "a.csv"):
        pass


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve")
def test_a_full_disk_says_so_at_once(tmp_path, monkeypatch):
    def fails(code):
        def reserving(*args):
            raise OSError(code, "no")

        return reserving

    with open(tmp_path / "a", "wb") as file:
        reserve(file, 5000)
        assert (tmp_path / "a").stat().st_size == 5000
        # some file systems cannot: the file has its length all the same
        monkeypatch.setattr(os, "posix_fallocate", fails(errno.EOPNOTSUPP))
        reserve(file, 6000)
        assert (tmp_path / "a").stat().st_size == 6000
        monkeypatch.setattr(os, "posix_fallocate", fails(errno.ENOSPC))
        with pytest.raises(OSError, match="no"):
            reserve(file, 7000)


def test_all_bytes_are_written_where_they_belong(tmp_path):
    class Slow:
        """A file that takes three bytes at a time."""

        def __init__(self, file):
            self.seek, self.file = file.seek, file

        def write(self, content):
            return self.file.write(content[:3])

    values = np.arange(6, dtype=">i2").reshape(2, 3)
    with open(tmp_path / "a", "wb", buffering=0) as file:
        reserve(file, 20)
        write_at(Slow(file), values, 4)
        write_at(Slow(file), b"end", 17)
        write_at(Slow(file), values[:0], 0)
    assert (tmp_path / "a").read_bytes() == b"\0" * 4 + values.tobytes() + b"\0end"
