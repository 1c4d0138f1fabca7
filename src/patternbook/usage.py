"""What a step took: seconds and peak memory, kept from one run to the next."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from patternbook.disk import aside


@dataclass(frozen=True)
class Usage:
    """Wall-clock seconds, and the peak resident memory of the process that ran the step; null where unknown."""

    seconds: float
    peak_memory_bytes: int | None


def peak_memory(pid: int | None) -> int | None:
    """Peak resident memory of a running process in bytes; null where the system does not tell (no /proc)."""
    with suppress(OSError, StopIteration):
        status = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace").splitlines()
        return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    return None


def remember(folder: Path, step: str, usage: Usage) -> None:
    """Keep what `step` took; one file a step, so that steps in parallel do not meet."""
    with aside(folder / f"{step}.json") as file:
        file.write_text(json.dumps(asdict(usage)), "utf-8")


def recall(folder: Path, steps: Iterable[str]) -> dict[str, Usage]:
    """What each step took when it last ran."""
    files = {step: folder / f"{step}.json" for step in steps}
    return {step: Usage(**json.loads(file.read_text("utf-8"))) for step, file in files.items() if file.exists()}
