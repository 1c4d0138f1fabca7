"""From executed notebooks to the rendered report."""

from patternbook.report.render import Rendered, render_report

__all__ = ["Rendered", "render_report"]
