"""A throw-away project with tiny notebooks."""

from __future__ import annotations

from pathlib import Path

import nbformat
import yaml

from patternbook.params import Params, load_params


class Project:
    """A project in a temporary folder: parameter file, raw file, notebooks of given cells."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.params_file = root / "params" / "small.yaml"
        self.values: dict[str, object] = {
            "run": "small",
            "source": {"kind": "clickstream", "files": ["raw/log.csv"]},
        }
        self.write("raw/log.csv", "event_time,event_type\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file

    def notebook(self, name: str, *cells: str) -> None:
        """Write a notebook whose cells run after an empty `parameters` cell."""
        book = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        book.cells = [nbformat.v4.new_code_cell(cell) for cell in ("run = None", *cells)]
        book.cells[0].metadata.tags = ["parameters"]
        self.write(f"notebooks/{name}.ipynb", nbformat.writes(book))

    def params(self, **sections: object) -> Params:
        """Parameters of the project; `sections` change the file for good."""
        self.values |= sections
        self.write("params/small.yaml", yaml.safe_dump(self.values))
        return load_params(self.params_file)
