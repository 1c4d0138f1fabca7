"""Each executed notebook as a page of its own: what a number in the report leads to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from patternbook.markup import fenced
from patternbook.report.cells import Notebook, code_cell
from patternbook.report.pandoc import embedded, to_html
from patternbook.report.publish import NOTEBOOKS, PLOTLY_JS
from patternbook.report.template import front_matter

TITLE = re.compile(r"^#\s+(?P<title>.+)$", re.MULTILINE)


def write_pages(notebooks: Mapping[str, Notebook], project: Path, folder: Path, metadata: Mapping[str, str]) -> None:
    """Write `notebooks/<name>.html` in `folder` for each published notebook; every cell label is an anchor.

    `metadata` is the report's. The pages share one plotly.js, which lies beside them.
    """
    library = f'<script src="{Path(PLOTLY_JS).name}" defer></script>\n</head>'
    for name, notebook in notebooks.items():
        title, body = _title_and_body(name, "\n\n".join(_cells(notebook)))
        text = front_matter({**metadata, "title": title, "page": "notebook", "back": "../executive.html"}) + body
        for link in ("](", 'href="'):  # the pages lie in that folder
            text = text.replace(f"{link}{NOTEBOOKS}/", link)
        page = to_html(text, project, folder)
        (folder / NOTEBOOKS / f"{name}.html").write_text(page.replace("</head>", library, 1), "utf-8")


def _title_and_body(name: str, text: str) -> tuple[str, str]:
    match = TITLE.search(text)
    return (match["title"], text[: match.start()] + text[match.end() :]) if match else (name, text)


def _cells(notebook: Notebook) -> Iterator[str]:
    for raw in notebook.cells:
        if raw.cell_type == "markdown":
            yield raw.source
        elif raw.cell_type == "code":
            cell = code_cell(raw)
            anchored = embedded(cell)
            if cell.label and not cell.is_float:
                anchored = f":::: {{#{cell.label} .cell}}\n{anchored}\n::::"
            yield "\n\n".join(part for part in (_folded(cell.code), anchored) if part)


def _folded(code: str) -> str:
    if not code:
        return ""
    fold, end = "<details class='code'><summary>Code</summary>", "</details>"
    return f"```{{=html}}\n{fold}\n```\n\n{fenced(code, 'python')}\n\n```{{=html}}\n{end}\n```"
