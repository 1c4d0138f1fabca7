"""Text of unknown origin (names in the data, parameters) as markup that shows it as it is."""

from __future__ import annotations

import html
import re

SHORTEST_FENCE = 8  # backticks; enough for all code that does not try to get out
ENTITIES = str.maketrans({"$": "&#36;", "\n": " ", "\r": " "})  # Plotly takes $…$ for TeX where MathJax is loaded


def escaped(text: str) -> str:
    """Plain text as Markdown that shows it as it is."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(str(text).split()))


def sentence(text: str) -> str:
    """Plain text as `escaped`, but for what stands between backticks, which is shown as code."""
    return re.sub(r"\\`(.+?)\\`", lambda match: code(re.sub(r"\\(.)", r"\1", match[1])), escaped(text))


def attribute(text: str) -> str:
    """Plain text for a quoted attribute or title in Markdown."""
    flat = " ".join(str(text).split())
    return flat.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace("\\", "&#92;")


def code(text: str) -> str:
    """Plain text as a code span in Markdown."""
    ticks = _longer_than_any_in(text, 1)
    return f"{ticks} {text} {ticks}" if "`" in text else f"{ticks}{text}{ticks}"


def fenced(text: str, info: str) -> str:
    """Lines of text as a fenced block in Markdown; nothing in them can close it. `info` is `python`, `{=html}` …"""
    fence = _longer_than_any_in(text, SHORTEST_FENCE)
    return f"{fence} {info}\n{text}\n{fence}"


def in_chart(text: str) -> str:
    """Plain text for a label, title or hover text of a Plotly figure, which reads some HTML in them."""
    return html.escape(str(text), quote=False).translate(ENTITIES)


def _longer_than_any_in(text: str, least: int) -> str:
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))
