"""What a browser would find in a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from offclip.evaluation.cases import Cases
from offclip.evaluation.result_page import write_result_page

# In their order.
SECTIONS = [
    "headline",
    "normal",
    "subgroups",
    "findings",
    "curves",
    "reliability",
    "gallery",
    "prompts",
    "made",
    "card",
]
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Parts(HTMLParser):
    """Ids, resources, open tags, tables and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.resources: list[str] = []
        self.links: list[str] = []
        self.unnamed: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"]] if given.get("id") else []
        found = [v for k in ("src", "href", "xlink:href", "srcset", "data") if (v := given.get(k))]
        (self.links if tag == "a" else self.resources).extend(found)
        if (tag == "img" or given.get("role") == "img") and not (given.get("alt") or given.get("aria-label")):
            self.unnamed.append(tag)
        if tag == "th" and given.get("scope") not in ("row", "col"):
            self.unnamed.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        """The words of the page with single blanks."""
        return " ".join(" ".join(self.words).split())


def check_page(page: str) -> Parts:
    """A page that is well formed, names its pictures, runs nothing, and asks for nothing outside itself."""
    parts = Parts(page)
    assert parts.open == []
    assert len(parts.ids) == len(set(parts.ids))
    assert parts.unnamed == []
    assert "script" not in parts.tags
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert [r for r in parts.resources if not r.startswith(("data:image/jpeg;base64,", "#"))] == []
    assert [a for a in parts.links if not a.startswith(("#", "https://", "http://"))] == []
    inside = {r[1:] for r in (*parts.resources, *parts.links) if r.startswith("#")}
    assert inside <= set(parts.ids)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(parts.ids)
    assert not re.search(r"\b(nan|None|inf)\b", parts.text)
    assert "Research; not a clinical validation" in parts.text
    return parts


def page_of(folder: Path, results: dict[str, Any], cases: Cases, **more: Any) -> str:
    """Writes the page and reads it again."""
    path = write_result_page(folder / "report.html", results, cases, **more)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


def section(page: str, name: str) -> str:
    """One section of a page."""
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]
