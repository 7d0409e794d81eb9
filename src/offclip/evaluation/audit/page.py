"""The page on which a person judges the sample: one HTML file that asks for nothing outside itself."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from offclip.data.files import atomic_path
from offclip.evaluation.audit.sampling import Sample


def write_page(path: str | Path, sample: Sample, *, show_labels: bool = False) -> Path:
    """Write the page.

    The page holds the sentences, their reports, and nothing else of the study: no patient or study id, and
    neither labels nor weights, unless asked for.

    Args:
        path: The HTML file.
        sample: What is to be judged.
        show_labels: Show the labeller's label and reason once a sentence is judged.

    Raises:
        DataError: The disk is full, or the file cannot be written.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        temporary.write_text(render_page(sample, show_labels=show_labels), encoding="utf-8")
    return path


def render_page(sample: Sample, *, show_labels: bool = False) -> str:
    """Return the page as HTML; see `write_page`."""
    items = []
    for item in sample.items:
        seen = item.seen
        entry = {
            "id": item.id,
            "text": seen.text,
            "section": seen.section,
            "report": [seen.before, seen.words, seen.after],
        }
        if show_labels:
            entry |= {"label": item.label, "reason": item.reason}
        items.append(entry)
    style, script = _file("page.css"), _file("page.js")
    environment = Environment(
        loader=PackageLoader("offclip.evaluation.audit", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        style=Markup(style),
        script=Markup(script),
        # The line breaks stand between the tags, too.
        style_hash=_csp_hash(f"\n{style}\n"),
        script_hash=_csp_hash(f"\n{script}\n"),
        show_labels=show_labels,
        sha256=sample.sha256,
        seed=sample.design.seed,
        data=Markup(inert_json({"sample": sample.token, "sha256": sample.sha256, "items": items})),
        n=len(items),
    )


def inert_json(value: object) -> str:
    r"""Return JSON in plain ASCII that can stand in a script element, whatever the strings hold.

    Example:
        >>> inert_json("</script>")
        '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _file(name: str) -> str:
    return resources.files("offclip.evaluation.audit").joinpath(name).read_text(encoding="utf-8").strip("\n")


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
