"""A synthetic grid of PDR models with its truth: sharp fronts, and planted anomalies."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skastro.datasets.slab import N_SPECIES, fronts, inclined, line_table, slab_lines

__all__ = ["make_pdr_like"]

FEATURES = ["log_P", "log_G0", "log_Av", "angle"]
BOX = np.array([[5.0, 9.0], [0.0, 5.0], [0.0, 1.6], [0.0, 60.0]])
ANOMALY_DEX = (0.1, 2.0)  # smallest and largest planted
SHARP_DEX = 0.3
BLOCK = 64  # models at once: the work arrays stay in the processor's cache

_DESCR = """\
Synthetic grid of photodissociation region (PDR) models
-------------------------------------------------------
A toy of a PDR code: a slab of 40 cells at constant pressure, lit from one side.

Inputs: log_P, log10 thermal pressure [K cm-3], 5 to 9; log_G0, log10 UV field, 0 to 5; log_Av,
log10 visual extinction [mag], 0 to 1.6; angle of view [deg], 0 to 60.
Outputs: line intensities of 16 species, arbitrary units of a surface brightness, linear, positive.
Physics: the UV field falls as exp(-1.8 Av); the temperature solves a thermal balance with a hot
and a cold branch, both stable over a range of G0 / n, and the solver starts hot; abundances switch
on and off at photochemical fronts; lines are excited by collisions with critical densities and by
the UV field; intensities saturate with optical depth and are seen along a path 1 / cos(angle)
longer. The code is the same for every random_state.

Sharp and true (`sharp_mask`): where G0 / P falls below a limit the hot layer vanishes. Each node
has a phase (all cold, with a front, all hot). An entry is sharp if, along log_P, log_G0 or log_Av,
a neighbouring node has another phase, and the step of log10(output) towards it differs by 0.3 dex
or more from the step on the node's own side. It is computed on the noiseless outputs of the full
grid.

Anomalies (`anomaly_mask`, `anomaly_dex`, `anomaly_kind`), of 0.1 to 2 dex each, in thirds of the
anomalous entries: 1 neighbouring branch, a bistable model solved from a cold start (its entries
that differ by 0.1 dex or more, cut at 2 dex); 2 failed model, all outputs off by a common offset
of 0.3 to 1.7 dex and a scatter of 0.15 dex; 3 single bad lines, log-uniform in size, which take
what the others leave. Models fail independently, the angles of one slab too.
"""


def _check(n_models, n_outputs, anomaly_fraction, n_test):
    for name, value, least in (
        ("n_models", n_models, 2),
        ("n_outputs", n_outputs, N_SPECIES),
        ("n_test", n_test, 0),
    ):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            why = " (a line for each species)" if name == "n_outputs" else ""
            raise ValueError(f"{name}={value!r}: expected an integer of at least {least}{why}")
    if not isinstance(anomaly_fraction, Real) or not 0.0 <= anomaly_fraction < 1.0:
        raise ValueError(
            f"anomaly_fraction={anomaly_fraction!r}: expected a number in [0, 1), of all entries"
        )


def _grid_shape(n_models):
    """Smallest grid of k x k x k x k/2 nodes that holds n_models."""
    k = 2
    while k**3 * ((k + 1) // 2) < n_models:
        k += 1
    return (k, k, k, (k + 1) // 2)


def _lines(points, table, branch="hot"):
    """Intensities (n_points, n_outputs) and the depth of the thermal front."""
    log_p, log_uv, log_av, angle = points.T
    front = fronts(log_p, log_uv, log_av)[branch == "cold"]
    result = np.empty((len(points), len(table["names"])), np.float32)
    for start in range(0, len(points), BLOCK):
        rows = slice(start, start + BLOCK)
        face_on = slab_lines(log_p[rows], log_uv[rows], log_av[rows], table, front[rows])
        result[rows] = inclined(*face_on, angle[rows])
    return result, front


def _grid_lines(axes, table):
    """As `_lines` on a grid; the angles of a slab share its physics."""
    slabs = np.stack(np.meshgrid(*axes[:3], indexing="ij"), axis=-1).reshape(-1, 3)
    log_p, log_uv, log_av = slabs.T
    front = fronts(log_p, log_uv, log_av)[0]
    angles = axes[3]
    result = np.empty((len(slabs), len(angles), len(table["names"])), np.float32)
    for start in range(0, len(slabs), BLOCK):
        rows = slice(start, start + BLOCK)
        face_on = slab_lines(log_p[rows], log_uv[rows], log_av[rows], table, front[rows])
        for i, angle in enumerate(angles):
            result[rows, i] = inclined(*face_on, np.full(len(face_on[0]), angle))
    phase = (front > 0).astype(np.int8) + (front >= 10.0**log_av)
    return result.reshape(-1, len(table["names"])), phase


def _sharp(target, phase, shape):
    """Entries beside a switch of phase, where the output bends by SHARP_DEX or more."""
    phase = phase.reshape(shape[:3])
    sharp = np.zeros(target.shape, dtype=bool)
    for start in range(0, target.shape[1], BLOCK):
        columns = slice(start, start + BLOCK)
        log_y = np.log10(target[:, columns]).reshape(*shape, -1)
        found = np.zeros(log_y.shape, dtype=bool)
        for axis in range(3):
            step = np.diff(log_y, axis=axis)
            switched = (np.diff(phase, axis=axis) != 0)[..., None, None]
            pad = [(1, 1) if i == axis else (0, 0) for i in range(log_y.ndim)]
            # Beyond the box the step of the far side stands in for the node's own.
            own = np.pad(step, pad, mode="reflect" if step.shape[axis] > 1 else "constant")
            n = step.shape[axis]
            for shift in (0, 1):  # the node before the step, then the one behind it
                nodes = [slice(None)] * log_y.ndim
                nodes[axis] = slice(shift, shift + n)
                beyond = [slice(None)] * log_y.ndim
                beyond[axis] = slice(2 * shift, 2 * shift + n)
                bend = np.abs(step - own[tuple(beyond)])
                found[tuple(nodes)] |= switched & (bend >= SHARP_DEX)
        sharp[:, columns] = found.reshape(len(target), -1)
    return sharp


def _plant(clean, points, table, budget, rng):
    """Offsets in dex and kinds of `budget` anomalous entries."""
    n_models, n_outputs = clean.shape
    smallest, largest = ANOMALY_DEX
    dex = np.zeros(clean.shape, np.float32)
    kind = np.zeros(clean.shape, np.int8)
    if budget == 0:
        return dex, kind

    # 1: the neighbouring branch, whole rows as long as they fit in a third of the budget
    hot, cold = fronts(*points[:, :3].T)
    bistable = rng.permutation(np.flatnonzero(hot > cold))
    rows = bistable[: 4 * (budget // 3) // n_outputs + 1]
    if len(rows):
        other, _ = _lines(points[rows], table, branch="cold")
        offset = np.clip(np.log10(other / clean[rows]), -largest, largest)
        differs = np.abs(offset) >= smallest
        fits = np.cumsum(differs.sum(axis=1)) <= budget // 3
        rows, offset, differs = rows[fits], offset[fits], differs[fits]
        dex[rows] = np.where(differs, offset, 0.0)
        kind[rows] = differs

    # 2: whole failed models
    free = np.flatnonzero(~kind.any(axis=1))
    rows = rng.permutation(free)[: (budget // 3) // n_outputs]
    common = rng.uniform(0.3, 1.7, (len(rows), 1))
    size = common + 0.15 * rng.standard_normal((len(rows), n_outputs))
    sign = rng.choice([-1.0, 1.0], (len(rows), 1))
    dex[rows] = sign * np.clip(size, smallest, largest)
    kind[rows] = 2

    # 3: single bad lines, exactly as many as are left
    flat_dex, flat_kind = dex.reshape(-1), kind.reshape(-1)
    missing = budget - np.count_nonzero(flat_kind)
    while missing:
        entries = np.unique(rng.integers(flat_kind.size, size=missing))
        entries = entries[flat_kind[entries] == 0]
        log_size = rng.uniform(np.log10(smallest), np.log10(largest), len(entries))
        flat_dex[entries] = rng.choice([-1.0, 1.0], len(entries)) * 10.0**log_size
        flat_kind[entries] = 3
        missing -= len(entries)
    return dex, kind


def make_pdr_like(
    n_models=19208,
    n_outputs=200,
    anomaly_fraction=0.009,
    n_test=3192,
    *,
    random_state=0,
):
    """Make a grid of toy PDR models, with sharp fronts and planted anomalies.

    Built to be as hard to emulate as a real grid of photodissociation regions, and
    known everywhere: noiseless outputs, anomalies and true fronts come with it.

    Parameters
    ----------
    n_models : int, default=19208
        Training models, at least 2. They are the nodes of a regular grid of
        (k, k, k, k/2) nodes in (log_P, log_G0, log_Av, angle), rows in C order: 19,208
        is 14 x 14 x 14 x 7. For a number that is no such product, `n_models` nodes of
        the next larger grid, drawn without replacement, in the order of the grid.
    n_outputs : int, default=200
        Lines, at least 16. Species have lines in the proportions of 9 to 3,609 of 5,409,
        and one at least.
    anomaly_fraction : float, default=0.009
        Fraction of the entries of the training target that are anomalous, in [0, 1).
    n_test : int, default=3192
        Test models, without anomalies, drawn uniformly inside the box of the grid.
    random_state : int, RandomState instance or None, default=0
        Draws the nodes, the test models and the anomalies, not the physics.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of shape (n_models, 4), float64
            log10 pressure [K cm-3], log10 UV field, log10 extinction [mag], angle [deg].
        target : ndarray of shape (n_models, n_outputs), float32
            Linear intensities, anomalies included, all positive.
        target_clean : ndarray of shape (n_models, n_outputs), float32
            The same without anomalies.
        mask : ndarray of shape (n_models, n_outputs), bool
            All True: a user doesn't know the anomalies.
        anomaly_mask : ndarray of shape (n_models, n_outputs), bool
            True where `target` is anomalous: exactly
            ``round(anomaly_fraction * n_models * n_outputs)`` entries.
        anomaly_dex : ndarray of shape (n_models, n_outputs), float32
            log10(target / target_clean): 0.1 to 2 in size, 0 where there is no anomaly.
        anomaly_kind : ndarray of shape (n_models, n_outputs), int8
            0 none, 1 neighbouring branch, 2 failed model, 3 single bad line.
        sharp_mask : ndarray of shape (n_models, n_outputs), bool
            True for entries beside a sharp but true front: a neighbouring node of the
            grid is in another thermal phase, and log10(target_clean) bends there by 0.3
            dex or more.
        data_test, target_test : ndarray
            Test models and their clean outputs.
        feature_names, target_names : list of str
            A line is named by its species and number, such as "CO_3".
        target_species : ndarray of shape (n_outputs,), int
            Index of the species of each line.
        grid_shape : tuple or None
            Shape of the training grid; None where nodes are missing.
        DESCR : str
            Description.

    Raises
    ------
    ValueError
        If an argument is out of the range given above.

    Notes
    -----
    Work arrays are small, and the result takes about 15 bytes an entry: 0.3 GB for
    1,000 outputs. Failures strike rows one by one; in a real code all the angles of a
    slab would fail together.

    References
    ----------
    .. [1] P. Palud, L. Einig, F. Le Petit et al. (2023), "Neural network-based emulation
       of interstellar medium models", A&A 678, A198. The real grid that this one mimics.

    Examples
    --------
    >>> from skastro.datasets import make_pdr_like
    >>> pdr = make_pdr_like(n_models=500, n_outputs=20, n_test=100)
    >>> pdr.data.shape, pdr.target.shape, pdr.target_test.shape
    ((500, 4), (500, 20), (100, 20))
    >>> int(pdr.anomaly_mask.sum())  # 0.9 % of 10,000
    90
    >>> bool((pdr.target == pdr.target_clean)[~pdr.anomaly_mask].all())
    True
    """
    _check(n_models, n_outputs, anomaly_fraction, n_test)
    seed = check_random_state(random_state).randint(2**31 - 1)
    nodes_rng, test_rng, anomaly_rng = np.random.default_rng(seed).spawn(3)

    table = line_table(n_outputs)
    shape = _grid_shape(n_models)
    axes = [np.linspace(low, high, n) for (low, high), n in zip(BOX, shape, strict=True)]
    data = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 4)
    clean, phase = _grid_lines(axes, table)
    sharp = _sharp(clean, phase, shape)
    complete = n_models == len(data)
    if not complete:
        nodes = np.sort(nodes_rng.permutation(len(data))[:n_models])
        data, clean, sharp = data[nodes], clean[nodes], sharp[nodes]

    budget = round(anomaly_fraction * clean.size)
    dex, kind = _plant(clean, data, table, budget, anomaly_rng)
    target = clean * np.power(np.float32(10.0), dex)

    data_test = test_rng.uniform(BOX[:, 0], BOX[:, 1], (n_test, 4))
    target_test, _ = _lines(data_test, table)
    return Bunch(
        data=data,
        target=target,
        target_clean=clean,
        mask=np.ones(clean.shape, dtype=bool),
        anomaly_mask=kind > 0,
        anomaly_dex=dex,
        anomaly_kind=kind,
        sharp_mask=sharp,
        data_test=data_test,
        target_test=target_test,
        feature_names=list(FEATURES),
        target_names=table["names"],
        target_species=table["species"],
        grid_shape=shape if complete else None,
        DESCR=_DESCR,
    )
