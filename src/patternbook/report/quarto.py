"""The reference renderer: Quarto, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def is_installed() -> bool:
    """Whether `quarto` is on the PATH."""
    return shutil.which("quarto") is not None


def note() -> str:
    """Line for the log: which renderer ran, and how to get the other."""
    done = subprocess.run(["quarto", "--version"], capture_output=True, text=True, check=True)
    return (
        f"Rendered with Quarto {done.stdout.strip()}; without it on the PATH, Pandoc and Typst render the same sources."
    )


def render(project: Path, document: Path) -> None:
    """Render `document` of the Quarto project in `project` to HTML and PDF beside it."""
    command = ["quarto", "render", str(document.relative_to(project))]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"quarto render failed: {done.stderr.strip()}")
