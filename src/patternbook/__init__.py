"""From a raw e-commerce event log to an executive report that can be re-run, checked and believed."""

__version__ = "0.1.0"
