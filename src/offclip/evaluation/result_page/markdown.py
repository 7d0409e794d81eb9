"""Markdown of a model card as HTML: the few forms that such cards use; everything else stays text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

_LIST = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_RULE = re.compile(r"\s*([-*_])(?:\s*\1){2,}\s*$")
_TABLE = re.compile(r"\s*\|?(?:\s*:?-{2,}:?\s*\|)*\s*:?-{2,}:?\s*\|?\s*$")


def markdown_html(text: str, *, below: int = 2) -> Markup:
    r"""Headings, paragraphs, lists, tables, quotes, code, emphasis and links to the web.

    HTML in the text is shown as text, and pictures as their description: nothing is loaded.

    Args:
        text: Markdown; metadata between two lines of dashes at its start is shown as code.
        below: Level of the heading that the text stands under.

    Example:
        >>> str(markdown_html("# Card\n\nA *small* model, `x < 1`."))
        '<h3>Card</h3>\n<p>A <em>small</em> model, <code>x &lt; 1</code>.</p>'
    """
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    parts: list[str] = []
    if lines[0].strip() == "---" and "---" in [line.strip() for line in lines[1:]]:
        end = 1 + [line.strip() for line in lines[1:]].index("---")
        parts.append(_code(lines[1:end]))
        lines = lines[end + 1 :]
    at = 0
    while at < len(lines):
        at = _block(lines, at, parts, below)
    return Markup("\n".join(parts))


def _block(lines: Sequence[str], at: int, parts: list[str], below: int) -> int:
    """Adds the block that starts at a line; returns the line after it."""
    line = lines[at]
    if not line.strip() or _RULE.match(line):
        return at + 1
    if line.lstrip().startswith("```"):
        end = next((i for i in range(at + 1, len(lines)) if lines[i].lstrip().startswith("```")), len(lines))
        parts.append(_code(lines[at + 1 : end]))
        return end + 1
    if heading := _HEADING.match(line):
        level = min(6, below + len(heading[1]))
        parts.append(f"<h{level}>{_inline(heading[2])}</h{level}>")
        return at + 1
    if "|" in line and at + 1 < len(lines) and "|" in lines[at + 1] and _TABLE.match(lines[at + 1]):
        end = _while(lines, at + 2, lambda row: "|" in row)
        parts.append(_table(line, lines[at + 2 : end]))
        return end
    if _LIST.match(line):
        end = _while(lines, at, lambda row: bool(_LIST.match(row)) or row.startswith("  "))
        parts.append(_list(lines[at:end]))
        return end
    if line.lstrip().startswith(">"):
        end = _while(lines, at, lambda row: row.lstrip().startswith(">"))
        inner = " ".join(row.lstrip().lstrip(">").strip() for row in lines[at:end])
        parts.append(f"<blockquote><p>{_inline(inner)}</p></blockquote>")
        return end
    end = _while(lines, at + 1, lambda row: not _starts_another(row))
    parts.append(f"<p>{_inline(' '.join(row.strip() for row in lines[at:end]))}</p>")
    return end


def _starts_another(row: str) -> bool:
    return bool(_HEADING.match(row) or _LIST.match(row)) or row.lstrip().startswith(("```", ">", "|"))


def _while(lines: Sequence[str], at: int, fits: Callable[[str], bool]) -> int:
    while at < len(lines) and lines[at].strip() and fits(lines[at]):
        at += 1
    return at


def _code(lines: Sequence[str]) -> str:
    return f'<pre tabindex="0"><code>{escape(chr(10).join(lines))}</code></pre>'


def _list(lines: Sequence[str]) -> str:
    kind = "ol" if lines[0].lstrip()[0].isdigit() else "ul"
    items: list[str] = []
    for line in lines:
        if _LIST.match(line):
            items.append(_LIST.sub("", line, count=1).strip())
        else:
            items[-1] += " " + line.strip()
    return f"<{kind}>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + f"</{kind}>"


def _table(head: str, rows: Sequence[str]) -> str:
    names = _cells(head)
    body = []
    for row in rows:
        cells = (_cells(row) + [""] * len(names))[: len(names)]
        body.append("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in cells) + "</tr>")
    top = "".join(f'<th scope="col">{_inline(name)}</th>' for name in names)
    return (
        '<div class="scroll" tabindex="0"><table class="plain words">'
        f"<thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _cells(row: str) -> list[str]:
    inner = row.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]


def _inline(text: str) -> str:
    """One line: code first, so that its signs mean themselves."""
    pieces = re.split(r"(`+)(.+?)\1", text)
    found = []
    # split gives text, backticks, code, text, ...
    for number in range(0, len(pieces), 3):
        found.append(_marked(pieces[number]))
        if number + 2 < len(pieces):
            found.append(f"<code>{escape(pieces[number + 2].strip())}</code>")
    return "".join(found)


def _marked(text: str) -> str:
    """Emphasis and links; what is finished is set aside so that no later rule changes it."""
    kept: list[str] = []

    def keep(html: str) -> str:
        kept.append(html)
        return f"\0{len(kept) - 1}\0"

    shown = re.sub(r"\\([\\`*_{}\[\]()#+.!|<>-])", lambda m: keep(str(escape(m[1]))), text.replace("\0", ""))
    shown = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", shown)
    shown = str(escape(shown))
    # The card's own entities, such as &lt;, are not escaped twice.
    shown = re.sub(r"&amp;(lt|gt|amp|quot|nbsp);", r"&\1;", shown)
    shown = re.sub(
        r"\[([^\]]+)\]\((https?://[^\s)\0]+)\)", lambda m: keep(_link(m[2])) + m[1] + keep("</a>"), shown
    )
    shown = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", shown)
    shown = re.sub(r"(?<!\w)(\*\*|__)(?=\S)(.+?)(?<=\S)\1(?!\w)", r"<strong>\2</strong>", shown)
    shown = re.sub(r"(?<![\w*])(\*|_)(?=\S)([^*]+?)(?<=\S)\1(?![\w*])", r"<em>\2</em>", shown)
    while "\0" in shown:
        shown = re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], shown)
    return shown


def _link(address: str) -> str:
    return f'<a href="{address}" rel="noreferrer">'
