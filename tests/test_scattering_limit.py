"""The count of FFTs that can't be avoided is what the statistics are seen to do."""

import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from skastro.scattering import WST, Covariance, PhaseHarmonics

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def limit(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import scattering_limit

    yield scattering_limit
    sys.modules.pop("scattering_limit", None)


def seen(bank, monkeypatch):
    """Planes that a statistic transforms, for one map: a Counter of (kind, height, width)."""
    count = Counter()

    def spy(name):
        function = getattr(torch.fft, name)

        def counted(x, *args, **options):
            out = function(x, *args, **options)
            plane = out if name == "irfft2" else x
            kind = {"rfft2": "real", "irfft2": "half"}.get(name, "complex")
            count[kind, *plane.shape[-2:]] += plane[..., 0, 0].numel()
            return out

        return counted

    with monkeypatch.context() as patch:
        for name in ("fft2", "ifft2", "rfft2", "irfft2"):
            patch.setattr(torch.fft, name, spy(name))
        with torch.inference_mode():
            bank(torch.randn(1, *bank.shape, generator=torch.Generator().manual_seed(0)))
    return count


def of_size(count):
    """Without the kind: what is real may be transformed as complex."""
    total = Counter()
    for (_, *size), n in count.items():
        total[tuple(size)] += n
    return total


@pytest.mark.parametrize(
    "bank",
    [
        WST((96, 80), 3, 4),
        WST((96, 80), 3, 2, same_scale=True),
        WST((96, 80), 3, 4, max_order=1),
        WST((64, 64), 3, 4, output="local"),
        WST((64, 64), 3, 4, output="local", boundary="periodic"),
        Covariance((200, 160), 5, 2),
        PhaseHarmonics((200, 160), 5, 2),
        PhaseHarmonics((200, 160), 5, 2, families=("S11", "C01")),
    ],
    ids=lambda bank: type(bank).__name__,
)
def test_no_statistic_does_with_less(bank, limit, monkeypatch):
    wanted, done = of_size(limit.ffts(bank)), of_size(seen(bank, monkeypatch))
    assert all(done[size] >= n for size, n in wanted.items())
    # what ours does beyond that are fields that the coupling of phases makes again
    assert sum(done.values()) <= (1.3 if type(bank) is PhaseHarmonics else 1) * sum(wanted.values())


def test_counts_of_a_case_by_hand(limit):
    count = limit.ffts(WST((64, 64), 2, 3, output="local", boundary="periodic"))
    # 3 + 3 wavelets; the moduli of the 3 finer ones forth; 9 paths of order 2, on half of the grid
    assert count == {
        ("real", 64, 64): 1 + 3,
        ("complex", 64, 64): 3,
        ("complex", 32, 32): 3 + 9,
    }
    assert limit.backward(count) == {
        ("half", 64, 64): 4,
        ("complex", 64, 64): 3,
        ("complex", 32, 32): 12,
    }
    assert limit.peer_ffts(WST((64, 64), 2, 3)) == {
        ("real", 64, 64): 1 + 3,
        ("complex", 64, 64): 3 + 3 + 9,
    }
    assert sum(limit.peer_ffts(Covariance((64, 64), 3, 2)).values()) == 1 + 2 * 6
    assert sum(limit.peer_ffts(PhaseHarmonics((64, 64), 3, 2)).values()) == 1 + 6 + 2


def test_seconds_grow_with_the_count(limit):
    one = Counter({("complex", 32, 32): 2, ("real", 32, 32): 1})
    ten = Counter({key: 10 * n for key, n in one.items()})
    first, second = limit.seconds([one, ten], 3)
    assert 0 < first < 1 and second == pytest.approx(10 * first)
