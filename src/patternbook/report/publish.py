"""From executed notebooks to sources that a renderer takes: one Markdown output for screen and paper each."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import plotly.io as pio
from plotly.offline import get_plotlyjs

from patternbook.formats import Formats
from patternbook.markup import attribute, fenced
from patternbook.report import images
from patternbook.report.cells import (
    HTML,
    MARKDOWN,
    PLOTLY,
    Cell,
    Notebook,
    Output,
    code_cell,
    copy_of,
    data_of,
    markdown_output,
    write_notebook,
)
from patternbook.report.chartdata import csv_of
from patternbook.report.paper import on_paper

SCREEN = '::: {.content-visible when-format="html"}'
PAPER = '::: {.content-visible unless-format="html"}'
STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)  # a table's look is the theme's, not the notebook's
REFERENCES = re.compile(
    r"\s(?:id|headers|aria-labelledby|aria-describedby)=\"[^\"]*\""
)  # not unique on a page of tables
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}  # Quarto wants to know the language
CONFIG = {"responsive": True, "displayModeBar": False, "typesetMath": False}  # a dollar sign is money
NOTEBOOKS = "notebooks"  # folder of the published notebooks and their pages, beside the report
FIGURES = f"{NOTEBOOKS}/figures"
PLOTLY_JS = f"{NOTEBOOKS}/plotly.min.js"


class Figure(NamedTuple):
    """A Plotly figure on its way into the report. `image` is relative to the report's folder."""

    spec: dict[str, Any]
    alt: str
    image: str


class Published(NamedTuple):
    """Published notebooks by name, and notes for the log."""

    notebooks: dict[str, Notebook]
    notes: list[str]


def publish(executed: Mapping[str, Notebook], folder: Path, fonts: Path, formats: Formats) -> Published:
    """Publish executed notebooks into `folder`: `notebooks/<name>.ipynb`, their static images, and plotly.js.

    Figures (Plotly's MIME type) become an interactive figure for HTML and an image for everything else, HTML tables
    become raw HTML inside Markdown, what was written to stderr is dropped. Of a figure that says it is not for paper
    (`layout.meta.paper` is false) there is no image; its alt text stands in for it.
    """
    figures = [
        figure for name, notebook in executed.items() for cell in notebook.cells for figure in _figures(name, cell)
    ]
    flat = [figure for figure in figures if (figure.spec["layout"].get("meta") or {}).get("paper", True)]
    problem = images.draw({folder / figure.image: on_paper(figure.spec) for figure in flat}, fonts)
    paper = {figure.image: figure.alt for figure in figures}
    paper |= {figure.image: images.data_table(figure.spec, formats) if problem else _image(figure) for figure in flat}
    published = {name: _published(name, notebook, paper) for name, notebook in executed.items()}
    (folder / NOTEBOOKS).mkdir(parents=True, exist_ok=True)
    for name, notebook in published.items():
        write_notebook(notebook, folder / NOTEBOOKS / f"{name}.ipynb")
    (folder / PLOTLY_JS).write_text(get_plotlyjs(), "utf-8")
    return Published(published, [problem] if problem else [])


def _figures(name: str, raw: Any) -> list[Figure]:
    """Figures of one cell of the notebook called `name`."""
    if raw.cell_type != "code":
        return []
    cell = code_cell(raw)
    stem = f"{FIGURES}/{name}-{cell.label or raw.id}"
    return [_figure(spec, cell, f"{stem}{f'-{n}' if n else ''}.svg") for n, spec in enumerate(cell.figures)]


def _figure(spec: Mapping[str, Any], cell: Cell, image: str) -> Figure:
    layout = spec.get("layout", {})
    alt = (layout.get("meta") or {}).get("alt") or cell.caption
    return Figure({"data": spec.get("data", []), "layout": layout}, " ".join(str(alt).split()), image)


def _published(name: str, notebook: Notebook, paper: Mapping[str, str]) -> Notebook:
    result = copy_of(notebook)
    result.metadata = {"kernelspec": KERNEL}
    for cell in result.cells:
        if cell.cell_type == "code":
            figures = iter(_figures(name, cell))
            outputs = (_output(output, figures, paper) for output in cell.outputs)
            cell.outputs = [output for output in outputs if output is not None]
    return result


def _output(output: Output, figures: Iterator[Figure], paper: Mapping[str, str]) -> Output | None:
    """One output as a renderer can show it; None where it has nothing to show."""
    if output.output_type == "stream":
        return None if output.name == "stderr" else output
    data = data_of(output)
    if PLOTLY in data:
        figure = next(figures)
        return markdown_output(
            f"{SCREEN}\n{_raw_html(_interactive(figure))}\n:::\n\n{PAPER}\n{paper[figure.image]}\n:::"
        )
    if MARKDOWN in data:
        return markdown_output(data[MARKDOWN])
    if HTML in data:
        return markdown_output(_raw_html(REFERENCES.sub("", STYLE.sub("", data[HTML]))))
    return output


def _raw_html(text: str) -> str:
    return fenced(text.strip(), "{=html}")


def _interactive(figure: Figure) -> str:
    name = Path(figure.image).stem
    plot = pio.to_html(
        figure.spec,
        config=CONFIG,
        full_html=False,
        include_plotlyjs=False,
        div_id=f"plot-{name}",
        default_height=f"{images.height(figure.spec)}px",
    )
    data = quote(csv_of(figure.spec), safe=",;:/()|*")
    return (
        f'<div class="plot" role="img" aria-label="{html.escape(figure.alt)}">\n{plot.strip()}\n</div>\n'
        f'<p class="chart-data"><a download="{name}.csv" href="data:text/csv;charset=utf-8,{data}" '
        f'aria-label="Data of this chart as CSV">Data (CSV)</a></p>'
    )


def _image(figure: Figure) -> str:
    return f'![]({figure.image}){{alt="{attribute(figure.alt)}"}}'
