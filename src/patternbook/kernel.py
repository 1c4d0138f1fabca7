"""The notebooks' kernel: IPython's, which ends when the run that started it has ended, however that ended."""

from __future__ import annotations

import os
import runpy
import threading
import time

PARENT = "PATTERNBOOK_KERNEL_PARENT"  # names the process id of the run
LOOK_EVERY_S = 0.2


def end_with(parent: int) -> None:
    """End this process when `parent` has ended; IPython's own watch misses a parent that ends while it starts."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(int(os.environ[PARENT]),), daemon=True).start()
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
