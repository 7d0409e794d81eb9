"""What is known of a public set before any file of it is opened: where to get it, under which terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Access = Literal["open", "registration", "credentialed", "request"]
Content = Literal["labels", "boxes", "reports"]


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a public set.

    Attributes:
        name: What the command line calls it, such as `"vindr-cxr"`.
        title: Its full name.
        url: Where its publishers offer it.
        access: `"open"` to everybody, after `"registration"`, to `"credentialed"` users with a signed data
            use agreement, or on `"request"`.
        terms: Licence or terms of use, in a sentence or two.
        citation: The paper to cite.
        layout: What must lie below `--root`: lines of `path  meaning`, as the publishers name the files.
        published: Counts that the publishers state, by name, such as `{"images": 18000}`.
        published_source: Where they state them.
        options: Variants of `prepare`, by name, with what they mean, such as another list of images.
        notes: Traps that a user of the set should know.
        contents: What the set has beside images: `"labels"`, `"boxes"`, `"reports"`.
        language: Of its reports; only English ones are labelled sentence by sentence.
    """

    name: str
    title: str
    url: str
    access: Access
    terms: str
    citation: str
    layout: str
    published: Mapping[str, int] = field(default_factory=dict)
    published_source: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    contents: tuple[Content, ...] = ()
    language: str = "en"
