"""Charts: one template, one function a chart, result in, Figure out. A module holds those of one notebook."""
