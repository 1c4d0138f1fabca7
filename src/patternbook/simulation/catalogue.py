"""Products of the simulated market: ids, categories, brands, prices by week, popularity, complements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patternbook.simulation.behaviour import Dirt, Lines, Promotions
from patternbook.simulation.draw import spread_ids

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

CATEGORIES: dict[str, float] = {  # code: median list price
    "accessories.bag": 45,
    "accessories.umbrella": 18,
    "accessories.wallet": 24,
    "apparel.jeans": 48,
    "apparel.shoes": 70,
    "apparel.shoes.keds": 52,
    "apparel.trousers": 40,
    "apparel.underwear": 14,
    "appliances.environment.air_heater": 85,
    "appliances.environment.vacuum": 130,
    "appliances.environment.water_heater": 140,
    "appliances.iron": 48,
    "appliances.kitchen.blender": 55,
    "appliances.kitchen.coffee_machine": 260,
    "appliances.kitchen.kettle": 28,
    "appliances.kitchen.microwave": 95,
    "appliances.kitchen.refrigerators": 420,
    "appliances.kitchen.washer": 340,
    "appliances.personal.hair_cutter": 36,
    "auto.accessories.alarm": 120,
    "auto.accessories.player": 85,
    "computers.components.hdd": 80,
    "computers.components.videocards": 310,
    "computers.desktop": 520,
    "computers.notebook": 560,
    "computers.peripherals.keyboard": 38,
    "computers.peripherals.monitor": 190,
    "computers.peripherals.mouse": 22,
    "computers.peripherals.printer": 150,
    "construction.tools.drill": 75,
    "construction.tools.light": 20,
    "construction.tools.pump": 110,
    "construction.tools.saw": 120,
    "electronics.audio.headphone": 60,
    "electronics.audio.subwoofer": 140,
    "electronics.clocks": 150,
    "electronics.smartphone": 260,
    "electronics.tablet": 230,
    "electronics.telephone": 32,
    "electronics.video.tv": 380,
    "furniture.bathroom.bath": 240,
    "furniture.bedroom.bed": 270,
    "furniture.kitchen.table": 130,
    "furniture.living_room.cabinet": 150,
    "furniture.living_room.sofa": 360,
    "kids.carriage": 210,
    "kids.toys": 25,
    "sport.bicycle": 240,
    "sport.ski": 180,
    "sport.trainer": 290,
}
DEPARTMENTS = tuple(dict.fromkeys(code.split(".")[0] for code in CATEGORIES))

BRAND_STARTS = ("velq", "zarv", "brenk", "tovr", "mirv", "kadr", "quov", "lunv", "ostr", "fjeb", "gwyd", "drav")
BRAND_MIDDLES = ("a", "e", "i", "o", "u", "ae", "io", "uo", "ei", "y")
BRAND_ENDS = ("b", "dru", "fen", "gs", "jol", "ku", "lirn", "mox", "nk", "pel", "rs", "twe")
"""Pieces of invented brand names, odd enough to be nobody's."""

POOL = 1 << 20
CLOSE_ENOUGH = 0.002


@dataclass(frozen=True)
class Catalogue:
    """Products by index (0 to n-1); -1 stands for no product.

    `price` holds unit prices in cents and `discount` the discount in percent, one row a week of the period.
    `complement` is the product that `attach` of the orders with this main product also hold. `by_price` lists
    products by list price (`sorted_price`), `popularity_below` is the cumulated weight in that order; `by_category`
    lists them by category and price, `shelf` is a product's place there, `shelf_start` and `shelf_end` bound its
    category. `pool` is a large sample of products by popularity.
    """

    product_id: npt.NDArray[np.int64]
    category: Ints
    department: Ints
    category_ids: npt.NDArray[np.int64]
    category_codes: list[str]
    brand: Ints
    brands: list[str]
    list_price: Floats
    weight: Floats
    price: Ints
    discount: npt.NDArray[np.int8]
    complement: Ints
    attach: Floats
    by_price: Ints
    sorted_price: Floats
    popularity_below: Floats
    by_category: Ints
    shelf: Ints
    shelf_start: Ints
    shelf_end: Ints
    pool: Ints

    def __len__(self) -> int:
        return len(self.product_id)


def draw_catalogue(
    rng: np.random.Generator, products: int, weeks: int, lines: Lines, promotions: Promotions
) -> Catalogue:
    """Catalogue of `products` products with prices for `weeks` weeks."""
    codes = list(CATEGORIES)
    categories = max(len(codes), min(600, products // 15))
    code_of = np.concatenate((np.arange(len(codes)), rng.integers(0, len(codes), categories - len(codes))))
    category = _categories(rng, products, categories)
    medians = np.array(list(CATEGORIES.values()))[code_of] * np.exp(rng.normal(0, 0.15, categories))
    list_price = np.maximum(np.round(medians[category] * np.exp(rng.normal(0, 0.6, products)), 2), 0.5)
    weight = np.exp(rng.normal(0, 1.4, products))
    department_of = np.array([DEPARTMENTS.index(code.split(".")[0]) for code in codes])[code_of]
    department = department_of[category].astype(np.int32)
    brands = _brand_names(rng, min(len(BRAND_STARTS) * len(BRAND_MIDDLES) * len(BRAND_ENDS), 20 + products // 25))
    brand = _brands(rng, department, len(brands))
    complement, attach = _complements(rng, weight, list_price, lines)
    _share_brands(rng, brand, complement, lines.same_brand)
    price, discount = _prices(rng, list_price, weeks, promotions)

    by_price = np.argsort(list_price, kind="stable").astype(np.int32)
    by_category = np.lexsort((list_price, category)).astype(np.int32)
    shelf = np.empty(products, dtype=np.int32)
    shelf[by_category] = np.arange(products, dtype=np.int32)
    edges = np.searchsorted(category[by_category], np.arange(categories + 1)).astype(np.int32)
    return Catalogue(
        product_id=spread_ids(rng, products, 1_000_000, 52_000_000),
        category=category,
        department=department,
        category_ids=spread_ids(rng, categories, 2_053_013_550_000_000_000, 60_000_000_000),
        category_codes=[codes[i] for i in code_of],
        brand=brand,
        brands=brands,
        list_price=list_price,
        weight=weight,
        price=price,
        discount=discount,
        complement=complement,
        attach=attach,
        by_price=by_price,
        sorted_price=list_price[by_price],
        popularity_below=np.concatenate(([0.0], np.cumsum(weight[by_price]))),
        by_category=by_category,
        shelf=shelf,
        shelf_start=edges[category],
        shelf_end=edges[category + 1],
        pool=_weighted(rng, weight, POOL),
    )


def _categories(rng: np.random.Generator, products: int, categories: int) -> Ints:
    """Category of each product: sizes differ, as they do in a shop."""
    return _weighted(rng, rng.gamma(1.5, size=categories), products)


def _brand_names(rng: np.random.Generator, count: int) -> list[str]:
    names = [s + m + e for s in BRAND_STARTS for m in BRAND_MIDDLES for e in BRAND_ENDS]
    return [names[i] for i in rng.permutation(len(names))[:count]]


def _brands(rng: np.random.Generator, department: Ints, brands: int) -> Ints:
    """Brand of each product: every brand is at home in one department; a few lead it."""
    departments = len(DEPARTMENTS)
    per_department = brands // departments
    rank = np.floor(per_department * rng.random(len(department)) ** 2).astype(np.int32)
    brand: Ints = rank * departments + department
    return brand


def _complements(rng: np.random.Generator, weight: Floats, list_price: Floats, lines: Lines) -> tuple[Ints, Floats]:
    """Complement (or -1) and attach probability of each product: popular ones get a distinct, cheaper partner."""
    products = len(weight)
    complement, attach = np.full(products, -1, dtype=np.int32), np.zeros(products)
    pairs = max(3, int(lines.pair_share * products)) if lines.pair_share else 0
    popular = np.argsort(-weight, kind="stable")[: products // 4]
    leading = rng.permutation(popular)[:pairs]
    others = np.setdiff1d(np.arange(products), leading)
    cheap = others[np.argsort(list_price[others], kind="stable")][: products // 2]
    complement[leading] = rng.permutation(cheap)[: len(leading)]
    attach[leading] = rng.uniform(*lines.attach, len(leading))
    return complement, attach


def _share_brands(rng: np.random.Generator, brand: Ints, complement: Ints, share: float) -> None:
    leading = np.flatnonzero(complement >= 0)
    same = leading[rng.random(len(leading)) < share]
    brand[complement[same]] = brand[same]


def _prices(
    rng: np.random.Generator, list_price: Floats, weeks: int, promotions: Promotions
) -> tuple[Ints, npt.NDArray[np.int8]]:
    """Unit price in cents after discount and discount in percent, by week and product."""
    products = len(list_price)
    changes = rng.random(products) < promotions.price_change
    change_week = np.where(changes, rng.integers(0, weeks, products), weeks)
    factor = np.exp(rng.normal(0.02, 0.08, products))
    price = np.empty((weeks, products), dtype=np.int32)
    discount = np.zeros((weeks, products), dtype=np.int8)
    offers = np.asarray(promotions.discounts, dtype=np.int8)
    for week in range(weeks):
        promoted = rng.random(products) < promotions.promoted
        discount[week, promoted] = rng.choice(offers, int(promoted.sum()))
        full = list_price * np.where(week >= change_week, factor, 1.0)
        price[week] = np.maximum(np.rint(full * (100 - discount[week])), 1)
    return price, discount


def _weighted(rng: np.random.Generator, weight: Floats, count: int) -> Ints:
    """`count` indices drawn in proportion to `weight`."""
    edges = np.cumsum(weight)[:-1]
    drawn: Ints = np.searchsorted(edges, rng.random(count) * weight.sum(), side="right").astype(np.int32)
    return drawn


def blanks(
    rng: np.random.Generator, catalogue: Catalogue, interest: Floats, dirt: Dirt
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Products without category code (whole categories) and without brand, so that the planted shares of events are.

    `interest` is the number of sessions about each product.
    """
    by_category: Floats = np.bincount(catalogue.category, interest, len(catalogue.category_ids)).astype(np.float64)
    without_code = _filled_up(rng, by_category, dirt.no_category_code)[catalogue.category]
    return without_code, _filled_up(rng, interest, dirt.no_brand)


def _filled_up(rng: np.random.Generator, size: Floats, share: float) -> npt.NDArray[np.bool_]:
    """A random set whose sizes add up to nearly `share` of the whole."""
    chosen = np.zeros(len(size), dtype=np.bool_)
    whole = size.sum()
    room = share * whole
    for item in rng.permutation(len(size)):
        if room < CLOSE_ENOUGH * whole:  # filling the last gap would take small items only
            break
        if size[item] <= room:
            chosen[item] = True
            room -= size[item]
    return chosen
