"""The finished report's prose, on screen and on paper, and the numbers in it that lead nowhere.

A number may stand in the report's text where it is one of these:
- a finding or a parameter, as a link to its cell or row, written as that one is;
- the interval of the finding before it;
- the confidence of intervals;
- a date, or a name in code;
- in a paragraph that ends with a link to the cell that wrote it: what that notebook found, a row of its result tables,
  or a parameter, each rounded as it is written;
- the number of a figure or table, which the renderer writes.
On paper, where links lead nowhere, a paragraph with a number has to be one of those on screen.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import polars.selectors as cs
from playwright.sync_api import Page

from patternbook.findings import Finding, read_artefacts, read_findings
from patternbook.formats import Formats
from patternbook.params import Params, params_from
from patternbook.paths import RunPaths
from patternbook.report.parameters import flat, row, spellings
from patternbook.report.variables import CONFIDENCE, anchor, number

PLACE = {"notebook": "02_eda", "cell": "tbl-kpis", "kind": "measured"}
PREVIOUS = {
    "eda.aov": Finding(value=1.0, low=0.9, high=1.1, unit="currency", label="Average order value", n=9, **PLACE),
    "eda.orders": Finding(value=9, unit="count", label="Orders", **PLACE),
    "eda.lost": Finding(value=7, unit="count", label="What no run finds any more", **PLACE),
}
MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"  # of the locale en_US, in which tests run
NAMES = r"SHA-256"  # that have a number in them
DATE = rf"{MONTH} (?:\d{{1,2}}, )?\d{{4}}(?: at \d{{1,2}}:\d{{2}}\s[AP]M)?|\d{{4}} Q[1-4]|\b\d{{2}}:00"
INTERVAL = r"\([^()]*\d[^()]*(?:–| to )[^()]*\)"
NUMBER = re.compile(r"[−+-]?[$€£]?\d(?:[\d.,]*\d)?%?")
SIGN = re.compile(r"^[+−-]")
PARTS = """all => all.filter(one => !one.closest('table, .calculator')).map(one => {
  const parts = [];
  const walk = node => {
    for (const child of node.childNodes) {
      if (child.nodeType === 3) parts.push([child.textContent, '', '', '']);
      else if (child.matches?.('.float-number, script, table')) continue;
      else if (child.matches?.('code')) parts.push([child.textContent, '', '', 'code']);
      else if (child.matches?.('a')) parts.push(
        [child.textContent, child.getAttribute('href'), child.title || child.dataset.home || '', child.className]);
      else walk(child);
    }
  };
  walk(one);
  return parts;
})"""


class Part(NamedTuple):
    """Some text of a paragraph; `href`, `title` and `role` (its classes) where it is a link."""

    text: str
    href: str = ""
    title: str = ""
    role: str = ""


Paragraph = list[Part]


def on_screen(page: Page) -> list[Paragraph]:
    """Headings, paragraphs, items of lists and captions of the page, folded ones included."""
    found = page.eval_on_selector_all("header p, main :is(h1, h2, h3, h4, p, li, figcaption, summary)", PARTS)
    return [[Part(*part) for part in parts] for parts in found]


def on_paper(pdf: Path) -> list[list[str]]:
    """The same of a tagged PDF, by Debian's poppler: the lines of what stands outside of tables and figures.

    Poppler loses what stands between two typefaces on a line, so that a paragraph may have gaps.
    """
    command = ["pdfinfo", "-struct-text", str(pdf)]
    lines = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "replace").splitlines()
    return [words for words in _elements(lines) if words]


TAG = re.compile(r"(?P<indent> *)(?P<tag>[A-Z][A-Za-z0-9]*)(?P<rest>[ :].*)?$")
TEXT = re.compile(r'(?P<indent> *)"(?P<text>.*)"$')
PROSE, CELLS = re.compile(r"P|H\d|LI|Caption"), {"THead", "TBody", "TFoot", "TR", "Figure"}


def _elements(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines of each element of prose, from the tree that pdfinfo prints by indentation."""
    inside: int | None = None  # indentation of the element of prose that is open
    skipped: int | None = None  # of a part of a table or of a figure
    words: list[str] = []
    for line in lines:
        text, tag = TEXT.match(line), TAG.match(line)
        if text is None and tag is None:
            continue
        indent = len((text or tag)["indent"])  # type: ignore[index]
        if skipped is not None and indent <= skipped:
            skipped = None
        if inside is not None and indent <= inside:
            yield words
            inside, words = None, []
        if text is not None:
            if inside is not None and skipped is None:
                words.append(text["text"])
        elif tag is not None and skipped is None:
            if tag["tag"] in CELLS:
                skipped = indent
            elif inside is None and PROSE.fullmatch(tag["tag"]):
                inside = indent
    yield words


def bare(text: str) -> str:
    """Text without blanks and places to break, with straight apostrophes."""
    return re.sub(r"[\s\u200b]", "", text).replace("’", "'")


def untold_on_screen(paper: Iterable[list[str]], screen: Iterable[Paragraph]) -> list[str]:
    """Paragraphs on paper with a number that do not stand on screen too."""
    told = {bare("".join(part.text for part in paragraph)).removesuffix("computedhere") for paragraph in screen}

    def is_told(words: list[str]) -> bool:
        text = re.sub(r"^(?:Figure|Table)\d+", "", bare("".join(words)))
        if text in told or not re.search(r"\d", text):
            return True
        with_gaps = re.compile(".*".join(re.escape(bare(line)) for line in words))
        return any(with_gaps.fullmatch(one) for one in told)

    return ["".join(words) for words in paper if not is_told(words)]


def lay_previous(paths: RunPaths, params: dict[str, Any]) -> None:
    """What a run was before, of which its report tells what moved: `PREVIOUS`, and nothing else was found."""
    manifest = {
        "run": paths.run, "finished_at": "2026-11-23T23:30:00+00:00", "patternbook": "0.1", "python": "3.11",
        "platform": "p", "processor": "x86_64", "packages": {}, "code": {"a.py": "1"}, "git": {"commit": None},
        "parameters": params_from(params, "p.yaml").model_dump(mode="json", by_alias=True),
        "inputs": {"raw/2019.csv": {"sha256": "1"}},
    }  # fmt: skip
    paths.previous.parent.mkdir(parents=True, exist_ok=True)
    found = {name: finding.model_dump() for name, finding in PREVIOUS.items()}
    paths.previous.write_text(json.dumps({"manifest": manifest, "findings": found}), "utf-8")


def _of_changes(findings: Mapping[str, Finding]) -> Iterator[float]:
    """How many findings are not as they were in `PREVIOUS`, how many there are, and how many lie apart."""

    def told(finding: Finding | None) -> object:
        return None if finding is None else (finding.value, finding.low, finding.high)

    known = findings.keys() | PREVIOUS.keys()
    yield float(sum(told(findings.get(name)) != told(PREVIOUS.get(name)) for name in known))
    yield float(len(known))
    yield float(
        sum(
            before.high is not None and findings[name].low is not None and before.high < findings[name].low
            for name, before in PREVIOUS.items()
        )
    )


class Numbers:
    """What a run's numbers are and where each has its home."""

    def __init__(self, paths: RunPaths, params: Params) -> None:
        self.formats = Formats(params.currency.code, params.currency.locale)
        self.findings = read_findings(paths.findings)
        self.parameters = dict(flat(params))
        notebooks = {finding.notebook for finding in self.findings.values()}
        self.cells = {"00_changes": {*_of_changes(self.findings)}} | {
            notebook: {*self._of_findings(notebook), *self._of_parameters(), *_of_tables(paths, written.tables)}
            for notebook, written in read_artefacts(paths, notebooks).items()
        }

    def _of_findings(self, notebook: str) -> Iterator[float]:
        for finding in self.findings.values():
            if finding.notebook == notebook:
                values = (finding.value, finding.low, finding.high, finding.n)
                yield from (float(value) for value in values if isinstance(value, int | float))

    def _of_parameters(self) -> Iterator[float]:
        yield from (float(value) for value in self.parameters.values() if isinstance(value, int | float))

    def homeless(self, paragraph: Paragraph) -> list[str]:
        """The numbers of a paragraph that are none of those that may stand there."""
        trace = next((part.href for part in paragraph if "trace" in part.role.split()), "")
        wrong, before, rest = [], None, ""
        for part in paragraph:
            if "finding" in part.role.split() and part.title:
                wrong += [] if self._is_what_it_says(part) else [part.text]
                before = self._finding(part)
            elif not part.href and part.role != "code":
                text = part.text
                if before is not None:
                    text = self._without_interval(text, before)
                rest += text
                before = before if not text.strip() else None
        rest = re.sub(rf"{DATE}|{NAMES}", " ", rest).replace(self.formats.compact(CONFIDENCE, "share"), " ", 1)
        notebook = trace.removeprefix("notebooks/").partition(".html")[0]
        return wrong + [text for text in NUMBER.findall(rest) if not self._is_known(text, notebook)]

    def _finding(self, part: Part) -> Finding | None:
        label, name = part.title.split(" · ")[:2]
        return None if label == "Parameter" else self.findings.get(name)

    def _is_what_it_says(self, part: Part) -> bool:
        """Whether a link is written as its finding or parameter is, with or without its sign, and leads to its home."""
        label, name = part.title.split(" · ")[:2]
        finding = self.findings.get(name)
        if label == "Parameter" or finding is None:
            value = self.parameters.get(name)
            return part.text in spellings(value, self.formats) | {str(value)} and part.href.endswith(f"#{row(name)}")
        written = {number(finding, self.formats)[0], self.formats.value(finding.value, finding.unit)}
        unsigned = {SIGN.sub("", text) for text in written}
        return SIGN.sub("", _blank(part.text)) in map(_blank, unsigned) and part.href == anchor(finding)

    def _without_interval(self, text: str, finding: Finding) -> str:
        """Text without the finding's interval at its start."""
        interval = _blank(number(finding, self.formats)[1])
        flat_text = _blank(text)
        for way in (f"({interval})", f"95% interval {interval}"):
            if interval and flat_text.lstrip().startswith(way):
                return flat_text.lstrip().removeprefix(way)
        return text

    def _is_known(self, text: str, notebook: str) -> bool:
        """Whether a number is what the notebook knows, rounded as it is written."""
        digits = re.sub(r"[^\d.]", "", text)
        size, decimals = float(digits), len(digits.partition(".")[2])
        scale = 100 if text.endswith("%") else 1
        step = 10.0**-decimals
        return any(
            abs(abs(value) * factor - size) <= 0.5000001 * step
            for value in self.cells.get(notebook, ())
            for factor in {scale, 100 if scale == 1 else scale}  # percentage points stand without a sign
        )


def _of_tables(paths: RunPaths, tables: Iterable[str]) -> Iterator[float]:
    for name in tables:
        numbers = pl.read_parquet(paths.tables / f"{name}.parquet").select(cs.numeric())
        for column in numbers.iter_columns():
            yield from column.drop_nulls().cast(pl.Float64)


def _blank(text: str) -> str:
    return " ".join(text.replace("\xa0", " ").split())
