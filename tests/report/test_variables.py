from __future__ import annotations

import subprocess

import fake_run
import pypandoc
import yaml

from patternbook.markup import escaped, sentence
from patternbook.params import Params
from patternbook.report.variables import NOT_COMPUTED, nested, variables

PARAMS = Params(run="trial", source={"kind": "simulated"}, report={"title": 'A "title" {with} *marks*'})


def as_text(markdown: str) -> str:
    done = subprocess.run(
        [pypandoc.get_pandoc_path(), "--from=markdown", "--to=plain", "--wrap=none"],
        input=markdown,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_number_is_rounded_to_its_interval_and_leads_to_its_cell() -> None:
    values = variables(PARAMS, fake_run.full_findings())
    assert values["funnel.conversion"] == (
        '[4\\.3\\%](notebooks/06_funnel_temporal.html#fig-funnel "Conversion · funnel.conversion · measured · '
        '95% interval 3.7%–4.9% · n = 4,504")'
        "{.finding .measured}"
    )
    assert values["interval.funnel.conversion"] == "3\\.7\\%–4\\.9\\%"
    assert values["n.funnel.conversion"] == "4\\,504"


def test_kind_is_a_class_and_an_assumption_names_its_source() -> None:
    values = variables(PARAMS, fake_run.full_findings())
    assert values["propensity.auc"].endswith("{.finding .modelled}")
    assert values["roi.margin"].endswith("{.finding .assumed}")
    assert "annual accounts" in values["roi.margin"]


def test_card_says_what_changed() -> None:
    values = variables(PARAMS, fake_run.full_findings())
    assert "{.change .up}" in values["kpi.eda.revenue"]
    assert "{.change .down}" in values["kpi.eda.orders"]
    assert ".change" not in values["kpi.eda.customers"]


def test_absent_findings_have_a_reason_and_no_value() -> None:
    values = variables(PARAMS, fake_run.sparse_findings(), ["funnel.conversion", "eda.nothing", "eda.revenue"])
    assert "funnel.conversion" not in values
    assert as_text(values["reason.funnel.conversion"]) == fake_run.NO_FUNNEL
    assert as_text(values["reason.eda.nothing"]) == NOT_COMPUTED
    assert "reason.eda.revenue" not in values


def test_locale_and_currency() -> None:
    params = Params(run="trial", source={"kind": "simulated"}, currency={"code": "EUR", "locale": "de_DE"})
    values = variables(params, fake_run.full_findings())
    assert as_text(values["eda.revenue"]).replace("\xa0", " ") == "59.443 €"


def test_run_and_parameters() -> None:
    values = variables(PARAMS, fake_run.full_findings())
    assert as_text(values["run.data_as_of"]) == "Jul 30, 2024"
    assert values["run.simulated"] == "simulated"
    assert as_text(values["params.report.title"]) == 'A "title" {with} *marks*'
    assert as_text(values["params.source.events"]) == "1,000,000"


def test_escaped_text_reads_as_it_was() -> None:
    assert as_text(escaped(fake_run.NASTY)) == fake_run.NASTY


def test_variables_survive_yaml() -> None:
    values = variables(PARAMS, fake_run.full_findings(), ["eda.nothing"])
    tree = yaml.safe_load(yaml.safe_dump(nested(values), allow_unicode=True))
    assert tree["funnel"]["conversion"] == values["funnel.conversion"]
    assert as_text(tree["reason"]["eda"]["nothing"]) == NOT_COMPUTED


def test_a_sentence_shows_keys_as_code_and_all_else_as_it_is() -> None:
    assert sentence("set `roi.horizon_days` or *wait*") == "set `roi.horizon_days` or " + escaped("*wait*")
    for text in ("a ` b", "`#x`{=typst}", "``", "`<b>` $5$"):
        assert as_text(sentence(text)).replace("`", "") == text.replace("`", "")
