"""The glossary of a report: the terms that it uses."""

from __future__ import annotations

import re

from patternbook.glossary import used_in
from patternbook.markup import escaped
from patternbook.report.cells import Notebook, new_notebook, new_text
from patternbook.report.provenance import table_cell

NAME = "00_glossary"
LABEL = "tbl-glossary"
NOT_READ = re.compile(r"<script.*?</script>|<[^>]*>|\]\([^)]*\)|\{[^}]*\}", re.DOTALL)  # scripts, tags, addresses


def glossary(text: str) -> Notebook:
    """A notebook with the table `tbl-glossary`: the terms that the report's Markdown uses, and what they mean."""
    rows = [[escaped(term.name), escaped(term.meaning)] for term in used_in(NOT_READ.sub(" ", text))]
    table = table_cell(LABEL, "The terms of this report", ["Term", "Meaning"], rows, "ll", markup=True, widths=[22, 78])
    return new_notebook([new_text("# Glossary\n\nWhat the terms of this report mean."), table])
