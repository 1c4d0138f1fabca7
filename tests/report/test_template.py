from __future__ import annotations

import re
from pathlib import Path

import pytest

from patternbook.errors import UserError
from patternbook.report.template import EMBED, VAR, check_references, conditions, resolve_conditions

TEMPLATE = (Path(__file__).parents[2] / "reports" / "executive.qmd").read_text("utf-8")
PARTS = """before
::: {.content-visible when-meta="has.funnel.conversion"}
## Funnel
::: {.callout-note}
{{< var funnel.conversion >}}
:::
:::
::: {.content-visible unless-meta="has.funnel.conversion"}
{{< var reason.funnel.conversion >}}
:::
after
"""


def test_part_stays_without_its_fences_but_with_those_inside() -> None:
    kept = resolve_conditions(PARTS, lambda subject: subject == "funnel.conversion")
    assert kept == "before\n## Funnel\n::: {.callout-note}\n{{< var funnel.conversion >}}\n:::\nafter\n"


def test_part_goes_with_all_that_is_in_it_and_its_twin_comes() -> None:
    assert resolve_conditions(PARTS, lambda _: False) == "before\n{{< var reason.funnel.conversion >}}\nafter\n"


@pytest.mark.parametrize(("text", "message"), [("a\n:::\n", "line 2"), ("::: {.kpis}\n", "never closed")])
def test_fences_that_do_not_match_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve_conditions(text, lambda _: True)


def test_conditions_are_found() -> None:
    assert conditions(PARTS) == {"funnel.conversion"}


@pytest.mark.parametrize(
    "text", ["{{< var eda.revenu >}}", "{{< embed notebooks/02_eda.ipynb#fig-none >}}", "{{<var eda.revenu>}}"]
)
def test_unknown_references_are_named(text: str) -> None:
    with pytest.raises(UserError, match=re.escape(text)):
        check_references(text, {"eda.revenue"}, {"02_eda.fig-activity"})


def prose(text: str) -> str:
    """The template's own words: no shortcodes, no attributes, no list numbers, no years in headings."""
    text = EMBED.sub("", VAR.sub("", text))
    text = re.sub(r"\{[^{}]*\}|\]\([^)]*\)", "", text)
    text = re.sub(r"^\s*\d+\.\s", "", text, flags=re.MULTILINE)
    return re.sub(r"^(#.*?)\b(19|20)\d\d\b", r"\1", text, flags=re.MULTILINE)


def test_no_number_is_typed() -> None:
    assert not [line for line in prose(TEMPLATE).splitlines() if re.search(r"\d", line)]


def test_the_digit_test_can_fail() -> None:
    assert re.search(r"\d", prose("Revenue rose by 8 %."))
    assert not re.search(r"\d", prose("## The year 2019 {#sec-1}\n1. {{< var eda.aov_7d >}} [x](a1.html)"))


def test_template_holds_no_code_and_only_agreed_constructs() -> None:
    fences = set(re.findall(r"^:{3,} *\{([^}]*)\}", TEMPLATE, flags=re.MULTILINE))
    agreed = r"\.callout-(note|tip|warning|important)|\.panel-tabset|\.kpis|\.reading|\.lead|\.joined"
    agreed += r'|\.more title="[^"]+"'
    agreed += r"|\.content-visible (when|unless)-(meta|format)=\S+"
    assert not [fence for fence in fences if not re.fullmatch(agreed, fence)]
    assert "```" not in TEMPLATE
    shortcodes = set(re.findall(r"\{\{<\s*(\w+)", TEMPLATE))
    assert shortcodes <= {"var", "embed"}
    assert not re.search(r"<[a-z/][^>]*>", re.sub(r"\{\{<.*?>\}\}", "", TEMPLATE)), "no raw HTML"
