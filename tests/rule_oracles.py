"""The definition of every rule and pre-aggregation once more, in float64 numpy, written from the formulas alone.

Each oracle takes X (n, d) and f and returns (result (d,), weights (n,)). Slow, plain, independent of what it tests.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

TIE = 1e-9


def first_least(scores, count):
    """Indexes of the `count` least scores, the lowest index first among ties (which are equal up to rounding)."""
    scores, chosen = [float(score) for score in scores], []
    for _ in range(count):
        left = [i for i in range(len(scores)) if i not in chosen]
        best = min(scores[i] for i in left)
        chosen.append(next(i for i in left if scores[i] <= best + TIE * abs(best)))
    return chosen


def of_rows(x, chosen):
    weights = np.zeros(len(x))
    weights[list(chosen)] = 1 / len(chosen)
    return x[list(chosen)].mean(axis=0), weights


def distance2(x):
    return np.array([[np.sum((a - b) ** 2) for b in x] for a in x])


def average(x, f):
    return of_rows(x, range(len(x)))


def median(x, f, kind="mean"):
    ordered = np.sort(x, axis=0)
    n = len(x)
    kept = [(n - 1) // 2] if n % 2 or kind == "lower" else [n // 2 - 1, n // 2]
    return ordered[kept].mean(axis=0), shares(x, [ordered[kept, c] for c in range(x.shape[1])])


def trimmed_mean(x, f):
    kept = np.sort(x, axis=0)[f : len(x) - f]
    return kept.mean(axis=0), shares(x, list(kept.T))


def shares(x, kept):
    """Each row's share of the kept values of each column; rows of equal value share equally."""
    totals = np.zeros(len(x))
    for column, values in zip(x.T, kept, strict=True):
        for value in set(values):
            same = np.flatnonzero(column == value)
            totals[same] += np.sum(values == value) / len(same) / len(values)
    return totals / x.shape[1]


def nearest_values(column, centre, count):
    return np.array(sorted(column, key=lambda value: (abs(value - centre), value))[:count])


def _nearest_to(x, centres, count):
    kept = [nearest_values(column, centre, count) for column, centre in zip(x.T, centres, strict=True)]
    return np.array([values.mean() for values in kept]), shares(x, kept)


def meamed(x, f):
    return _nearest_to(x, np.median(x, axis=0), len(x) - f)


def phocas(x, f):
    return _nearest_to(x, trimmed_mean(x, f)[0], len(x) - f)


def krum_score(d2, i, among, neighbours):
    return sum(sorted(d2[i, j] for j in among if j != i)[:neighbours])


def krum(x, f):
    n, d2 = len(x), distance2(x)
    return of_rows(x, first_least([krum_score(d2, i, range(n), n - f - 2) for i in range(n)], 1))


def multi_krum(x, f, m=0, neighbours=0):
    n, d2 = len(x), distance2(x)
    scores = [krum_score(d2, i, range(n), neighbours or n - f - 2) for i in range(n)]
    return of_rows(x, first_least(scores, m or n - f - 2))


def bulyan(x, f):
    n, d2 = len(x), distance2(x)
    left, chosen = list(range(n)), []
    while len(chosen) < n - 2 * f:
        neighbours = max(len(left) - f - 2, 1)
        scores = [krum_score(d2, i, left, neighbours) for i in left]
        chosen.append(left.pop(first_least(scores, 1)[0]))
    chosen.sort()
    result, inner = _nearest_to(x[chosen], np.median(x[chosen], axis=0), n - 4 * f)
    weights = np.zeros(n)
    weights[chosen] = inner
    return result, weights


def mda(x, f):
    n, d2 = len(x), distance2(x)
    best, chosen = np.inf, None
    for subset in combinations(range(n), n - f):
        diameter = max((d2[i, j] for i in subset for j in subset), default=0)
        if chosen is None or diameter < best * (1 - TIE):
            best, chosen = diameter, subset
    return of_rows(x, chosen)


def _by_distance(x, point, count):
    return of_rows(x, first_least(np.sum((x - point) ** 2, axis=1), count))


def aksel(x, f, keep="n-f"):
    return _by_distance(x, np.median(x, axis=0), -(-len(x) // 2) if keep == "half" else len(x) - f)


def monna(x, f, own=None):
    return _by_distance(x, np.median(x, axis=0) if own is None else own, len(x) - f)


def cge(x, f):
    return of_rows(x, first_least(np.sum(x**2, axis=1), len(x) - f))


def geometric_median(x, f):
    z, weights = np.median(x, axis=0), None
    for _ in range(100):
        r = np.sqrt(np.sum((x - z) ** 2, axis=1))
        typical = np.median(r)
        if typical == 0:
            break
        r = np.maximum(r, 1e-10 * typical)
        weights = (1 / r) / np.sum(1 / r)
        before, z = z, weights @ x
        if np.linalg.norm(z - before) <= 1e-6 * typical:
            break
    return z, weights


def centered_clipping(x, f, iterations=3, tau=10.0, start=None):
    v = np.median(x, axis=0) if start is None else start
    for _ in range(iterations):
        lengths = np.sqrt(np.sum((x - v) ** 2, axis=1))
        factors = np.array([1.0 if length <= tau else tau / length for length in lengths])
        v = v + np.mean((x - v) * factors[:, None], axis=0)
    return v, factors / factors.sum()


def caf(x, f):
    n = len(x)
    c = np.ones(n)
    mean, best, weights = x.mean(axis=0), np.inf, c / n
    while c.sum() > n - 2 * f:
        mu = c @ x / c.sum()
        scaled = (x - mu) * np.sqrt(c / c.sum())[:, None]
        _, values, directions = np.linalg.svd(scaled, full_matrices=False)
        eigenvalue = values[0] ** 2
        if eigenvalue < best * (1 - TIE):
            best, mean, weights = eigenvalue, mu, c / c.sum()
        if eigenvalue <= 1e-20 * np.max(c @ x**2 / c.sum()):
            break
        tau = ((x - mu) @ directions[0]) ** 2
        c = np.maximum(c * (1 - tau / max(tau[c > 0])), 0)
    return mean, weights


def smea(x, f):
    n = len(x)
    best, chosen = np.inf, None
    for subset in combinations(range(n), n - f):
        part = x[list(subset)] - x[list(subset)].mean(axis=0)
        eigenvalue = np.linalg.svd(part, compute_uv=False)[0] ** 2
        if chosen is None or eigenvalue < best * (1 - TIE):
            best, chosen = eigenvalue, subset
    return of_rows(x, chosen)


def dnc(x, f):
    """For d <= 10,000: all columns are drawn."""
    centred = x - x.mean(axis=0)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    scores = (centred @ direction) ** 2
    worst = sorted(range(len(x)), key=lambda i: (scores[i], i))[len(x) - f :]
    return of_rows(x, [i for i in range(len(x)) if i not in worst])


def nnm(x, f):
    d2 = distance2(x)
    np.fill_diagonal(d2, -1)
    return np.array([x[first_least(row + 1e-300, len(x) - f)].mean(axis=0) for row in d2])


def clip(x, f, c=2.0):
    return np.array([row * min(1, c / max(np.linalg.norm(row), 1e-300)) for row in x])


def arc(x, f):
    n = len(x)
    norms = np.linalg.norm(x, axis=1)
    limit = np.sort(norms)[::-1][2 * f * (n - f) // n]
    return np.array([row * (limit / norm if norm > limit else 1) for row, norm in zip(x, norms, strict=True)])


RULES = {
    "average": average,
    "median": median,
    "trimmed-mean": trimmed_mean,
    "krum": krum,
    "multi-krum": multi_krum,
    "bulyan": bulyan,
    "mda": mda,
    "aksel": aksel,
    "meamed": meamed,
    "phocas": phocas,
    "cge": cge,
    "geometric-median": geometric_median,
    "centered-clipping": centered_clipping,
    "caf": caf,
    "smea": smea,
    "monna": monna,
    "dnc": dnc,
}
STEPS = {"nnm": nnm, "clip": clip, "arc": arc}
