"""A page: a template of a package filled in, with the style sheet that the pages share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from offclip.data.files import atomic_path

_HERE = "offclip.evaluation.drawing"


@cache
def environment(package: str) -> Environment:
    """Templates of a package; text is escaped, and a name that is not known is an error."""
    return Environment(
        loader=PackageLoader(package, package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style(sheets: Sequence[tuple[str, str]] = ()) -> Markup:
    """The shared style sheet, then further ones, each given as package and file name."""
    files = ((_HERE, "style.css"), *sheets)
    return Markup("\n".join(resources.files(p).joinpath(f).read_text(encoding="utf-8") for p, f in files))


def write_html(path: str | Path, package: str, template: str, context: Mapping[str, Any]) -> Path:
    """Fills in a template and writes the page, whole or not at all.

    Raises:
        DataError: The disk is full, or the file cannot be written.
    """
    path = Path(path)
    page = environment(package).get_template(template).render(context)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path
