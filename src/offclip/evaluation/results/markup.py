"""A table of results as Markdown and as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from offclip.evaluation.results.table import PrintedColumn, ResultTable, printed_columns

LONG = 40
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
)


def escape_markdown(text: str) -> str:
    r"""Text that stays in its cell and means itself.

    Example:
        >>> print(escape_markdown("a|b_c*d <e>"))
        a\|b\_c\*d &lt;e&gt;
    """
    flat = " ".join(text.split())
    flat = re.sub(r"([\\`*_|\[\]])", r"\\\1", flat)
    return flat.replace("<", "&lt;").replace(">", "&gt;")


def escape_latex(text: str) -> str:
    r"""Text without the signs that LaTeX reads as commands.

    Example:
        >>> print(escape_latex("50 % & #1_a"))
        50 \% \& \#1\_a
    """
    return " ".join(text.split()).translate(_LATEX)


def markdown(table: ResultTable, caption: str) -> str:
    """The table as Markdown, with its caption and notes.

    Args:
        table: The table.
        caption: Of the run: protocol, hash, intervals.
    """
    columns = printed_columns(table)
    lines = [f"**{escape_markdown(table.title)}** {escape_markdown(caption)}".rstrip(), ""]
    lines += markdown_rows(
        [column.heading for column in columns],
        _rows(columns),
        numeric=[column.numeric for column in columns],
    )
    lines += [line for note in table.notes for line in ("", escape_markdown(note))]
    return "\n".join(lines) + "\n"


def markdown_rows(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Sequence[bool] | None = None
) -> list[str]:
    """The lines of a Markdown table; cells are escaped here.

    Example:
        >>> markdown_rows(["a", "n"], [["x", "1"]], numeric=[False, True])
        ['| a | n |', '|---|---:|', '| x | 1 |']
    """
    right = numeric or [False] * len(headings)
    marks = "|".join("---:" if to_the_right else "---" for to_the_right in right)
    return [
        "| " + " | ".join(map(escape_markdown, headings)) + " |",
        f"|{marks}|",
        *("| " + " | ".join(map(escape_markdown, row)) + " |" for row in rows),
    ]


def latex(table: ResultTable, caption: str) -> str:
    """The table as LaTeX with booktabs; a long one breaks over pages.

    Args:
        table: The table.
        caption: Of the run: protocol, hash, intervals.
    """
    columns = printed_columns(table)
    rows = [
        " & ".join(_latex_cell(cell, column) for cell, column in zip(row, columns, strict=True)) + r" \\"
        for row in _rows(columns)
    ]
    heading = " & ".join(escape_latex(column.heading) for column in columns) + r" \\"
    layout = "".join("r" if column.numeric else "l" for column in columns)
    told = " ".join(part for part in (table.title, caption, *table.notes) if part)
    about = (rf"\caption{{{escape_latex(told)}}}", rf"\label{{tab:offclip-{_label(table.name)}}}")
    long = len(rows) > LONG
    needs = r"\usepackage{booktabs}" + (r" \usepackage{longtable}" if long else "")
    if long:
        lines = [
            rf"\begin{{longtable}}{{{layout}}}",
            about[0] + about[1] + r" \\",
            r"\toprule",
            heading,
            r"\midrule",
            r"\endfirsthead",
            r"\toprule",
            heading,
            r"\midrule",
            r"\endhead",
            r"\bottomrule",
            r"\endfoot",
            *rows,
            r"\end{longtable}",
        ]
    else:
        lines = [
            r"\begin{table}",
            r"\centering",
            *about,
            rf"\begin{{tabular}}{{{layout}}}",
            r"\toprule",
            heading,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    return "\n".join([f"% needs {needs}", *lines]) + "\n"


def _rows(columns: Sequence[PrintedColumn]) -> list[tuple[str, ...]]:
    return list(zip(*(column.cells for column in columns), strict=True))


def _latex_cell(text: str, column: PrintedColumn) -> str:
    """A cell: between numbers a range gets its dash, and a negative number its minus."""
    escaped = escape_latex(text)
    if not column.numeric:
        return escaped
    escaped = re.sub(r"(?<=\d)-(?=[.\d])", "--", escaped)
    return re.sub(r"(?<![\w-])-(?=\.?\d)", "$-$", escaped)


def _label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
