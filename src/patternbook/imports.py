"""Which source files a piece of code depends on: its imports of this package, followed to the end."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from patternbook.errors import UserError

PACKAGE = "patternbook"
PACKAGE_ROOT = Path(__file__).parent


def notebook_code(notebook: Path) -> str:
    """The code of a notebook's cells, without IPython's `%` and `!` lines. Raises UserError where it is no notebook."""
    try:
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        raise UserError(f"{notebook}: no such notebook, or not one; restore it from git") from None
    lines = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return "\n".join(
        line for source in lines for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))
    )


def source_files(code: str) -> list[Path]:
    """Files of this package that `code` imports, directly or through others, and the SQL and scripts beside them.

    Imports inside functions count, imports for type checking do not. Code that does not parse imports nothing: it
    fails when it is run.
    """
    try:
        waiting = list(_imported_files(ast.parse(code)))
    except SyntaxError:
        return []
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_imports_of(file))
    folders = {file.parent for file in found}
    found.update(file for folder in folders for pattern in ("sql/*.sql", "*.js") for file in folder.glob(pattern))
    return sorted(found)


@cache
def _imports_of(file: Path) -> tuple[Path, ...]:
    return tuple(_imported_files(ast.parse(file.read_text("utf-8"))))


def _imported_files(tree: ast.AST) -> Iterator[Path]:
    for name in _imported_names(tree):
        parts = name.split(".")
        if parts[0] == PACKAGE:
            for length in range(1, len(parts) + 1):
                yield from _module_file(parts[1:length])


def _imported_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):  # no import is inside an expression, and most nodes are
            yield from _imported_names(child)


def _module_file(parts: list[str]) -> Iterator[Path]:
    place = PACKAGE_ROOT.joinpath(*parts)
    for candidate in (place / "__init__.py", place.with_suffix(".py")):
        if candidate.is_file():
            yield candidate
