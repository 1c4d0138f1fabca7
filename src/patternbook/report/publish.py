"""From executed notebooks to sources that a renderer takes: one Markdown output for screen and paper each."""

from __future__ import annotations

import gzip
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

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
INTERVAL = re.compile(r"(<td[^>]*\bgt_right\b[^>]*>[^<>(]*\d[^<>(]*) (\([^<>()]*\))(?=</td>)")  # behind its value
NOTE = re.compile(r"(<td class=\"gt_sourcenote\"[^>]*>)(.*?)(?=</td>)", re.DOTALL)
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}  # Quarto wants to know the language
CONFIG = {"responsive": True, "displayModeBar": False, "typesetMath": False}  # a dollar sign is money
MOST_POINTS = 20_000  # of a chart that a page draws: more make a page heavy, and a PDF slow to turn
NOTEBOOKS = "notebooks"  # folder of the published notebooks and their pages, beside the report
FIGURES = f"{NOTEBOOKS}/figures"
PLOTLY_JS = f"{NOTEBOOKS}/plotly.min.js"
PACKED_PLOTLY = f"{NOTEBOOKS}/plotly.packed"  # gzip; Pandoc would unpack what is called .gz


class Figure(NamedTuple):
    """A Plotly figure on its way into the report. `image` is relative to the report's folder."""

    spec: dict[str, Any]
    alt: str
    image: str

    @property
    def is_heavy(self) -> bool:
        """Whether it holds too many points to be drawn in a page, or as a drawing on paper."""
        return self.image.endswith(images.PIXELS)


class Published(NamedTuple):
    """Published notebooks by name, and notes for the log."""

    notebooks: dict[str, Notebook]
    notes: list[str]


def publish(executed: Mapping[str, Notebook], folder: Path, fonts: Path, formats: Formats) -> Published:
    """Publish executed notebooks into `folder`: `notebooks/<name>.ipynb` and their static images.

    Figures (Plotly's MIME type) become an interactive figure for HTML and an image for everything else, HTML tables
    become raw HTML inside Markdown, what was written to stderr is dropped. On screen the image stands until the figure
    is drawn; a figure of many points stays an image, and its data lie beside it. Of a figure that says it is not for
    paper (`layout.meta.paper` is false) there is no image; its alt text stands in for it.
    """
    figures = [
        figure for name, notebook in executed.items() for cell in notebook.cells for figure in _figures(name, cell)
    ]
    flat = [figure for figure in figures if (figure.spec["layout"].get("meta") or {}).get("paper", True)]
    problem = images.draw({folder / figure.image: on_paper(figure.spec) for figure in flat}, fonts)
    paper = {figure.image: figure.alt for figure in figures}
    paper |= {figure.image: images.data_table(figure.spec, formats) if problem else _image(figure) for figure in flat}
    drawn = set() if problem else {figure.image for figure in flat}
    shown = (
        f"{SCREEN}\n{_raw_html(_on_screen(figure, figure.image in drawn))}\n:::\n\n{PAPER}\n{paper[figure.image]}\n:::"
        for figure in figures
    )
    published = {name: _published(notebook, shown) for name, notebook in executed.items()}
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for figure in figures:
        if figure.is_heavy:
            (folder / _data_file(figure)).write_text(csv_of(figure.spec), "utf-8")
    for name, notebook in published.items():
        write_notebook(notebook, folder / NOTEBOOKS / f"{name}.ipynb")
    return Published(published, [problem] if problem else [])


def write_library(folder: Path) -> None:
    """Write plotly.js into `folder`, as the pages share it and packed as the report holds it."""
    library = get_plotlyjs().encode()
    (folder / NOTEBOOKS).mkdir(parents=True, exist_ok=True)
    (folder / PLOTLY_JS).write_bytes(library)
    (folder / PACKED_PLOTLY).write_bytes(gzip.compress(library, mtime=0))


def _figures(name: str, raw: Any) -> list[Figure]:
    """Figures of one cell of the notebook called `name`."""
    if raw.cell_type != "code":
        return []
    cell = code_cell(raw)
    stem = f"{FIGURES}/{name}-{cell.label or raw.id}"
    return [_figure(spec, cell, f"{stem}{f'-{n}' if n else ''}") for n, spec in enumerate(cell.figures)]


def _figure(spec: Mapping[str, Any], cell: Cell, stem: str) -> Figure:
    layout = spec.get("layout", {})
    alt = (layout.get("meta") or {}).get("alt") or cell.caption
    suffix = images.DRAWING if images.points(spec) <= MOST_POINTS else images.PIXELS
    return Figure({"data": spec.get("data", []), "layout": layout}, " ".join(str(alt).split()), f"{stem}{suffix}")


def _data_file(figure: Figure) -> str:
    return str(PurePosixPath(figure.image).with_suffix(".csv"))


def _published(notebook: Notebook, shown: Iterator[str]) -> Notebook:
    """A copy to be rendered; `shown` has what stands for each figure, in order."""
    result = copy_of(notebook)
    result.metadata = {"kernelspec": KERNEL}
    for cell in result.cells:
        if cell.cell_type == "code":
            outputs = (_output(output, shown) for output in cell.outputs)
            cell.outputs = [output for output in outputs if output is not None]
    return result


def _output(output: Output, shown: Iterator[str]) -> Output | None:
    """One output as a renderer can show it; None where it has nothing to show."""
    if output.output_type == "stream":
        return None if output.name == "stderr" else output
    data = data_of(output)
    if PLOTLY in data:
        return markdown_output(next(shown))
    if MARKDOWN in data:
        return markdown_output(data[MARKDOWN])
    if HTML in data:
        return markdown_output(_raw_html(_table(data[HTML])))
    return output


def _table(shown: str) -> str:
    """A table as the theme styles it, with its intervals and notes marked."""
    bare = REFERENCES.sub("", STYLE.sub("", shown))
    return NOTE.sub(r'\1<span class="note">\2</span>', INTERVAL.sub(r'\1 <span class="interval">\2</span>', bare))


def _raw_html(text: str) -> str:
    return fenced(text.strip(), "{=html}")


def _on_screen(figure: Figure, drawn: bool) -> str:
    """A figure in a page: its image, where there is one, what `report.js` draws it from, and its data."""
    stays = figure.is_heavy and drawn
    role = "" if stays else ' class="poster"'
    parts = [f'<img{role} src="{figure.image}" alt="" aria-hidden="true">'] if drawn else []
    if not stays:
        height = images.height(figure.spec)
        parts += [
            f'<div class="chart" style="height:{height}px"></div>',
            f'<script type="application/json">{_json({**figure.spec, "config": CONFIG})}</script>',
        ]
    alt = html.escape(figure.alt)
    content = "\n".join(parts)
    return f'<div class="plot" role="img" aria-label="{alt}">\n{content}\n</div>\n{_download(figure)}'


def _json(value: Any) -> str:
    """JSON that cannot end the script element that holds it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _download(figure: Figure) -> str:
    file = address = _data_file(figure)
    if not figure.is_heavy:
        address = f"data:text/csv;charset=utf-8,{quote(csv_of(figure.spec), safe=',;:/()|*')}"
    return (
        f'<p class="chart-data"><a download="{Path(file).name}" href="{address}" '
        f'aria-label="Data of this chart as CSV">Data (CSV)</a></p>'
    )


def _image(figure: Figure) -> str:
    return f'![]({figure.image}){{alt="{attribute(figure.alt)}"}}'
