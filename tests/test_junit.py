"""A run as JUnit XML: what a CI server would count."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from patternbook.junit import write_junit
from patternbook.pipeline import Failure, Outcome

DONE = Outcome(
    ran=["01_compaction", "report"],
    current=["02_eda"],
    seconds={"01_compaction": 2.5, "report": 1.25},
    broken={"eda.revenue": "expect eda.revenue: 1 is below the minimum 5"},
    html=Path("executive.html"),
)
FAILED = Outcome(
    ran=["01_compaction"],
    failures=[Failure("02_eda", "02_eda: cell In [3]: \x1b[31mboom\x1b[0m\x00 <&> \ud800\n  see it", by_user=False)],
    not_run=["findings", "report"],
    seconds={"01_compaction": 2.5, "02_eda": 0.5},
)


def written(folder: Path, outcome: Outcome, *expected: str) -> ElementTree.Element:
    file = folder / "ci" / "junit.xml"
    write_junit(file, "small", outcome, expected)
    return ElementTree.parse(file).getroot()


def kinds(root: ElementTree.Element) -> dict[str, str]:
    return {case.get("name", ""): next((child.tag for child in case), "passed") for case in root.iter("testcase")}


def test_a_case_a_step_and_one_an_expectation(tmp_path: Path) -> None:
    root = written(tmp_path, DONE, "eda.revenue", "eda.orders")
    assert kinds(root) == {
        "01_compaction": "passed", "report": "passed", "02_eda": "skipped",
        "eda.revenue": "failure", "eda.orders": "passed",
    }  # fmt: skip
    (suite,) = root
    assert suite.get("name") == "patternbook.small"
    times = {case.get("name"): case.get("time") for case in suite}
    assert (times["01_compaction"], times["02_eda"]) == ("2.500", "0.000")
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == failure.text == "expect eda.revenue: 1 is below the minimum 5"


def test_a_failed_step_is_an_error_and_what_needs_it_is_skipped(tmp_path: Path) -> None:
    root = written(tmp_path, FAILED, "eda.revenue")
    assert kinds(root) == {
        "01_compaction": "passed", "02_eda": "error", "findings": "skipped", "report": "skipped",
        "eda.revenue": "skipped",
    }  # fmt: skip
    error = root.find(".//error")
    assert error is not None
    assert error.get("message") == "02_eda: cell In [3]: boom <&> "
    assert error.text == "02_eda: cell In [3]: boom <&> \n  see it"


@pytest.mark.parametrize("outcome", [DONE, FAILED, Outcome()], ids=["done", "failed", "nothing"])
def test_the_counts_are_those_of_the_cases(tmp_path: Path, outcome: Outcome) -> None:
    root = written(tmp_path, outcome, "eda.revenue")
    found = list(kinds(root).values())
    for element in (root, root[0]):
        counts = {name: int(element.get(name, -1)) for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {
            "tests": len(found), "failures": found.count("failure"), "errors": found.count("error"),
            "skipped": found.count("skipped"),
        }  # fmt: skip
        assert float(element.get("time", -1)) == pytest.approx(sum(outcome.seconds.values()))
