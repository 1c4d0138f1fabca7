"""Parameters as the report's text shows them: assumed numbers, each linked to its row in the table of parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from patternbook.formats import Formats
from patternbook.markup import attribute, escaped
from patternbook.params import Params

PAGE = "00_provenance"  # the notebook whose page holds the table of all parameters
HOME = " · "  # between the parts of a title; report.js reads it


def parameter_variables(params: Params, formats: Formats) -> dict[str, str]:
    """`params.<section>.<key>` as Markdown, for each parameter that has a value."""
    return {f"params.{key}": linked_parameter(params, key, plain(value, formats)) for key, value in flat(params)}


def linked_parameter(params: Params, key: str, text: str) -> str:
    """A parameter as a link to its row; the title is the card of `report.js`: key, kind, and who set it."""
    origin = "set in the parameter file" if key in _given(params) else "default of the software"
    title = HOME.join(("Parameter", key, "assumed", origin))
    return f'[{escaped(text)}](notebooks/{PAGE}.html#{row(key)} "{attribute(title)}"){{.finding .assumed}}'


def row(key: str) -> str:
    """Anchor of a parameter's row."""
    return f"par-{re.sub(r'[^A-Za-z0-9_.-]', '-', key)}"


def flat(params: Params) -> list[tuple[str, Any]]:
    """Dotted keys and values of all parameters, those without a value left out."""
    return list(_flat(params.model_dump(mode="json", by_alias=True)))


def plain(value: Any, formats: Formats) -> str:
    """A parameter as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return formats.count(value)
    if isinstance(value, float):
        return formats.value(value, "number")
    if isinstance(value, list | tuple):
        return ", ".join(plain(entry, formats) for entry in value)
    return str(value)


def spellings(value: Any, formats: Formats) -> set[str]:
    """The ways in which a sentence may write a number of the parameters: as it is, as a share, as an amount."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return set()
    if isinstance(value, int):
        return {formats.count(value)}
    forms = {formats.value(value, unit) for unit in ("number", "share", "currency")}
    return forms | {formats.compact(value, "share")}


def _given(params: Params) -> set[str]:
    return {key for key, _ in _flat(params.model_dump(mode="json", by_alias=True, exclude_defaults=True))}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
