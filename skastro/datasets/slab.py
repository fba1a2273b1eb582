"""A toy photodissociation region: a slab of gas lit from one side, and its lines.

A stand-in for a slow code: quick, smooth but for its fronts, known everywhere. Its numbers
are tuned to be as hard to emulate as a real grid, not to be right.
"""

from __future__ import annotations

import numpy as np

__all__ = ["N_SPECIES", "fronts", "inclined", "line_table", "slab_lines"]

UV_EXTINCTION = 1.8  # UV optical depth per magnitude of visual extinction
N_HOT, N_COLD = 16, 24  # cells on either side of the thermal front
N_STEPS, DAMPING = 40, 0.6  # of the fixed point for the temperature
T_COLD, T_HOT = 15.0, 2000.0  # K, ends of the thermal balance
UV_FLOOR = 1e-3  # what cosmic rays add to the UV field
LOG_T_FRONT = 2.45  # parts the hot branch from the cold one
DEEPEST_FRONT = 8.0  # mag, deeper than any front in the box
FEEDBACK_AT, FEEDBACK_WIDTH = -0.95, 0.32  # of log10(G / n), in dex

# Columns: lines (of 5,409); log10 abundance where everything is off; two photochemical
# switches, each its gain in dex and the log10(G / n) below which it is on (a negative gain
# destroys); gain in dex where the gas is hot; excitation energies of the lowest and of the
# highest line [K]; log10 critical density of the lowest line [cm-3] and its growth along
# the ladder; log10 of the opacity.
_SPECIES = {
    #        lines  floor  on   at    off   at    hot    E_lo    E_hi  ncrit grow  opacity
    "H2":    (3609, -4.0, 3.6, -0.6,  0.0, -3.0,  0.0,  500.0, 25e3, 3.2, 3.5, -3.0),
    "H2O":   (420, -11.0, 2.6, -2.8,  0.6, -4.5,  1.8,   50.0,  3e3, 7.5, 2.0, 1.5),
    "OH":    (280, -10.5, 1.9, -2.0, -0.5, -4.0,  2.0,   80.0,  2e3, 7.0, 1.5, 1.0),
    "CO":    (200,  -9.0, 4.8, -2.6,  0.0, -4.0,  0.5,    5.5,  5e3, 3.3, 4.5, 0.8),
    "13CO":  (160, -10.8, 4.8, -2.8,  0.0, -4.0,  0.4,    5.3,  4e3, 3.3, 4.5, 0.8),
    "C18O":  (130, -11.8, 5.0, -3.0,  0.0, -4.0,  0.3,    5.3,  3e3, 3.3, 4.5, 0.8),
    "SO":    (120, -12.0, 3.5, -3.4,  0.0, -4.0,  0.5,   10.0,  1e3, 5.5, 2.0, 1.5),
    "CN":    (110, -11.0, 2.5, -1.8, -1.2, -3.8,  0.5,    5.4,  6e2, 5.8, 2.0, 2.0),
    "SiO":   (90,  -13.0, 3.0, -3.2,  0.0, -4.0,  1.0,    6.2,  3e3, 5.6, 2.5, 2.5),
    "CS":    (80,  -12.0, 3.8, -2.9,  0.0, -4.0,  0.3,    7.1,  1e3, 5.5, 2.5, 2.0),
    "HCN":   (60,  -12.0, 3.5, -3.1,  0.0, -4.0,  0.8,    4.3,  1e3, 6.0, 2.5, 2.5),
    "HCO+":  (50,  -12.0, 3.0, -2.7,  0.0, -4.0,  0.6,    4.3,  1e3, 5.2, 2.5, 2.5),
    "CH+":   (40,  -13.0, 1.0, -1.0, -1.5, -2.5,  3.5,   40.0,  2e3, 7.5, 1.5, 2.0),
    "C":     (27,   -7.5, 3.2, -1.2, -2.4, -3.2,  0.0,   24.0,  2e4, 2.8, 3.0, 0.0),
    "O":     (24,   -3.6, 0.0, -2.0, -0.9, -3.2,  0.0,   99.0,  2e4, 5.5, 2.0, 0.0),
    "C+":    (9,    -3.9, 0.0, -1.0, -3.6, -2.2,  0.0,   91.0,  5e4, 3.5, 3.0, 0.0),
}  # fmt: skip
N_SPECIES = len(_SPECIES)
_PARAMETERS = np.array(list(_SPECIES.values())).T
_SWITCH_WIDTH = 0.14  # dex of log10(G / n)


def _lines_per_species(n_outputs):
    """Split n_outputs in the proportions of the table, at least one line each."""
    counts = _PARAMETERS[0]
    share = counts / counts.sum() * (n_outputs - N_SPECIES)
    n_lines = np.floor(share).astype(int)
    left = n_outputs - N_SPECIES - n_lines.sum()
    n_lines[np.argsort(-(share - n_lines), kind="stable")[:left]] += 1
    return n_lines + 1


def line_table(n_outputs):
    """Lines of the slab: constants of each of them.

    The table depends on `n_outputs` alone: the "code" is the same for every seed.

    Parameters
    ----------
    n_outputs : int
        At least `N_SPECIES`.

    Returns
    -------
    dict
        names, and arrays of shape (n_outputs,): species (index), energy [K],
        log_ncrit [cm-3], log_strength, log_opacity, pumping (by the UV field), saturation (UV
        field where pumping saturates).
    """
    n_lines = _lines_per_species(n_outputs)
    columns = {
        "energy": [],
        "log_ncrit": [],
        "log_strength": [],
        "log_opacity": [],
        "pumping": [],
        "saturation": [],
    }
    names = []
    for index, (species, n) in enumerate(zip(_SPECIES, n_lines, strict=True)):
        rng = np.random.default_rng([1906, index])
        e_lo, e_hi, ncrit, growth, opacity = _PARAMETERS[7:, index]
        ladder = (np.arange(n) + 0.5) / n
        scatter = rng.standard_normal((n, 5))
        columns["energy"].append(e_lo * (e_hi / e_lo) ** ladder)
        columns["log_ncrit"].append(ncrit + growth * ladder + 0.6 * scatter[:, 0])
        columns["log_strength"].append(1.5 * ladder + 0.4 * scatter[:, 1])
        columns["log_opacity"].append(opacity - ladder + 0.3 * scatter[:, 2])
        columns["pumping"].append(10.0 ** (-6.5 - 3.0 * ladder + 0.8 * scatter[:, 3]))
        columns["saturation"].append(10.0 ** (1.0 + 3.0 * ladder + 0.6 * scatter[:, 4]))
        width = len(str(n))
        names += [f"{species}_{line:0{width}d}" for line in range(1, n + 1)]
    table = {key: np.concatenate(values) for key, values in columns.items()}
    return {"names": names, "species": np.repeat(np.arange(N_SPECIES), n_lines), **table}


def _uv_inside(log_uv, depth):
    """log10 of the UV field at a depth [mag]; cosmic rays keep it from going to nothing."""
    return np.log10(10.0**log_uv * np.exp(-UV_EXTINCTION * depth) + UV_FLOOR)


def _temperature(log_uv, log_pressure, hot):
    """log10 temperature [K] by a damped fixed point from a hot or a cold start.

    At a given pressure hot gas is thin, and thin gas is heated better: where this feedback
    is steep two balances are stable, and the start decides.
    """
    cold = np.log10(T_COLD) + 0.2 * log_uv + 0.08 * (log_pressure - 5.0)
    gain = np.log10(T_HOT) + 0.2 * log_uv - cold
    log_t = cold + gain if hot else cold.copy()
    for _ in range(N_STEPS):
        log_ratio = log_uv - (log_pressure - log_t)  # of G / n
        balance = cold + gain / (1.0 + np.exp((FEEDBACK_AT - log_ratio) / FEEDBACK_WIDTH))
        log_t += DAMPING * (balance - log_t)
    return log_t


def fronts(log_pressure, log_uv, log_av):
    """Depth of the thermal front, as seen by a solver started hot and by one started cold.

    Returns
    -------
    hot, cold : ndarray of shape (n_models,)
        Visual extinction where the hot gas ends [mag]; 0 where there is none. Between
        `cold` and `hot` both phases are stable.
    """
    av = 10.0**log_av
    found = []
    for start_hot in (True, False):

        def is_hot(depth, start_hot=start_hot):
            return _temperature(_uv_inside(log_uv, depth), log_pressure, start_hot) > LOG_T_FRONT

        lower, upper = np.zeros_like(av), np.full_like(av, DEEPEST_FRONT)
        lit = is_hot(lower)
        for _ in range(26):
            middle = 0.5 * (lower + upper)
            inside = is_hot(middle)
            lower, upper = np.where(inside, middle, lower), np.where(inside, upper, middle)
        found.append(np.where(lit, np.minimum(lower, av), 0.0))
    return tuple(found)


def _cells(front, log_av):
    """Depth and thickness of the cells [mag]: the front is always an edge of the mesh.

    Cells that the front crosses would imprint the mesh on the line intensities.
    """
    # Finer towards the front from both sides: there the abundances and T change most.
    to_front = front[:, None] * np.linspace(1.0, 0.0, N_HOT + 1) ** 3
    hot = front[:, None] - 0.5 * (to_front[:, 1:] + to_front[:, :-1])
    d_hot = to_front[:, :-1] - to_front[:, 1:]
    left = 10.0**log_av - front
    scale = 0.4
    edges = scale * np.sinh(np.arcsinh(left / scale)[:, None] * np.arange(N_COLD + 1) / N_COLD)
    cold = front[:, None] + 0.5 * (edges[:, 1:] + edges[:, :-1])
    return np.hstack([hot, cold]), np.hstack([d_hot, np.diff(edges)])


def _abundances(log_uv, log_n, log_t, depth):
    """log10 abundance (n_models, n_cells, N_SPECIES): switches at the fronts."""
    floor, on, at_on, off, at_off, hot = _PARAMETERS[1:7]
    # Molecules shield themselves: the deeper, the less light they need to be rid of.
    x = (log_uv - log_n - 0.5 * np.log10(1.0 + depth))[..., None]
    warm = 1.0 / (1.0 + np.exp((2.5 - log_t[..., None]) / 0.2))
    switch_on = 1.0 / (1.0 + np.exp((x - at_on) / _SWITCH_WIDTH))
    switch_off = 1.0 / (1.0 + np.exp((x - at_off) / _SWITCH_WIDTH))
    return floor + on * switch_on + off * switch_off + hot * warm


def slab_lines(log_pressure, log_uv, log_av, table, front):
    """Emission and optical depth of each line, integrated over the depth of the slab.

    Parameters
    ----------
    log_pressure, log_uv, log_av : ndarray of shape (n_models,)
        log10 of the thermal pressure [K cm-3], of the UV field and of the extinction [mag].
    table : dict
        From `line_table`.
    front : ndarray of shape (n_models,)
        Depth of the thermal front [mag].

    Returns
    -------
    emission, optical_depth : ndarray of shape (n_models, n_outputs), float32
        Face on; emission where no photon is trapped.
    """
    depth, thickness = _cells(front, log_av)
    uv = _uv_inside(log_uv[:, None], depth)
    pressure = np.broadcast_to(log_pressure[:, None], depth.shape)
    log_t = np.empty_like(depth)
    for hot, part in ((True, slice(0, N_HOT)), (False, slice(N_HOT, None))):
        log_t[:, part] = _temperature(uv[:, part], pressure[:, part], hot)
    log_n = pressure - log_t
    column = 10.0 ** (_abundances(uv, log_n, log_t, depth) + 12.0) * thickness[..., None]

    single = np.float32
    inverse_t = (10.0**-log_t).astype(single)[..., None]
    density = (10.0**log_n).astype(single)[..., None]
    # 1 / (1 + T / 20 K): partition function of the ladder
    partition = (1.0 / (1.0 + 10.0**log_t / 20.0)).astype(single)[..., None]
    light = (10.0**uv).astype(single)[..., None]
    emission = np.empty((len(front), len(table["species"])), single)
    optical_depth = np.empty_like(emission)
    for species in range(N_SPECIES):
        lines = np.flatnonzero(table["species"] == species)
        lines = slice(lines[0], lines[-1] + 1)
        energy = table["energy"][lines].astype(single)
        ncrit = (10.0 ** table["log_ncrit"][lines]).astype(single)
        pumping = table["pumping"][lines].astype(single)
        saturation = table["saturation"][lines].astype(single)
        weight = column[..., species].astype(single)[:, None, :]
        population = np.exp(-energy * inverse_t)
        opacity = np.exp(single(-0.7) * energy * inverse_t)
        opacity *= partition
        optical_depth[:, lines] = (weight @ opacity)[:, 0]
        population *= partition
        collisions = density / (density + ncrit)
        population *= collisions
        population += (1 - collisions) * (pumping * (light / (1 + light / saturation)))
        population += single(1e-14)
        emission[:, lines] = (weight @ population)[:, 0]
    emission *= (10.0 ** (table["log_strength"] - 16.0)).astype(single)
    optical_depth *= (10.0 ** (table["log_opacity"] - 5.5)).astype(single)
    return emission, optical_depth


def inclined(emission, optical_depth, angle):
    """Intensity seen at an angle [deg]: longer path, more photons trapped."""
    stretch = (1.0 / np.cos(np.deg2rad(angle)))[:, None].astype(np.float32)
    tau = optical_depth * stretch
    # (1 - exp(-tau)) / tau, finite at 0
    escape = -np.expm1(-tau) / np.maximum(tau, np.float32(1e-20))
    return emission * stretch * np.where(tau < 1e-6, np.float32(1.0), escape)
