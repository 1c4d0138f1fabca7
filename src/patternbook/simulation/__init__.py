"""The simulated market, with its truth."""

from patternbook.simulation.events import EVENT_NAMES
from patternbook.simulation.market import simulate
from patternbook.simulation.writer import COLUMNS

__all__ = ["COLUMNS", "EVENT_NAMES", "simulate"]
