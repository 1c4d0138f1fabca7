"""Accounts of the simulated customers on their platforms: one person, several records, with typing errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from patternbook.simulation.behaviour import PLATFORMS
from patternbook.simulation.customers import Customers
from patternbook.simulation.draw import spread_ids

MOST_CUSTOMERS = 200_000
"""Contacts are written for this many customers, the first to arrive; a larger market has no need of more."""

EMAIL_TYPO, NAME_TYPO, NO_EMAIL, NO_PHONE, OTHER_EMAIL, FAMILY_EMAIL = 0.03, 0.04, 0.08, 0.25, 0.06, 0.01

FIRST_NAMES = (
    "Anna Ben Clara David Elena Felix Greta Hugo Ines Jonas Katja Leo Mara Nils Olga Paul Rosa Simon Tessa Viktor "
    "Amira Bruno Carla Dario Esther Fabio Gina Henri Ida Jakub Laura Marek Nora Oskar Petra Rafael Sofia Tom Ute "
    "Wim "
)
LAST_NAMES = (
    "Albers Bianchi Castro Dubois Egger Fontana Garcia Hoffmann Ivanov Jansen Kowalski Lambert Moreau Neumann Olsen "
    "Peeters Ricci Schmitt Torres Ullrich Vermeer Weber Zielinski Brandt Costa Delgado Ferrari Gruber Huber Klein "
    "Lopez Meyer Novak Ortega Pires Roux Santos Thomas Vidal Wagner Becker Conti Durand Esposito Fischer Girard "
    "Herrera Keller Lang Martin Nowak Perez Romano Silva Vogel Winter Blanc Bakker Lorenz Marino "
)
DOMAINS = ("example.com", "example.net", "example.org")
"""Domains that are reserved for documentation (RFC 2606)."""

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def contacts_table(rng: np.random.Generator, customers: Customers) -> pl.DataFrame:
    """One row an account: platform, account_id, first_name, last_name, email, phone, and whose it is.

    Accounts of one customer agree but for typing errors, missing values, a second e-mail address, and each
    platform's way to write phone numbers (country code 999, which nobody has); some couples share an address.
    """
    count = min(len(customers), MOST_CUSTOMERS)
    platforms = customers.platforms[:count]
    who, place = np.nonzero(platforms >= 0)
    platform = platforms[who, place].astype(np.int64)
    size = len(who)
    people = pl.DataFrame(
        {
            "first_name": _names(rng, FIRST_NAMES, count).gather(who),
            "last_name": _names(rng, LAST_NAMES, count).gather(who),
        }
    )
    accounts = people.with_columns(
        platform=pl.Series(PLATFORMS).gather(platform),
        account_id=pl.Series(spread_ids(rng, size, 10_000_000, 80_000_000)[rng.permutation(size)]),
        email=_emails(rng, people, who, count),
        phone=_phones(rng, who, platform, count),
        customer_id=pl.Series(customers.customer_id[who]),
    )
    misspelt = accounts.with_columns(
        first_name=_with_typos(rng, accounts["first_name"], NAME_TYPO),
        last_name=_with_typos(rng, accounts["last_name"], NAME_TYPO),
        email=_with_typos(rng, accounts["email"], EMAIL_TYPO).set(_some(rng, size, NO_EMAIL), None),
        phone=accounts["phone"].set(_some(rng, size, NO_PHONE), None),
    )
    columns = ["platform", "account_id", "first_name", "last_name", "email", "phone", "customer_id"]
    return misspelt.select(columns).sort("platform", "account_id")


def _names(rng: np.random.Generator, names: str, count: int) -> pl.Series:
    known = pl.Series(names.split())
    return known.gather(rng.integers(0, len(known), count))


def _some(rng: np.random.Generator, size: int, share: float) -> pl.Series:
    return pl.Series(rng.random(size) < share)


def _emails(rng: np.random.Generator, people: pl.DataFrame, who: Longs, count: int) -> pl.Series:
    """first.last and a number at a domain; some accounts have another number, some customers the one before's."""
    number, domain = rng.integers(1, 10_000, count), rng.integers(0, len(DOMAINS), count)
    couple = rng.random(count) < FAMILY_EMAIL
    owner = np.where(couple, np.maximum(np.arange(count) - 1, 0), np.arange(count))[who]
    first_row = np.searchsorted(who, np.arange(count))
    names = people[first_row[owner]]
    shown = np.where(rng.random(len(who)) < OTHER_EMAIL, rng.integers(1, 10_000, len(who)), number[owner])
    parts = names.with_columns(number=pl.Series(shown), domain=pl.Series(DOMAINS).gather(domain[owner]))
    text = pl.format("{}.{}{}@{}", "first_name", "last_name", "number", "domain").str.to_lowercase()
    return parts.select(email=text)["email"]


def _phones(rng: np.random.Generator, who: Longs, platform: Longs, count: int) -> pl.Series:
    """Each customer's number, written in one of three ways by platform."""
    area, rest = rng.integers(100, 1000, count)[who], rng.integers(100_000, 1_000_000, count)[who]
    parts = pl.DataFrame({"way": platform % 3, "area": area, "rest": rest})
    text = (
        pl.when(pl.col("way") == 0)
        .then(pl.format("+999 {} {}", "area", "rest"))
        .when(pl.col("way") == 1)
        .then(pl.format("00999{}{}", "area", "rest"))
        .otherwise(pl.format("(0{}) {}", "area", "rest"))
    )
    return parts.select(phone=text)["phone"]


def _with_typos(rng: np.random.Generator, text: pl.Series, share: float) -> pl.Series:
    """Some texts with one letter lost, doubled, or changed place with the next."""
    size = len(text)
    kinds = rng.integers(0, 3, size)
    at = (1 + rng.random(size) * (text.str.len_chars().to_numpy() - 2)).astype(np.int64)
    parts = pl.DataFrame({"text": text, "at": at, "kind": np.where(rng.random(size) < share, kinds, -1)})
    at_, text_ = pl.col("at"), pl.col("text")
    before, letter, after = text_.str.slice(0, at_), text_.str.slice(at_, 1), text_.str.slice(at_ + 1)
    lost = pl.concat_str(before, after)
    doubled = pl.concat_str(before, letter, letter, after)
    swapped = pl.concat_str(text_.str.slice(0, at_ - 1), letter, text_.str.slice(at_ - 1, 1), after)
    typed = pl.when(pl.col("kind") == 0).then(lost).when(pl.col("kind") == 1).then(doubled)
    return parts.select(text=typed.when(pl.col("kind") == 2).then(swapped).otherwise(text_))["text"]
