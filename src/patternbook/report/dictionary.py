"""The data dictionary of a run: what its tables, columns, findings and figures mean, as a page of the report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from patternbook.findings import Artefacts, Finding
from patternbook.markup import code, escaped
from patternbook.meanings import CUSTOMER_TABLES, RESULT_TABLES, Meaning, ResultTable
from patternbook.params import Params
from patternbook.paths import RunPaths
from patternbook.report.cells import Notebook, new_notebook, new_text
from patternbook.report.provenance import table_cell
from patternbook.report.variables import anchor
from patternbook.warehouse.contracts import (
    CUSTOMERS,
    EVENTS,
    MARTS,
    MONEY,
    PRODUCTS,
    REJECTS,
    SESSIONS_SOURCE,
    TOTAL,
    Column,
    Contract,
)

NAME = "00_dictionary"
SQL_TYPES = {
    pl.String: "VARCHAR",
    pl.Int64: "BIGINT",
    pl.Int32: "INTEGER",
    pl.Int8: "TINYINT",
    pl.Array: "FLOAT[]",
    pl.UInt32: "UINTEGER",
    pl.Float64: "DOUBLE",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
    pl.Datetime: "TIMESTAMP",
}
UNKNOWN = Meaning("")


def dictionary(
    params: Params, findings: Mapping[str, Finding], artefacts: Mapping[str, Artefacts], paths: RunPaths
) -> Notebook:
    """Notebook with a table for each table of the run, then its findings and its figures.

    `artefacts` are the tables and figures by the notebook that wrote them.
    """
    files = {"events/*.parquet": EVENTS, "products.parquet": PRODUCTS, "customers.parquet": CUSTOMERS}
    if paths.sessions_source.exists():
        files["sessions_source.parquet"] = SESSIONS_SOURCE
    files |= {"rejects.parquet": REJECTS} | {f"marts/{name}.parquet": mart for name, mart in MARTS.items()}
    currency = params.currency.code
    return new_notebook(
        [
            new_text(
                "# Data dictionary\n\nWhat the tables, columns, findings and figures of this run mean. Files lie in "
                f"{code(f'data/runs/{params.run}/')}. A column without a unit holds an identifier, a word, a mark, or "
                "a count of what its meaning names; times are UTC unless it says otherwise."
            ),
            new_text("## Event log and marts"),
            *(cell for file, contract in files.items() for cell in _contract(file, contract, currency)),
            new_text("## Result tables"),
            *(
                cell
                for notebook, written in artefacts.items()
                for table_id in sorted(written.tables)
                for cell in _result_table(table_id, notebook, paths)
            ),
            new_text("## Results by customer\n\nHanded from notebook to notebook, and never published."),
            *(cell for file in sorted(paths.by_customer.glob("*.parquet")) for cell in _customer_table(file)),
            new_text("## Findings and figures"),
            _findings(findings),
            _figures(artefacts, paths),
        ]
    )


def _contract(file: str, contract: Contract, currency: str) -> Iterator[Any]:
    """Heading, columns and checked identities of a table of the warehouse."""
    key = f" Key: {', '.join(map(code, contract.key))}." if contract.key else ""
    yield new_text(f"### {code(file)}\n\n{_sentence(contract.meaning)}{key}")
    rows = [
        [column.name, column.meaning, column.type, _unit(column, currency), "yes" if column.nullable else ""]
        for column in contract.columns
    ]
    header = ["Column", "Meaning", "Type", "Unit", "May be empty"]
    yield table_cell(_label(file), f"Columns of {code(file)}", header, rows, "lllll", widths=(20, 46, 16, 8, 10))
    if contract.identities:
        checked = [f"- {escaped(words)}: {code(condition)}" for words, condition in contract.identities.items()]
        yield new_text("Checked whenever it is built:\n\n" + "\n".join(checked))


def _unit(column: Column, currency: str) -> str:
    if column.type in (MONEY, TOTAL):
        return currency
    return column.unit or ("time" if column.type in ("TIMESTAMP", "DATE") else "")


def _result_table(table_id: str, notebook: str, paths: RunPaths) -> Iterator[Any]:
    """Heading and columns of a table that a notebook recorded."""
    file = paths.tables / f"{table_id}.parquet"
    yield from _described(file, RESULT_TABLES.get(table_id), f" Written by {_page(notebook)}.")


def _customer_table(file: Path) -> Iterator[Any]:
    """Heading and columns of a result by customer."""
    yield from _described(file, CUSTOMER_TABLES.get(file.stem), "")


def _described(path: Path, table: ResultTable | None, origin: str) -> Iterator[Any]:
    file = f"{path.parent.name}/{path.name}"
    meaning = _sentence(table.meaning) if table else ""
    yield new_text(f"### {code(file)}\n\n{meaning}{origin}")
    rows = []
    for name, kind in pl.read_parquet_schema(path).items():
        text, unit = (table.columns.get(name, UNKNOWN)) if table else UNKNOWN
        rows.append([name, text, SQL_TYPES.get(kind.base_type(), str(kind)), unit or ""])
    header = ["Column", "Meaning", "Type", "Unit"]
    yield table_cell(_label(file), f"Columns of {code(file)}", header, rows, "llll", widths=(22, 52, 16, 10))


def _findings(findings: Mapping[str, Finding]) -> Any:
    rows = [
        [
            escaped(finding_id),
            escaped(finding.label),
            finding.unit,
            finding.kind,
            f"[{escaped(f'{finding.notebook}, {finding.cell}')}]({anchor(finding)})",
        ]
        for finding_id, finding in sorted(findings.items())
    ]
    header = ["Finding", "Meaning", "Unit", "Kind", "Computed in"]
    return table_cell(
        "tbl-findings", "Findings of this run", header, rows, "lllll", markup=True, widths=(28, 32, 9, 10, 26)
    )


def _figures(artefacts: Mapping[str, Artefacts], paths: RunPaths) -> Any:
    rows = [
        [code(f"figures/{figure_id}.json"), escaped(_shown(figure_id, paths)), _page(notebook)]
        for notebook, written in artefacts.items()
        for figure_id in sorted(written.figures)
    ]
    header = ["File", "What it shows", "Drawn in"]
    return table_cell(
        "tbl-figures", "Figures of this run (Plotly)", header, rows, "lll", markup=True, widths=(26, 60, 16)
    )


def _shown(figure_id: str, paths: RunPaths) -> str:
    """The alternative text of a figure."""
    figure = json.loads((paths.figures / f"{figure_id}.json").read_text("utf-8"))
    return str((figure["layout"].get("meta") or {}).get("alt", ""))


def _page(notebook: str) -> str:
    return f"[{escaped(notebook)}](notebooks/{notebook}.html)"


def _label(file: str) -> str:
    return "tbl-" + "".join(char if char.isalnum() else "-" for char in file.removesuffix(".parquet"))


def _sentence(text: str) -> str:
    return escaped(text[:1].upper() + text[1:] + ".")
