"""Whether customers stay with a brand: the brand of the main purchase against that of what is bought beside or after.

A basket's main product is its dearest. Accessories are products of other categories: in the same basket, or in later
baskets of the customer, whose first basket then sets the brand. Chance is the brand's share of all that is bought in
the accessory's category, that accessory itself left out.
"""

from __future__ import annotations

import polars as pl

from patternbook.analysis.baskets import Baskets
from patternbook.analysis.intervals import Estimate, ratio_of_totals
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.formats import Formats

SCOPES = {"same": "in the same basket", "later": "in later baskets"}


def same_brand(found: Baskets, products: pl.DataFrame, minimum_group: int) -> pl.DataFrame | LeftOut:
    """One row a scope: accessories, customers, same (share of the main brand), expected, lift with low and high.

    A scope of fewer than `minimum_group` customers is left out. Intervals are by customer.
    """
    if not len(found):
        return LeftOut("There are no orders, so no brand is followed.")
    customer = pl.Series("customer", found.cluster)
    lines = (
        found.lines.with_columns(customer.gather(found.lines["basket"]))
        .join(products.select("product_id", "category_code", "brand"), on="product_id")
        .drop_nulls(["category_code", "brand"])
        .sort("basket", "product_id")
    )
    if lines.is_empty():
        return LeftOut("The source does not say both brand and category of what is bought, so brands are not followed.")
    price = pl.col("revenue") / pl.col("units")
    main = (
        lines.sort(price, "product_id", descending=[True, False])
        .unique("basket", keep="first", maintain_order=True)
        .select("customer", "basket", pl.col("brand").alias("main"), pl.col("category_code").alias("main_category"))
        .sort("basket")
    )
    known = main.filter(pl.Series(found.frame["customer_id"].is_not_null()).gather(main["basket"]))
    first = known.unique("customer", keep="first", maintain_order=True)
    accessories = {
        "same": lines.join(main.drop("customer"), on="basket"),
        "later": lines.join(first.rename({"basket": "first"}), on="customer").filter(
            pl.col("basket") > pl.col("first")
        ),
    }
    sold = lines.group_by("category_code").agg(pl.len().alias("sold"))
    of_brand = lines.group_by("category_code", pl.col("brand").alias("main")).agg(pl.len().alias("of_brand"))
    rows = []
    for scope, own in accessories.items():
        alike = (pl.col("brand") == pl.col("main")).cast(pl.Int64)
        compared = (
            own.filter(pl.col("category_code") != pl.col("main_category"))
            .join(sold, on="category_code")
            .join(of_brand, on=["category_code", "main"], how="left")
            .filter(pl.col("sold") > 1)
            .with_columns(
                alike.alias("same"),
                ((pl.col("of_brand").fill_null(0) - alike) / (pl.col("sold") - 1)).alias("chance"),
            )
        )
        totals = compared.group_by("customer").agg(pl.col("same", "chance").sum()).sort("customer")
        if totals.height < minimum_group:
            continue
        lift = ratio_of_totals(totals.select("same", "chance").to_numpy(), (1, -1))
        lift = lift if lift and lift.interval else None
        rows.append(
            {
                "scope": scope,
                "accessories": compared.height,
                "customers": totals.height,
                "same": compared["same"].mean(),
                "expected": compared["chance"].mean(),
                "lift": lift and lift.value,
                "lift_low": lift and lift.low,
                "lift_high": lift and lift.high,
            }
        )
    if not rows:
        return LeftOut("Too few customers buy in a second category to see whether they stay with a brand.")
    floats = dict.fromkeys(("same", "expected", "lift", "lift_low", "lift_high"), pl.Float64)
    return pl.DataFrame(rows, schema_overrides=floats)


def measures(table: pl.DataFrame | LeftOut) -> list[Measure]:
    """What 05 records of brands, as counted."""
    label = "Accessories of the main product's brand, as a multiple of those expected by the brand's share"
    reason = (
        table.reason
        if isinstance(table, LeftOut)
        else "Too few accessories share a brand with their main product to say whether that is chance."
    )
    row = None if isinstance(table, LeftOut) else next(iter(table.filter(pl.col("scope") == "same").to_dicts()), None)
    lift = None
    if row is not None and row["lift"] is not None:
        lift = Estimate(row["lift"], row["lift_low"], row["lift_high"], row["customers"])
    return [measured("brand_lift", label, "factor", lift, None if lift else reason)]


def answer(table: pl.DataFrame, formats: Formats) -> str:
    """Whether customers stay with a brand, a sentence a scope."""
    sentences = []
    for row in table.iter_rows(named=True):
        beside = "bought beside" if row["scope"] == "same" else "bought after"
        compared = (
            ""
            if row["lift"] is None
            else (f", {formats.value(row['lift'], 'factor', (row['lift_low'], row['lift_high']))} as many as by chance")
        )
        sentences.append(
            f"Of {formats.count(row['accessories'])} products of other categories {beside} a main product, "
            f"{formats.share(row['same'])} are of its brand{compared}."
        )
    return " ".join(sentences)
