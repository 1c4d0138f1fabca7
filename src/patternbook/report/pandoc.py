"""The fallback renderer: Pandoc and Typst from wheels, on the sources that Quarto would take."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pypandoc
import typst

from patternbook.markup import fenced
from patternbook.report.cells import MARKDOWN, Cell, Notebook, data_of, labelled
from patternbook.report.template import EMBED, VAR, cell_name
from patternbook.report.variables import Variables

DIALECT = "markdown+table_attributes"
FILTERS = ("blocks", "pandoc", "report")
UNTAGGED = "The PDF has no tags for screen readers: Typst failed to write them for this document."
NOTE = "Rendered with Pandoc and Typst; with Quarto on the PATH (pip install quarto-cli) it renders the same sources."


def render(project: Path, document: Path, variables: Variables, notebooks: Mapping[str, Notebook]) -> str:
    """Render `document` (a .qmd inside `project`) to HTML and PDF beside it; returns a note for the log.

    `notebooks` are the published ones.
    """
    text = expanded(document.read_text("utf-8"), variables, notebooks)
    theme = project / "reports" / "theme"
    html = to_html(text, project, document.parent)
    document.with_suffix(".html").write_text(html, "utf-8")
    source = document.with_suffix(".typ")
    source.write_text(
        run_pandoc(
            text, "typst", project, document.parent, f"--template={theme / 'report.typ'}", "--shift-heading-level-by=-1"
        ),
        "utf-8",
    )
    tagged = _compile(source, theme / "fonts")
    source.unlink()
    return NOTE if tagged else f"{UNTAGGED} {NOTE}"


def _compile(source: Path, fonts: Path) -> bool:
    """Compile Typst source to a PDF beside it; whether that is tagged for screen readers.

    Typst's tags can fail where a page happens to break (typst/typst#8487); that must not cost the report.
    """

    def write(tagged: bool) -> None:
        typst.compile(
            str(source),
            output=str(source.with_suffix(".pdf")),
            root=str(source.parent),
            font_paths=[str(fonts)],
            pdf_tags=tagged,
        )

    try:
        write(tagged=True)
    except RuntimeError as error:
        if "internal error" not in str(error):
            raise
        write(tagged=False)
        return False
    return True


def expanded(text: str, variables: Variables, notebooks: Mapping[str, Notebook]) -> str:
    """The document with its shortcodes replaced by what they stand for."""
    cells = {f"{name}.{label}": cell for name, book in notebooks.items() for label, cell in labelled(book).items()}
    text = VAR.sub(lambda match: variables[match["name"]], text)
    return EMBED.sub(lambda match: embedded(cells[cell_name(match)]), text)


def embedded(cell: Cell) -> str:
    """What a cell shows, as a numbered figure or table where its label says so."""
    shown = "\n\n".join(_shown(output) for output in cell.outputs)
    if cell.is_float:
        return f"::: {{#{cell.label}}}\n{shown}\n\n{cell.caption}\n:::"
    return shown


def _shown(output: Mapping[str, object]) -> str:
    data = data_of(output)
    if MARKDOWN in data:
        return str(data[MARKDOWN])
    text = str(output.get("text") or data.get("text/plain", "")).rstrip()
    return fenced(text, "text")


def to_html(text: str, project: Path, folder: Path) -> str:
    """Self-contained HTML in the report's theme; paths in `text` start at `folder`."""
    theme = project / "reports" / "theme"
    return run_pandoc(
        text,
        "html5",
        project,
        folder,
        f"--template={theme / 'report.html'}",
        f"--css={theme / 'report.css'}",
        "--toc",
        "--toc-depth=2",
        "--mathml",
        "--section-divs",
        "--embed-resources",
    )


def run_pandoc(text: str, to: str, project: Path, folder: Path, *arguments: str) -> str:
    """Pandoc on Markdown `text`, with the report's filters, in `folder`."""
    filters = project / "reports" / "filters"
    command = [
        pypandoc.get_pandoc_path(),
        f"--from={DIALECT}",
        f"--to={to}",
        "--standalone",
        *(f"--lua-filter={filters / name}.lua" for name in FILTERS),
        *arguments,
    ]
    done = subprocess.run(
        command, input=text, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise RuntimeError(f"pandoc failed: {done.stderr.strip()}")
    return done.stdout
