"""How far a long step is. A notebook's kernel has no terminal: it leaves a note that the run's live table shows."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

PROGRESS_FILE = "PATTERNBOOK_PROGRESS"  # names the file that a kernel leaves its note in

Progress = Callable[[str, float], None]


def reporter(every: float = 0.2) -> Progress:
    """A function that takes (step, share done) and leaves a note for the run; silent outside of one."""
    target = os.environ.get(PROGRESS_FILE)
    last = 0.0

    def report(step: str, share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if target and (now - last >= every or share >= 1):
            last = now
            aside = Path(target + ".partial")
            aside.write_text(json.dumps({"step": step, "share": share}))
            aside.rename(target)

    return report


def read_progress(file: Path) -> str | None:
    """The note as it is shown, such as `read 41 %`; None where there is none."""
    try:
        note = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return f"{note['step']} {note['share']:.0%}"
