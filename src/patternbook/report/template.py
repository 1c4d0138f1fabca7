"""The template `executive.qmd`: its shortcodes, and the parts that a run leaves out."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath

import yaml

from patternbook.errors import UserError

VAR = re.compile(r"\{\{<\s*var\s+(?P<name>[\w.-]+)\s*>\}\}")
EMBED = re.compile(r"\{\{<\s*embed\s+(?P<notebook>\S+?)#(?P<label>\S+)\s*>\}\}")
CONDITION = re.compile(r'(?P<word>when|unless)-meta="has\.(?P<subject>[\w.-]+)"')
FENCE = re.compile(r"^\s*:{3,}\s*(?P<attributes>.*?)\s*$")


def front_matter(metadata: Mapping[str, object]) -> str:
    """A document's metadata as the YAML block at its top."""
    return f"---\n{yaml.safe_dump(dict(metadata), allow_unicode=True, sort_keys=False)}---\n\n"


def conditions(text: str) -> set[str]:
    """What the template's parts hang on: `funnel.view_to_cart` for `when-meta="has.funnel.view_to_cart"`."""
    return {match["subject"] for match in CONDITION.finditer(text)}


def headlines(text: str) -> list[str]:
    """The findings that the template shows as key figures, in its order."""
    names = (match["name"] for match in VAR.finditer(text))
    return [name.removeprefix("kpi.") for name in names if name.startswith("kpi.")]


def resolve_conditions(text: str, has: Callable[[str], bool]) -> str:
    """Keep the parts whose condition holds, without their fences, and drop the others.

    This cannot wait for the renderer: an embed of a missing label is an error in Quarto even inside a hidden part.
    """
    kept: list[str] = []
    open_fences: list[bool | None] = []  # None: a fence of the report's own; else whether the part is kept
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if fence is None:
            if False not in open_fences:
                kept.append(line)
            continue
        opens = bool(fence["attributes"])
        if not opens and not open_fences:
            raise UserError(f"reports/executive.qmd, line {number}: ::: closes a part that was never opened")
        condition = CONDITION.search(fence["attributes"])
        state = open_fences.pop() if not opens else _holds(condition, has) if condition else None
        if state is None and False not in open_fences:
            kept.append(line)
        if opens:
            open_fences.append(state)
    if open_fences:
        raise UserError("reports/executive.qmd: a part that ::: opens is never closed")
    return "\n".join(kept) + "\n"


def _holds(condition: re.Match[str], has: Callable[[str], bool]) -> bool:
    return has(condition["subject"]) == (condition["word"] == "when")


def check_references(text: str, variables: Collection[str], cells: Collection[str]) -> None:
    """Raise UserError for a variable or an embedded cell (`02_eda.fig-activity`) that the run does not have."""
    missing = [match[0] for match in VAR.finditer(text) if match["name"] not in variables]
    missing += [match[0] for match in EMBED.finditer(text) if cell_name(match) not in cells]
    if missing:
        raise UserError(
            f"reports/executive.qmd: this run has nothing for {missing[0]}; put the part that needs it inside "
            '::: {.content-visible when-meta="has.<finding, or notebook.label>"}'
        )


def cell_name(embed: re.Match[str]) -> str:
    """`02_eda.fig-activity` for `{{< embed notebooks/02_eda.ipynb#fig-activity >}}`."""
    return f"{PurePosixPath(embed['notebook']).stem}.{embed['label']}"
