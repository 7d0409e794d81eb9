"""The pages of the tests: written, read again, and checked as a whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from html_parts import Parts
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
