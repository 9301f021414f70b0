"""Sorting networks: comparators (low, high), each of which leaves the lesser value on the wire low."""

from __future__ import annotations

from functools import lru_cache

from garfield.aggregators.median_networks import MEDIAN_NETWORKS

Network = tuple[tuple[int, int], ...]


@lru_cache
def merge_exchange(n: int) -> Network:
    """Batcher's merge exchange for n values (Knuth, TAOCP 3, algorithm 5.2.2 M)."""
    comparators = []
    top = 1 << max(0, (n - 1).bit_length() - 1)
    p = top
    while p > 0:
        q, r, distance = top, 0, p
        while True:
            comparators += [(i, i + distance) for i in range(n - distance) if i & p == r]
            if q == p:
                break
            distance, q, r = q - p, q // 2, p
        p //= 2
    return tuple(comparators)


def sorting_network(n: int) -> Network:
    """Comparators that sort n values."""
    return merge_exchange(n)


def median_network(n: int) -> tuple[Network, tuple[int, ...]]:
    """Comparators that bring the median of n values, of an even n the two middle ones in any order, to some wires."""
    wires = tuple(sorted({(n - 1) // 2, n // 2}))
    if n not in MEDIAN_NETWORKS:
        return merge_exchange(n), wires
    pairs = (pair.split(",") for pair in MEDIAN_NETWORKS[n].split())
    return tuple((int(low), int(high)) for low, high in pairs), wires
