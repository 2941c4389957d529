"""Which of equal elements comes first: the C++ standard library's algorithms, step by step.

PyTorch's unstable `sort`, `topk`, `mode` and `kthvalue` leave the order of equal elements to libstdc++
(bits/stl_algo.h, bits/stl_heap.h) and to its own quickselect (aten/src/ATen/native/Sorting.cpp). Their
values are unique, their indices are not; this module finds the same indices.

All functions reorder `p`, a list of positions, by `rank[position]`.
"""

from __future__ import annotations

Order = list[int]

#: up to how many elements it is worth finding the same indices, a few microseconds for each
LIMIT = 16384
#: lines of at most this many elements are sorted by insertion, which is stable
SHORT = 16


# ---- partitions ----


def _median_to_first(p: Order, rank: Order, at: int, a: int, b: int, c: int) -> None:
    x, y, z = rank[p[a]], rank[p[b]], rank[p[c]]
    if x < y:
        chosen = b if y < z else c if x < z else a
    else:
        chosen = a if x < z else c if y < z else b
    p[at], p[chosen] = p[chosen], p[at]


def _partition(p: Order, rank: Order, first: int, last: int) -> int:
    """Put the median of three at `first`; what is smaller comes before the returned place."""
    _median_to_first(p, rank, first, first + 1, first + (last - first) // 2, last - 1)
    pivot = rank[p[first]]
    first += 1
    while True:
        while rank[p[first]] < pivot:
            first += 1
        last -= 1
        while pivot < rank[p[last]]:
            last -= 1
        if first >= last:
            return first
        p[first], p[last] = p[last], p[first]
        first += 1


def _insertion_sort(p: Order, rank: Order, first: int, last: int) -> None:
    p[first:last] = sorted(p[first:last], key=rank.__getitem__)


# ---- heaps ----


def _adjust_heap(p: Order, rank: Order, first: int, hole: int, count: int, value: int) -> None:
    top, child = hole, hole
    while child < (count - 1) // 2:
        child = 2 * (child + 1)
        if rank[p[first + child]] < rank[p[first + child - 1]]:
            child -= 1
        p[first + hole] = p[first + child]
        hole = child
    if count % 2 == 0 and child == (count - 2) // 2:
        child = 2 * (child + 1)
        p[first + hole] = p[first + child - 1]
        hole = child - 1
    parent = (hole - 1) // 2
    while hole > top and rank[p[first + parent]] < rank[value]:
        p[first + hole] = p[first + parent]
        hole = parent
        parent = (hole - 1) // 2
    p[first + hole] = value


def _pop_heap(p: Order, rank: Order, first: int, last: int, result: int) -> None:
    value = p[result]
    p[result] = p[first]
    _adjust_heap(p, rank, first, 0, last - first, value)


def _heap_select(p: Order, rank: Order, first: int, middle: int, last: int) -> None:
    count = middle - first
    for parent in range((count - 2) // 2, -1, -1):
        _adjust_heap(p, rank, first, parent, count, p[first + parent])
    for i in range(middle, last):
        if rank[p[i]] < rank[p[first]]:
            _pop_heap(p, rank, first, middle, i)


def partial_sort(p: Order, rank: Order, first: int, middle: int, last: int) -> None:
    """std::partial_sort: the smallest in order before `middle`."""
    _heap_select(p, rank, first, middle, last)
    while middle - first > 1:
        middle -= 1
        _pop_heap(p, rank, first, middle, middle)


# ---- sort, nth_element ----


def sort(p: Order, rank: Order, first: int, last: int) -> None:
    """std::sort: introsort down to short runs, then insertion sort of the whole."""
    _introsort(p, rank, first, last, 2 * ((last - first).bit_length() - 1))
    _insertion_sort(p, rank, first, last)


def _introsort(p: Order, rank: Order, first: int, last: int, depth: int) -> None:
    while last - first > SHORT:
        if depth == 0:
            partial_sort(p, rank, first, last, last)
            return
        depth -= 1
        cut = _partition(p, rank, first, last)
        _introsort(p, rank, cut, last, depth)
        last = cut


def nth_element(p: Order, rank: Order, first: int, nth: int, last: int) -> None:
    """std::nth_element: the element of that place in place, the smaller before it."""
    if first == last or nth == last:
        return
    depth = 2 * ((last - first).bit_length() - 1)
    while last - first > 3:
        if depth == 0:
            _heap_select(p, rank, first, nth + 1, last)
            p[first], p[nth] = p[nth], p[first]
            return
        depth -= 1
        cut = _partition(p, rank, first, last)
        if cut <= nth:
            first = cut
        else:
            last = cut
    _insertion_sort(p, rank, first, last)


def top(p: Order, rank: Order, k: int, in_order: bool) -> None:
    """PyTorch's topk: the k smallest first."""
    if k == 0:
        return
    if k * 64 <= len(p):
        partial_sort(p, rank, 0, k, len(p))
        return
    nth_element(p, rank, 0, k - 1, len(p))
    if in_order:
        sort(p, rank, 0, k - 1)


def quickselect(p: Order, rank: Order, k: int) -> None:
    """PyTorch's kthvalue: the element of rank k in its place."""
    low, high = 0, len(p) - 1
    while high > low:
        if high == low + 1:
            if rank[p[low]] > rank[p[high]]:
                p[low], p[high] = p[high], p[low]
            return
        middle = low + (high - low) // 2
        p[middle], p[low + 1] = p[low + 1], p[middle]
        for a, b in ((low + 1, high), (low, high), (low + 1, low)):
            if rank[p[a]] > rank[p[b]]:
                p[a], p[b] = p[b], p[a]
        i, j, pivot = low + 1, high, rank[p[low]]
        while True:
            i += 1
            while pivot > rank[p[i]]:
                i += 1
            j -= 1
            while rank[p[j]] > pivot:
                j -= 1
            if j < i:
                break
            p[i], p[j] = p[j], p[i]
        p[low], p[j] = p[j], p[low]
        if j <= k:
            low = i
        if j >= k:
            high = j - 1
