"""Which cells of a table may not be published: those of few people, and what would give them away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Flags = npt.NDArray[np.bool_]

PARTS = (100, 50, 20, 10, 5, 2)  # each divides those before it, and down to ten there is a tenth


def few(people: npt.ArrayLike, minimum_group: int) -> Flags:
    """Cells of fewer people than `minimum_group`; nobody is fine."""
    counts = np.asarray(people, dtype=float)
    small: Flags = (counts > 0) & (counts < minimum_group)
    return small


def behind(orders: npt.ArrayLike, buyers: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """People behind orders: the known buyers; where nobody is known, no more than there are orders."""
    known = np.asarray(buyers, dtype=float)
    return np.where(known > 0, known, np.asarray(orders, dtype=float))


def parts(people: int, minimum_group: int) -> int:
    """Into how many equal parts of `minimum_group` or more so many people can be cut, a hundred at most."""
    return next((n for n in PARTS if people >= n * minimum_group), 1)


def leading(curve: pl.DataFrame) -> dict[str, float]:
    """The row of a curve over shares of `customers` for the top tenth; the next larger share where there is none."""
    return curve.filter(pl.col("customers") > 0.0999).row(0, named=True)


def hidden(people: npt.ArrayLike, minimum_group: int, also: Flags | None = None) -> Flags:
    """Cells that may not be published where their total is: those of few people, and those of `also`.

    Where the total would give them away (a lone one, or fewer people in all of them together), the next larger are
    hidden too.
    """
    counts = np.asarray(people, dtype=float)
    hide = few(counts, minimum_group) if also is None else few(counts, minimum_group) | also
    for cell in np.argsort(counts, kind="stable"):
        if not hide.any() or (hide.sum() > 1 and counts[hide].sum() >= minimum_group):
            break
        if counts[cell] > 0:
            hide[cell] = True
    return hide
