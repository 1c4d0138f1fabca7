"""A run as JUnit XML, which CI servers show: a test case a step, and one a key of `expect`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from patternbook.findings import write_aside
from patternbook.pipeline import Outcome

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


class Case(NamedTuple):
    """A test case. `kind` is what it ended with: nothing, failure, error or skipped."""

    group: str
    name: str
    kind: str | None = None
    message: str = ""
    seconds: float = 0.0


def write_junit(file: Path, run: str, outcome: Outcome, expected: Iterable[str]) -> None:
    """Write what a run did to `file`. `expected` are the ids under `expect`.

    A step that raised is an error, a broken expectation a failure; a step that was current, or that another kept from
    running, is skipped, as are expectations of a run that did not come to its end.
    """
    cases = [*_steps(outcome), *_expectations(outcome, expected)]
    suite = ElementTree.Element("testsuite", {"name": f"patternbook.{run}", **_counts(cases)})
    suite.set("timestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    for case in cases:
        suite.append(_element(run, case))
    suites = ElementTree.Element("testsuites", _counts(cases))
    suites.append(suite)
    ElementTree.indent(suites)
    write_aside(file, ElementTree.tostring(suites, encoding="unicode", xml_declaration=False) + "\n")


def _steps(outcome: Outcome) -> Iterator[Case]:
    for name in outcome.ran:
        yield Case("step", name, seconds=outcome.seconds.get(name, 0.0))
    for name in outcome.current:
        yield Case("step", name, "skipped", "unchanged since the last run")
    for failure in outcome.failures:
        yield Case("step", failure.step, "error", failure.message, outcome.seconds.get(failure.step, 0.0))
    for name in outcome.not_run:
        yield Case("step", name, "skipped", "not run, because a step that it needs failed")


def _expectations(outcome: Outcome, expected: Iterable[str]) -> Iterator[Case]:
    for name in expected:
        if outcome.html is None:
            yield Case("expect", name, "skipped", "the run did not come to its end")
        elif name in outcome.broken:
            yield Case("expect", name, "failure", outcome.broken[name])
        else:
            yield Case("expect", name)


def _element(run: str, case: Case) -> ElementTree.Element:
    element = ElementTree.Element("testcase", classname=f"patternbook.{run}.{case.group}", name=case.name)
    element.set("time", f"{case.seconds:.3f}")
    if case.kind:
        text = NOT_XML.sub("", COLOURS.sub("", case.message))
        told = ElementTree.SubElement(element, case.kind, message=text.partition("\n")[0])
        if case.kind != "skipped":
            told.text = text
    return element


def _counts(cases: list[Case]) -> dict[str, str]:
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {name: str(sum(case.kind == kind for case in cases)) for name, kind in kinds.items()}
    return {"tests": str(len(cases)), **counts, "time": f"{sum(case.seconds for case in cases):.3f}"}
