"""What a run shows while it works: a live table of its steps on a terminal, one line a finished step elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from patternbook.progress import read_progress

MARKS = {
    "running": "[cyan]running[/]",
    "done": "[green]done[/]",
    "failed": "[red]failed[/]",
    "unchanged": "[dim]unchanged[/]",
    "not run": "[yellow]not run[/]",
}


@dataclass
class _Row:
    state: str
    started: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    progress: Path | None = None


class Board:
    """The steps of a run, with state and time. Steps report from several threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """On a terminal, show the table as long as the block lasts."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, get_renderable=self._table, refresh_per_second=4, transient=True):
            yield

    def close(self) -> None:
        """On a terminal, leave the table as it ended."""
        if self._console.is_terminal:
            self._console.print(self._table())

    @contextmanager
    def step(self, name: str, progress: Path | None = None) -> Iterator[None]:
        """Show a step as running, then as done, or as failed when the block raises.

        `progress` is the file in which the step notes how far it is.
        """
        with self._lock:
            self._rows[name] = _Row("running", progress=progress)
        try:
            yield
        except BaseException:
            self.finish(name, "failed")
            raise
        self.finish(name, "done")

    def finish(self, name: str, state: str) -> None:
        """Show how a step ended."""
        with self._lock:
            row = self._rows.setdefault(name, _Row(state))
            row.seconds = time.monotonic() - row.started if row.state == "running" else None
            row.state = state
        if not self._console.is_terminal:
            duration = f" {row.seconds:6.1f} s" if row.seconds is not None else ""
            self._console.print(f"{name:<20} {state:<9}{duration}", highlight=False)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading, justify in (("step", "left"), ("", "left"), ("seconds", "right"), ("", "left")):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]
        now = time.monotonic()
        with self._lock:
            for name, row in self._rows.items():
                running = row.state == "running"
                seconds = now - row.started if running else row.seconds
                note = read_progress(row.progress) if running and row.progress else None
                table.add_row(name, MARKS[row.state], "" if seconds is None else f"{seconds:.1f}", note)
        return table
