"""Baskets as a sparse matrix: what each holds, whose it is, and sums by customer of what happens in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

Level = str  # product, category or brand


@dataclass(frozen=True)
class Baskets:
    """Baskets that count, in order of time: `frame` has basket_id, customer_id and started_at, one row a basket.

    `lines` has basket (row of `frame`), product_id, units and revenue. `cluster` numbers the customer of each basket;
    a basket without a known customer is a cluster of its own. `oversized` baskets, of more than `largest` products, are
    not among them.
    """

    frame: pl.DataFrame
    lines: pl.DataFrame
    cluster: npt.NDArray[np.int64]
    oversized: int
    largest: int

    def __len__(self) -> int:
        return self.frame.height

    @property
    def customers(self) -> int:
        """Distinct customers; baskets without a known one count as one each."""
        return int(self.cluster.max(initial=-1)) + 1

    @property
    def of_several(self) -> npt.NDArray[np.bool_]:
        """Whether each basket holds two or more products."""
        return np.bincount(self.lines["basket"].to_numpy(), minlength=len(self)) > 1

    def by_customer(self, values: Any) -> Any:
        """Sums by cluster of a vector or (sparse) matrix with one row a basket."""
        ones = np.ones(len(self))
        summing = sparse.csr_array((ones, (self.cluster, np.arange(len(self)))), (self.customers, len(self)))
        return summing @ values

    def matrix(self, items: list[str], products: pl.DataFrame, level: Level) -> sparse.csc_array:
        """1 where a basket (row) holds an item (column), else 0; `items` of one level, as the mart `items` names them.

        `products` says of which category and brand each product is.
        """
        named = self.lines.select("basket", item_of(level, products, self.lines["product_id"]).alias("item"))
        held = named.join(pl.DataFrame({"item": items}, {"item": pl.String}).with_row_index("column"), on="item")
        held = held.select("basket", "column").unique()
        rows, columns = held["basket"].to_numpy(), held["column"].to_numpy()
        return sparse.csc_array((np.ones(held.height), (rows, columns)), (len(self), len(items)))


def item_of(level: Level, products: pl.DataFrame, product_id: pl.Series) -> pl.Series:
    """The item of `level` that each product is: the mart's text; null where the source does not say."""
    if level == "product":
        return product_id.cast(pl.String)
    column = {"category": "category_code", "brand": "brand"}[level]
    return product_id.to_frame().join(products, on="product_id", how="left", maintain_order="left")[column]


def baskets(mart: pl.DataFrame, largest: int) -> Baskets:
    """Baskets of at most `largest` products, from the mart `baskets`."""
    counted = mart.filter(pl.col("products") <= largest)
    frame = (
        counted.select("basket_id", "customer_id", "started_at")
        .unique(["basket_id"])
        .sort("started_at", "basket_id")
        .with_row_index("basket")
    )
    lines = (
        counted.join(frame.select("basket_id", "basket"), on="basket_id")
        .select("basket", "product_id", "units", pl.col("revenue").cast(pl.Float64))
        .sort("basket", "product_id")
    )
    alone = pl.when(pl.col("customer_id").is_null()).then(pl.col("basket"))
    cluster = frame.select(pl.struct("customer_id", alone.alias("alone")).rank("dense") - 1).to_series()
    oversized = mart.filter(pl.col("products") > largest)["basket_id"].n_unique()
    return Baskets(frame.drop("basket"), lines, cluster.cast(pl.Int64).to_numpy(), oversized, largest)
