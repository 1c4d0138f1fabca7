"""What the filters make of Markdown on paper."""

from __future__ import annotations

from pathlib import Path

from patternbook.report import pandoc

PROJECT = Path(__file__).parents[2]


def on_paper(text: str, tmp_path: Path) -> str:
    """`text` as Typst, spaces and line ends as one space."""
    return " ".join(pandoc.run_pandoc(text, "typst", PROJECT, tmp_path).split())


def table(header: list[str], row: list[str]) -> str:
    """A pipe table of one row, the first column to the left, the others to the right."""
    rules = [":-", *["-:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rules, row))


def test_a_chapter_with_a_picture_is_kept_together_up_to_it_and_whole(tmp_path: Path) -> None:
    figure = "::: {#fig-x}\n![](x.svg){alt='X'}\n\nCaption\n:::"
    text = on_paper(f"## Seen\n\nBefore.\n\n{figure}\n\nAfter.\n\n## Said\n\nNo picture.", tmp_path)
    chapter, _, rest = text.partition("#chapter[")[2].partition("] ==")
    opening, _, after = chapter.partition(" ][ ")
    assert "Seen" in opening
    assert "Caption" in opening
    assert after.strip() == "After."
    assert "#chapter[" not in rest


def test_intervals_go_below_their_values_where_a_line_has_no_room(tmp_path: Path) -> None:
    narrow = on_paper(table(["Name", "Share"], ["all", "12% (10%–14%)"]), tmp_path)
    wide = on_paper(table(["Name", *["Share"] * 9], ["all", *["12% (10%–14%)"] * 9]), tmp_path)
    assert "#aside" not in narrow
    assert wide.count("#aside[(10%--14%)]".replace("(", "\\(")) == 9


def test_a_minus_stays_with_its_amount_and_an_interval_on_its_line(tmp_path: Path) -> None:
    text = on_paper("From −$15 to −15, or 3%–5%.", tmp_path)
    assert "#box[−\\$15]" in text
    assert "#box[−15,]" not in text
    assert "#box[3%--5%.]" in text


def test_sentences_that_a_run_has_are_one_paragraph(tmp_path: Path) -> None:
    assert on_paper(":::: {.joined}\nOne.\n\nTwo.\n::::", tmp_path).endswith("One. Two.")
    assert on_paper("::: {.joined}\n:::", tmp_path) == on_paper("", tmp_path)


def test_notes_of_a_table_are_to_the_left_whatever_its_columns_are(tmp_path: Path) -> None:
    cells = "<tr><td style='text-align: right'>1</td><td>a</td></tr>"
    text = on_paper(
        f"```{{=html}}\n<table><tbody>{cells}</tbody><tfoot><tr><td colspan='2'>Note</td></tr></tfoot></table>\n```",
        tmp_path,
    )
    assert "table.cell(colspan: 2, stroke: none)[#note[Note]]" in text
