"""A small executed run, made by hand: what the report step finds when the notebooks are done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import great_tables as gt
import nbformat
import plotly.graph_objects as go
import plotly.io as pio
import polars as pl
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from patternbook.charts import drawing
from patternbook.findings import Finding
from patternbook.params import Params
from patternbook.paths import RunPaths
from patternbook.report import Rendered
from patternbook.report.cells import HTML, MARKDOWN, PLOTLY
from patternbook.runs import description
from patternbook.theme import SANS_STACK

PROJECT = Path(__file__).parents[2]
NASTY = '<script>alert("x")</script> & "quoted" | piped $5 *starred* {{< var eda.revenue >}}'
SIMULATED = Params(run="full", source={"kind": "simulated"}, report={"organisation": "Example & Sons"})


class Report(NamedTuple):
    root: Path
    paths: RunPaths
    rendered: Rendered

    @property
    def html(self) -> str:
        return self.rendered.html.read_text("utf-8")


DAYS = [f"2024-07-{day:02d}" for day in range(1, 31)]


def lay_project(root: Path) -> None:
    """The parts of a checkout that the report reads."""
    for folder in ("theme", "filters"):
        shutil.copytree(PROJECT / "reports" / folder, root / "reports" / folder)
    shutil.copy(PROJECT / "reports" / "executive.qmd", root / "reports")
    shutil.copy(PROJECT / "_quarto.yml", root)


def lay_run(root: Path, params: Params, findings: dict[str, Finding], notebooks: dict[str, Any]) -> RunPaths:
    """An executed run in the project at `root`."""
    paths = RunPaths(params.run, root)
    paths.notebooks.mkdir(parents=True)
    for name, notebook in notebooks.items():
        nbformat.write(notebook, paths.notebook(name))
    dumped = {key: finding.model_dump() for key, finding in findings.items()}
    paths.findings.write_text(json.dumps(dumped), "utf-8")
    file = {"file": "2024-07.csv", "bytes": 1_234_567, "sha256": "0f" * 32, "rows_read": 17_435}
    paths.compaction.write_text(json.dumps({"files": [file]}), "utf-8")
    return paths


def lay_previous(paths: RunPaths, params: Params, findings: dict[str, Finding]) -> None:
    """What an earlier execution of the run had found."""
    manifest = {**description(params, {}), "run": params.run, "finished_at": "2026-11-23T10:00:00+00:00"}
    dumped = {key: finding.model_dump() for key, finding in findings.items()}
    paths.previous.write_text(json.dumps({"manifest": manifest, "findings": dumped}), "utf-8")


def lay_everything(root: Path) -> RunPaths:
    """A run with everything in it, in a project at `root`; its revenue was another one before."""
    lay_project(root)
    findings = full_findings()
    paths = lay_run(root, SIMULATED, findings, full_notebooks())
    earlier = finding(50_000, "currency", "Revenue", "02_eda#tbl-kpis")
    lay_previous(paths, SIMULATED, findings | {"eda.revenue": earlier})
    return paths


def finding(value: Any, unit: str, label: str, place: str, **more: Any) -> Finding:
    """A finding of the cell `<notebook>#<label>`."""
    notebook, cell = place.split("#")
    return Finding(
        **{"kind": "measured", "value": value, "unit": unit, "label": label, **more}, notebook=notebook, cell=cell
    )


def full_findings() -> dict[str, Finding]:
    eda, funnel, compaction = "02_eda#tbl-kpis", "06_funnel_temporal#fig-funnel", "01_compaction#tbl-files"
    return {
        "compaction.rows_read": finding(17_435, "count", "Rows read", compaction),
        "compaction.rows_kept": finding(17_429, "count", "Rows kept", compaction),
        "compaction.rows_rejected": finding(1, "count", "Rows rejected", compaction),
        "compaction.duplicates_dropped": finding(5, "count", "Duplicates dropped", compaction),
        "eda.events": finding(17_429, "count", "Events", eda),
        "eda.customers": finding(4_504, "count", "Customers", eda),
        "eda.sessions": finding(5_067, "count", "Sessions", eda),
        "eda.orders": finding(200, "count", "Orders", eda),
        "eda.orders_change": finding(-0.031, "share", "Orders, change", eda),
        "eda.revenue": finding(59_442.63, "currency", "Revenue", eda, n=200),
        "eda.revenue_change": finding(0.083, "share", "Revenue, change", eda),
        "eda.aov": finding(297.21, "currency", "Average order value", eda, low=261.4, high=338.9, n=200),
        "eda.first_event": finding("2024-07-01T00:00:00", "time", "First event", eda),
        "eda.last_event": finding("2024-07-30T23:59:58", "time", "Last event", eda),
        "funnel.visitors": finding(4_504, "count", "Visitors", funnel),
        "funnel.viewers": finding(4_504, "count", "Viewers", funnel),
        "funnel.carters": finding(111, "count", "Customers with a cart", funnel),
        "funnel.buyers": finding(193, "count", "Buyers", funnel),
        "funnel.buyers_without_cart": finding(131, "count", "Buyers without a cart", funnel),
        "funnel.view_to_cart": finding(
            111 / 4504, "share", "View-to-cart rate", funnel, low=0.0205, high=0.0296, n=4504
        ),
        "funnel.cart_to_purchase": finding(
            62 / 111, "share", "Cart-to-purchase rate", funnel, low=0.466, high=0.647, n=111
        ),
        "funnel.conversion": finding(193 / 4504, "share", "Conversion", funnel, low=0.0373, high=0.0492, n=4504),
        "propensity.auc": finding(
            0.81, "number", "AUC", "06_funnel_temporal#fig-funnel", low=0.79, high=0.83, kind="modelled", n=900
        ),
        "roi.margin": finding(
            0.3, "share", "Margin", "06_funnel_temporal#tbl-funnel", kind="assumed", source="annual accounts"
        ),
    }


def plot(figure: go.Figure, alt: str) -> Any:
    """A Plotly output as JupyterLab's renderer leaves it."""
    figure.update_layout(meta={"alt": alt}, template="plotly_white", height=360, font_family=SANS_STACK)
    data = {PLOTLY: json.loads(pio.to_json(figure)), "text/plain": "Figure()"}
    data[PLOTLY]["config"] = {"plotlyServerURL": "https://plot.ly"}
    return new_output("display_data", data)


def table(frame: pl.DataFrame) -> Any:
    return new_output("execute_result", {HTML: gt.GT(frame)._repr_html_(), "text/plain": "GT"}, execution_count=1)


def sentence(text: str) -> Any:
    return new_output("display_data", {MARKDOWN: text, "text/plain": "Markdown"})


def cell(label: str, output: Any, caption: str = "", code: str = "show(result)") -> Any:
    kind = label.split("-", maxsplit=1)[0]
    option = f"\n#| {kind}-cap: {json.dumps(caption)}" if caption else ""
    warning = new_output("stream", name="stderr", text="FutureWarning: noise\n")
    return new_code_cell(f"#| label: {label}{option}\n{code}", outputs=[warning, output], execution_count=1, id=label)


def notebook(title: str, *cells: Any) -> Any:
    parameters = new_code_cell("run = None", metadata={"tags": ["parameters"]}, id="parameters")
    return new_notebook(
        cells=[new_markdown_cell(f"# {title}\n\nQuestion and *answer*.", id="title"), parameters, *cells]
    )


def full_notebooks() -> dict[str, Any]:
    activity = go.Figure(go.Scatter(x=DAYS, y=[100 + 7 * (n % 6) for n in range(30)], name="Active customers"))
    steps = go.Figure(go.Bar(x=[4504, 111, 62], y=["View", "Cart", "Purchase"], orientation="h", name="Customers"))
    title, subtitle = (
        "Most of those who look at a product leave before the cart",
        "Customers by step of the funnel; " * 3,
    )
    drawing.finished(steps, title, subtitle, height=280, alt="")
    products = pl.DataFrame({"Product": [NASTY, "Plain"], "Revenue": ["$1,200", "$900"]})
    wide = pl.DataFrame({f"Share of group {letter}": ["all (none–all)"] for letter in "ABCDEFGH"})
    checks = pl.DataFrame({"Check": ["Price zero"], "Rows": ["3"], "Action": ["keep"]})
    return {
        "01_compaction": notebook(
            "What went in, what came out",
            cell("tbl-files", table(checks), "Files that were read."),
            cell("tbl-quality", table(checks), "Odd rows and what happened to them."),
            cell("tbl-rejects", sentence("No row was rejected."), "Rejected rows."),
        ),
        "02_eda": notebook(
            "Who came and what they bought",
            cell("tbl-kpis", table(checks), "Key figures."),
            cell("fig-activity", plot(activity, "Daily active customers are level."), "Daily active customers."),
            cell("tbl-top-products", table(products), "Products by revenue."),
            cell("answer-eda", sentence("Revenue rose on the period before.")),
        ),
        "06_funnel_temporal": notebook(
            "From view to purchase",
            cell("fig-funnel", plot(steps, "Most customers leave before the cart."), "Customers by step."),
            cell("tbl-funnel", table(wide), "Steps of the funnel."),
            cell("answer-funnel", sentence("**One customer in twenty-three buys.**")),
        ),
    }


NO_FUNNEL = "The source records orders only, so there is no funnel from view to purchase."


def sparse_findings() -> dict[str, Finding]:
    """Findings of a source that records orders only."""
    kept = {key: entry for key, entry in full_findings().items() if key.startswith(("eda.", "compaction."))}
    absent = {
        key: entry.model_copy(update={"value": None, "low": None, "high": None, "reason": NO_FUNNEL})
        for key, entry in full_findings().items()
        if key.startswith("funnel.") or key == "eda.sessions"
    }
    return kept | absent


def sparse_notebooks() -> dict[str, Any]:
    books = full_notebooks()
    reason = sentence(NO_FUNNEL)
    books["06_funnel_temporal"] = notebook(
        "From view to purchase",
        cell("fig-funnel", reason, "Customers by step."),
        cell("tbl-funnel", reason, "Steps of the funnel."),
        cell("answer-funnel", reason),
    )
    return books
