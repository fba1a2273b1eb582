"""The toy PDR code: limits and laws that its physics must obey."""

import numpy as np
import pytest

from skastro.datasets import slab
from skastro.datasets.slab import (
    N_SPECIES,
    _temperature,
    fronts,
    inclined,
    line_table,
    slab_lines,
)


def run(log_p, log_uv, log_av, n_outputs=64):
    log_p, log_uv, log_av = np.broadcast_arrays(
        np.atleast_1d(log_p), np.atleast_1d(log_uv), np.atleast_1d(log_av)
    )
    log_p, log_uv, log_av = (np.array(v, dtype=float) for v in (log_p, log_uv, log_av))
    table = line_table(n_outputs)
    front, _ = fronts(log_p, log_uv, log_av)
    return table, front, *slab_lines(log_p, log_uv, log_av, table, front)


def test_line_table_proportions():
    table = line_table(5409)
    counts = np.bincount(table["species"])
    assert len(counts) == N_SPECIES == 16
    assert counts.sum() == 5409 and len(set(table["names"])) == 5409
    # one line each, and the rest in proportion
    assert abs(counts.max() - 3609) <= 10 and abs(counts.min() - 9) <= 2
    assert np.bincount(line_table(16)["species"]).tolist() == [1] * 16


def test_temperature_is_a_fixed_point_with_two_branches():
    log_uv = np.linspace(-2, 5, 400)
    log_p = np.full(400, 7.0)
    hot, cold = (_temperature(log_uv, log_p, start) for start in (True, False))
    assert np.all(hot >= cold - 1e-6)
    both = hot - cold > 0.5
    assert 10 < both.sum() < 200  # bistable over a part of the range, not everywhere
    # one stretch in between: cold only below it, hot only above it
    assert np.all(np.diff(np.flatnonzero(both)) == 1)
    # the rest agrees, but for a node on the fold itself, where the iteration is slow
    assert (np.abs(hot - cold)[~both] > 1e-3).sum() <= 2
    assert cold[0] < 1.5 and hot[-1] > 3.0


def test_front():
    """The front moves inward by ln(10) / 1.8 mag per decade of UV, and stops at the slab's end."""
    log_uv = np.linspace(3.5, 5, 7)
    hot, cold = fronts(np.full(7, 6.0), log_uv, np.full(7, 1.6))
    assert np.all(cold <= hot)
    np.testing.assert_allclose(np.diff(hot), np.log(10) / 1.8 * 0.25, rtol=0.02)
    thin, _ = fronts(np.full(7, 6.0), log_uv, np.full(7, 0.0))
    np.testing.assert_allclose(thin, np.minimum(hot, 1.0))
    none, _ = fronts(np.array([9.0]), np.array([0.0]), np.array([1.0]))
    assert none[0] == 0.0


def test_hot_lines_vanish_with_the_hot_layer():
    """Sharp but true: below the limit in G0 / P the lines of hot gas drop by decades."""
    log_uv = np.linspace(0, 5, 200)
    table, front, emission, _ = run(7.0, log_uv, 1.0, 400)
    jump = np.abs(np.diff(np.log10(emission), axis=0))
    at = np.flatnonzero((front[1:] > 0) & (front[:-1] == 0))
    assert len(at) == 1
    hydrogen = np.flatnonzero(table["species"] == 0)
    assert jump[at[0], hydrogen].max() > 1.0
    elsewhere = np.delete(jump, np.arange(max(at[0] - 3, 0), at[0] + 4), axis=0)
    assert np.median(elsewhere) < 0.02


def test_a_deeper_slab_emits_more():
    _, _, emission, optical_depth = run(6.0, 3.0, np.linspace(0, 1.6, 30))
    # the mesh differs from slab to slab: allow its error
    assert np.all(np.diff(emission, axis=0) > -0.01 * emission[:-1])
    assert np.all(np.diff(optical_depth, axis=0) > -0.01 * optical_depth[:-1])


def test_forty_cells_are_enough(monkeypatch):
    rng = np.random.default_rng(0)
    points = rng.uniform([5, 0, 0], [9, 5, 1.6], (100, 3)).T
    coarse = run(*points)[2]
    monkeypatch.setattr(slab, "N_HOT", 160)
    monkeypatch.setattr(slab, "N_COLD", 240)
    error = np.abs(np.log10(coarse / run(*points)[2]))  # dex
    assert np.median(error) < 0.002 and np.percentile(error, 99) < 0.1


def test_mesh_leaves_no_ripples():
    """Smooth behind the limit of the hot layer: no steps as fronts cross cells."""
    log_uv = np.linspace(4.0, 4.2, 41)
    _, front, emission, _ = run(6.0, log_uv, 1.2)
    assert np.all(front > 0)
    log_y = np.log10(emission.astype(float))
    assert np.abs(np.diff(log_y, n=2, axis=0)).max() < 1e-3


def test_inclination_limits():
    emission = np.ones((4, 3), np.float32)
    angle = np.array([0.0, 20.0, 45.0, 60.0])
    thin = inclined(emission, np.full((4, 3), 1e-9, np.float32), angle)
    np.testing.assert_allclose(thin[:, 0], 1 / np.cos(np.deg2rad(angle)), rtol=1e-5)
    thick = inclined(emission, np.full((4, 3), 1e4, np.float32), angle)
    np.testing.assert_allclose(thick, 1e-4, rtol=1e-5)  # saturated: no angle left
    depth = np.logspace(-8, 4, 200, dtype=np.float32)[:, None]
    intensity = inclined(depth, depth, np.zeros(200))[:, 0]
    assert np.all(np.diff(intensity) > -1e-6 * intensity[1:])  # 1e-6: float32


@pytest.mark.parametrize("corner", [(5, 0), (5, 5), (9, 0), (9, 5)])
def test_positive_and_finite_at_the_corners(corner):
    _, _, emission, optical_depth = run(*corner, [0.0, 1.6], 500)
    assert np.isfinite(emission).all() and np.isfinite(optical_depth).all()
    assert emission.min() > 1e-30 and optical_depth.min() >= 0
