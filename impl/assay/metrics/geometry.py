"""Metrics of the shape of embeddings: how far they are from N(0, I), each blind to something that another one sees.

IsoScore ignores mean and scale, SIGReg cannot tell a sphere from a Gaussian, standard deviations miss lost rank: none
suffices alone, and added noise improves them all. Predictions are (N, D) embeddings, or a mapping side -> (N, D), of
which the worst side counts. It must never whiten or rescale what it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.metrics.metric import Floats, InvalidOptionError, InvalidPredictionsError, Metric, real
from assay.metrics.registry import register

_KNOTS, _REACH = 17, 3.0
_CHUNK = 32  # slices at a time: N x 32 complex numbers stay in the cache


def _sides(predictions: Any) -> list[Floats]:
    """The embeddings of each side, (N, D) with N > 1 and D > 1."""
    given = list(predictions.values()) if isinstance(predictions, Mapping) else [predictions]
    found = [real(one, "embeddings") for one in given]
    for one in found:
        if one.ndim != 2 or min(one.shape) < 2:
            raise InvalidPredictionsError(f"embeddings have shape {one.shape}, (items, dimensions) is needed")
    return found


def std_gap(predictions: Any, gold: Any = None) -> float:
    """Largest |standard deviation of a dimension - 1|; 0 for N(0, I)."""
    return max(float(np.abs(x.std(axis=0) - 1).max()) for x in _sides(predictions))


def mean_norm(predictions: Any, gold: Any = None) -> float:
    """|mean| / sqrt(D): length of the mean in units of a Gaussian's typical norm."""
    return max(float(np.linalg.norm(x.mean(axis=0)) / math.sqrt(x.shape[1])) for x in _sides(predictions))


def sigreg(predictions: Any, gold: Any = None, *, slices: str = "random", count: int = 1024, seed: int = 0) -> float:
    """Mean over slices of delta = (T - E[T]) / N; 0 in expectation for N(0, I), whatever N and D.

    T = N x integral over [-3, 3] of |phi(t) - exp(-t^2/2)|^2 exp(-t^2/2) dt (Epps & Pulley 1983), phi the empirical
    characteristic function of the projections; 17-point trapezoid on [0, 3], doubled (Balestriero & LeCun 2025).

    Args:
        slices: "random" (`count` directions, uniform on the sphere, from `seed`) or "axes" (the coordinate axes).
    """
    if slices not in ("random", "axes"):
        raise InvalidOptionError(f'slices = "{slices}" is not "random" or "axes"')
    return max(
        float(_excess(x, _directions(x.shape[1], slices, count, seed), np.full(len(x), 1 / len(x)), len(x)))
        for x in _sides(predictions)
    )


def sigreg_without(
    predictions: Any, gold: Any, codes: NDArray[np.intp], *, slices: str = "random", count: int = 1024, seed: int = 0
) -> Floats:
    """(G,) `sigreg` without the items of each code: cosines and sines are the same, only their means differ."""
    outside = codes != np.arange(codes.max() + 1)[:, None]
    left = outside.sum(axis=1)
    found = [
        _excess(x, _directions(x.shape[1], slices, count, seed), outside / left[:, None], left)
        for x in _sides(predictions)
    ]
    worst: Floats = np.max(found, axis=0)
    return worst


def _directions(dimensions: int, slices: str, count: int, seed: int) -> NDArray[np.float32]:
    """(D, slices), of unit length."""
    if slices == "axes":
        return np.eye(dimensions, dtype=np.float32)
    drawn = np.random.default_rng(seed).standard_normal((dimensions, count))
    directions: NDArray[np.float32] = (drawn / np.linalg.norm(drawn, axis=0)).astype(np.float32)
    return directions


def _excess(x: Floats, directions: NDArray[np.float32], shares: Floats, n: int | NDArray[np.intp]) -> Any:
    """Mean delta of the `n` items whose share is not zero: a number for (N,) shares, (G,) for (G, N) and (G,) n."""
    points = np.linspace(0, _REACH, _KNOTS)
    normal = np.exp(-(points**2) / 2)
    weights = np.full(_KNOTS, 2 * points[1]) * normal
    weights[[0, -1]] /= 2
    expected = float(((1 - normal**2) * weights).sum())
    single, parts = x.astype(np.float32), shares.astype(np.float32)
    total: Any = 0.0
    for low in range(0, directions.shape[1], _CHUNK):
        chosen = directions[:, low : low + _CHUNK]
        angles = np.float32(points[1]) * (single @ chosen)
        step = np.empty(angles.shape, dtype=np.complex64)  # exp(i t x)
        step.real, step.imag = np.cos(angles), np.sin(angles)
        power = np.ones_like(step)
        gaps: Any = 0.0
        for knot in range(1, _KNOTS):  # at t = 0 both functions are 1
            power *= step
            # by BLAS: numpy's sum along this axis takes four times as long
            found = (parts @ power.view(np.float32)).astype(np.float64)
            gaps = gaps + weights[knot] * ((found[..., 0::2] - normal[knot]) ** 2 + found[..., 1::2] ** 2)
        total = total + (np.expand_dims(n, -1) * gaps - expected).sum(axis=-1)
    return total / directions.shape[1] / n


def isoscore(predictions: Any, gold: Any = None) -> float:
    """IsoScore of the covariance: 1 when all directions vary alike, 0 when one alone does; mean and scale are ignored.

    Rudman et al. 2022, algorithm 1. Biased by N: at D = 128 an exact Gaussian has .655 at N = 256, .970 at 4,096.
    """
    return min(_isoscore(x) for x in _sides(predictions))


def _isoscore(x: Floats) -> float:
    d = x.shape[1]
    spectrum = np.linalg.eigvalsh(np.cov(x, rowvar=False))
    length = float(np.linalg.norm(spectrum))
    if length == 0:
        return 0.0  # one point: no direction varies at all
    defect = float(np.linalg.norm(math.sqrt(d) * spectrum / length - 1)) / math.sqrt(2 * (d - math.sqrt(d)))
    kept = (d - defect**2 * (d - math.sqrt(d))) ** 2 / d**2
    return float(min(1.0, max(0.0, (d * kept - 1) / (d - 1))))


def norm_std(predictions: Any, gold: Any = None) -> float:
    """Standard deviation of the norms: 0.707 for N(0, I), 0 on a sphere. Of several sides the one furthest from it."""
    found = [float(np.linalg.norm(x, axis=1).std()) for x in _sides(predictions)]
    return max(found, key=lambda value: abs(value - math.sqrt(0.5)))


def rankme(predictions: Any, gold: Any = None) -> float:
    """exp(entropy of the normalised singular values) / D, in [0, 1]: effective rank (Garrido et al. 2023, eq. 2)."""
    result = []
    for x in _sides(predictions):
        values = np.linalg.svd(x, compute_uv=False)
        if values.sum() == 0:
            raise InvalidPredictionsError("all embeddings are zero: they have no rank")
        shares = values / values.sum() + 1e-12
        result.append(float(np.exp(-(shares * np.log(shares)).sum()) / x.shape[1]))
    return min(min(result), 1.0)


def uniformity(predictions: Any, gold: Any = None) -> float:
    """log mean over pairs of exp(-2 |x - y|^2), x and y scaled to unit length (Wang & Isola 2020, eq. 2)."""
    result = []
    for x in _sides(predictions):
        unit = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)).astype(np.float32)
        total = 0.0
        for low in range(0, len(unit), 512):  # a pair of blocks stands for both of its orders
            block, later = unit[low : low + 512], unit[low + 512 :]
            total += float(np.exp(4 * (block @ block.T) - 4).sum(dtype=np.float64))
            total += 2 * float(np.exp(4 * (block @ later.T) - 4).sum(dtype=np.float64))
        total -= float(np.exp(4 * np.einsum("ij,ij->i", unit, unit) - 4).sum())  # pairs of one with itself
        result.append(math.log(max(total, 1e-300) / (len(unit) * (len(unit) - 1))))
    return max(result)


def uniformity_without(predictions: Any, gold: Any, codes: NDArray[np.intp]) -> Floats:
    """(G,) `uniformity` without the items of each code, from the sums over pairs of codes."""
    result = []
    groups = np.arange(codes.max() + 1)
    member = (codes[:, None] == groups).astype(np.float32)
    left = len(codes) - member.sum(axis=0)
    for x in _sides(predictions):
        unit = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)).astype(np.float32)
        sums: Floats = np.zeros((len(groups), len(groups)))
        for low in range(0, len(unit), 512):
            rows = np.exp(4 * (unit[low : low + 512] @ unit.T) - 4) @ member
            sums += member[low : low + 512].T.astype(np.float64) @ rows.astype(np.float64)
        own = np.exp(4 * np.einsum("ij,ij->i", unit, unit) - 4).astype(np.float64)
        sums[groups, groups] -= own @ member  # pairs of one with itself
        total = sums.sum() - sums.sum(axis=0) - sums.sum(axis=1) + sums.diagonal()
        result.append(np.log(np.maximum(total, 1e-300) / (left * (left - 1))))
    worst: Floats = np.max(result, axis=0)
    return worst


def pairing(predictions: Any, gold: Any = None) -> float:
    """Share of (query, other passage) in which the query is nearer to its own passage, in [0, 1]; chance is 0.5.

    Args:
        predictions: {"query": (N, D), "passage": (N, D)}, row i of one belonging to row i of the other.
    """
    if not isinstance(predictions, Mapping) or set(predictions) != {"query", "passage"}:
        raise InvalidPredictionsError('pairs are given as {"query": (N, D), "passage": (N, D)}')
    queries, passages = _sides({name: predictions[name] for name in ("query", "passage")})
    n, norms = len(queries), np.square(passages).sum(axis=1)
    wins = 0.0
    for low in range(0, n, 512):
        distances = norms - 2 * queries[low : low + 512] @ passages.T
        own = distances[np.arange(len(distances)), np.arange(low, low + len(distances))][:, None]
        wins += float((distances > own).sum() + ((distances == own).sum() - len(distances)) / 2)
    return wins / (n * (n - 1))


def violations(predictions: Any, gold: Any = None) -> float:
    """Number of laws of isotropic Gaussian embeddings that are broken: `LAWS`. 0 is right."""
    return float(len(broken(predictions)))


LAWS: dict[str, tuple[Callable[..., float], Callable[[float], bool]]] = {
    "every standard deviation in [0.9, 1.1]": (std_gap, lambda value: value <= 0.1),
    "mean at most 0.05 sqrt(D)": (mean_norm, lambda value: value <= 0.05),
    "SIGReg excess at most 0.001 on random directions": (sigreg, lambda value: value <= 0.001),
    "and on the coordinate axes": (lambda x: sigreg(x, slices="axes"), lambda value: value <= 0.001),
    "IsoScore at least 0.93": (isoscore, lambda value: value >= 0.93),
    "standard deviation of the norms in [0.5, 0.9]": (norm_std, lambda value: 0.5 <= value <= 0.9),
    "a query is nearer to its passage than to another, 19 times in 20": (pairing, lambda value: value >= 0.95),
}
"""What must hold together for the same embeddings of pairs, at N >= 32 D."""


def broken(predictions: Any) -> list[str]:
    """The laws that these embeddings of pairs, {"query": (N, D), "passage": (N, D)}, break."""
    return [law for law, (measure, holds) in LAWS.items() if not holds(measure(predictions))]


_INFINITE = (0.0, math.inf)
_METRICS: list[tuple[str, Callable[..., float], str, tuple[float, float], str, str]] = [
    ("std_gap", std_gap, "lower", _INFINITE, "max over dimensions of |std - 1|", "hand computation"),
    ("mean_norm", mean_norm, "lower", _INFINITE, "|mean| / sqrt(D)", "hand computation"),
    (
        "sigreg",
        sigreg,
        "lower",
        (-math.inf, math.inf),
        "Epps & Pulley 1983; Balestriero & LeCun 2025; excess over N(0, I) per item",
        "numerical integration by scipy; N(0, I)",
    ),
    ("isoscore", isoscore, "higher", (0.0, 1.0), "Rudman et al. 2022, algorithm 1", "hand computation; N(0, I)"),
    ("norm_std", norm_std, "none", _INFINITE, "std of the norms; sqrt(1/2) for N(0, I)", "scipy.stats.chi"),
    ("rankme", rankme, "higher", (0.0, 1.0), "Garrido et al. 2023, eq. 2, over D", "hand computation; N(0, I)"),
    ("uniformity", uniformity, "lower", (-4.0 - 1e-6, 0.0), "Wang & Isola 2020, eq. 2", "scipy.spatial.distance.pdist"),
    ("pairing", pairing, "higher", (0.0, 1.0), "Mann-Whitney over distances", "brute force"),
    ("violations", violations, "lower", (0.0, float(len(LAWS))), "laws of N(0, I) that are broken", "N(0, I)"),
]

for _name, _formula, _direction, _range, _source, _reference in _METRICS:
    register(
        Metric(
            name=f"geometry.{_name}",
            direction=_direction,  # type: ignore[arg-type]
            range=_range,
            source=_source,
            formula=_formula,
            counted=_name == "violations",
            without={"sigreg": sigreg_without, "uniformity": uniformity_without}.get(_name),
            reference=_reference,
        )
    )
