"""Random numbers: one independent stream a purpose and a block, so that results do not depend on who draws first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

THREADS = 2
AHEAD = 3

Task = TypeVar("Task")
Result = TypeVar("Result")


def spread_ids(rng: np.random.Generator, count: int, first: int, span: int) -> npt.NDArray[np.int64]:
    """`count` distinct ascending ids, spread at random from `first` on over `span` (or as far as they need)."""
    step = max(1, span // count)
    return first + np.arange(count, dtype=np.int64) * step + rng.integers(0, step, count)


def pick(rng: np.random.Generator, shares: npt.ArrayLike, count: int) -> npt.NDArray[np.int8]:
    """`count` indices drawn with the probabilities `shares`, which sum to 1."""
    edges = np.cumsum(np.asarray(shares, dtype=np.float64))[:-1]
    return np.searchsorted(edges, rng.random(count), side="right").astype(np.int8)


def in_order(work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Results of `work` in the order of the tasks, computed by a few threads a few tasks ahead."""
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(work, task))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
