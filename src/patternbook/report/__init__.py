"""From executed notebooks to the rendered report."""
