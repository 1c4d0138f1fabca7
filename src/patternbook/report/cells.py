"""Cells of an executed notebook as the report sees them: a label, options and what came out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml

from patternbook.errors import UserError

PLOTLY = "application/vnd.plotly.v1+json"
MARKDOWN = "text/markdown"
HTML = "text/html"
OPTION = "#|"

Notebook = Any  # nbformat's nodes and functions have no types
Output = Any
_nbformat: Any = nbformat


class Cell(NamedTuple):
    """A code cell: its `#|` options, the code below them, and its outputs."""

    options: dict[str, Any]
    code: str
    outputs: list[Output]

    @property
    def label(self) -> str | None:
        """What the report embeds the cell by, such as `fig-funnel`."""
        return self.options.get("label")

    @property
    def caption(self) -> str:
        """Caption of the cell's figure or table."""
        return str(self.options.get("fig-cap") or self.options.get("tbl-cap") or "")

    @property
    def is_float(self) -> bool:
        """Whether the cell shows a numbered figure or table."""
        return bool(self.caption) and (self.label or "").startswith(("fig-", "tbl-"))

    @property
    def figures(self) -> list[dict[str, Any]]:
        """Plotly figures among the outputs, as JSON values."""
        return [data[PLOTLY] for data in map(data_of, self.outputs) if PLOTLY in data]

    @property
    def delivers(self) -> bool:
        """Whether the cell shows what its label promises; a part that left itself out shows its reason instead."""
        data = [data_of(output) for output in self.outputs]
        wanted = {"fig": (PLOTLY,), "tbl": (HTML,)}.get((self.label or "").split("-", maxsplit=1)[0], (MARKDOWN,))
        return any(mime in entry for entry in data for mime in wanted)


def read_notebook(file: Path) -> Notebook:
    """A notebook as nbformat 4."""
    return _nbformat.read(file, as_version=4)


def write_notebook(notebook: Notebook, file: Path) -> None:
    """Write a notebook."""
    _nbformat.write(notebook, file)


def copy_of(notebook: Notebook) -> Notebook:
    """A deep copy."""
    return _nbformat.from_dict(notebook)


def new_notebook(cells: list[Any]) -> Notebook:
    """A notebook of the given cells."""
    return _nbformat.v4.new_notebook(cells=cells)


def new_text(source: str) -> Any:
    """A Markdown cell."""
    return _nbformat.v4.new_markdown_cell(source)


def new_result(label: str, caption: str, text: str) -> Any:
    """A code cell without code that shows Markdown under a label."""
    options = yaml.safe_dump({"label": label, f"{label.split('-', maxsplit=1)[0]}-cap": caption}, sort_keys=False)
    source = "\n".join(f"{OPTION} {line}" for line in options.splitlines())
    return _nbformat.v4.new_code_cell(source, outputs=[markdown_output(text)], id=label)


def markdown_output(text: str) -> Output:
    """An output that shows Markdown."""
    return _nbformat.v4.new_output("display_data", {MARKDOWN: text})


def data_of(output: Output) -> dict[str, Any]:
    """MIME bundle of an output; empty for streams."""
    return dict(output.get("data", {}))


def code_cell(cell: Any) -> Cell:
    """The notebook's code cell, its options read."""
    lines = cell.source.splitlines()
    count = next((n for n, line in enumerate(lines) if not line.startswith(OPTION)), len(lines))
    return Cell(_options(lines[:count]), "\n".join(lines[count:]).strip(), cell.outputs)


def _options(lines: list[str]) -> dict[str, Any]:
    text = "\n".join(line.removeprefix(OPTION).removeprefix(" ") for line in lines)
    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError:
        raise UserError(f"cell options are not YAML (a caption with a colon needs quotes):\n{text}") from None


def code_cells(notebook: Notebook) -> Iterator[Cell]:
    """All code cells of a notebook."""
    return (code_cell(cell) for cell in notebook.cells if cell.cell_type == "code")


def labelled(notebook: Notebook) -> dict[str, Cell]:
    """Code cells by label."""
    return {cell.label: cell for cell in code_cells(notebook) if cell.label}
