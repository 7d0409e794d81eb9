"""The Open-I reports of Indiana University: XML files, in the archive as published or unpacked.

Source: https://openi.nlm.nih.gov, `NLMCXR_reports.tgz`; Demner-Fushman et al., JAMIA 2016;23(2):304-310.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from offclip.data.files import Skipped
from offclip.data.sources.found import FoundImage, FoundStudy
from offclip.data.sources.members import Member, members
from offclip.data.sources.text_files import foreign_note, input_files
from offclip.errors import DataError

_READ = ("FINDINGS", "IMPRESSION")


@dataclass
class OpeniReport:
    """What an XML file of Open-I says.

    Attributes:
        study_id: Such as `CXR1`.
        sections: From the label of a section, such as `FINDINGS`, to its text.
        image_ids: The images that the report names.
        mesh_major: The terms that human coders gave it, such as `normal` or `Opacity/lung/base/left`.
        mesh_automatic: The terms that a program found in its text.
    """

    study_id: str = ""
    sections: dict[str, str] = field(default_factory=dict)
    image_ids: list[str] = field(default_factory=list)
    mesh_major: list[str] = field(default_factory=list)
    mesh_automatic: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The report with its headers, in the order of the file; empty without findings and impression."""
        if not any(self.sections.get(name) for name in _READ):
            return ""
        return "\n".join(f"{name}: {text}" for name, text in self.sections.items() if text)


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """A report and where it came from.

    Attributes:
        report: What the file says.
        source: What to call the file in `skipped.csv`.
        foreign: Whether it had to be read as Latin-1.
    """

    report: OpeniReport
    source: str
    foreign: bool


def parse_openi(data: bytes, encoding: str | None = None) -> OpeniReport:
    """Reads an Open-I report.

    A document type, and with it every entity but the five of XML itself, is refused, so that no file can
    reach another one or grow while it is read.

    Args:
        data: The XML file.
        encoding: Overrules what the file says.

    Raises:
        DataError: The file is no well-formed XML, has a document type, or names no study.
    """
    report = OpeniReport()
    section = ""
    parts: list[str] = []

    def refuse(*_: object) -> int:
        raise DataError("It has a document type (DOCTYPE), which no Open-I report has.")

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal section
        if tag == "uId":
            report.study_id = attributes.get("id", "").strip()
        elif tag == "AbstractText":
            section = attributes.get("Label", "").strip().upper() or "FINDINGS"
            parts.clear()
            parser.CharacterDataHandler = parts.append  # text is of interest here and in a term
        elif tag in ("major", "automatic"):
            parts.clear()
            parser.CharacterDataHandler = parts.append
        elif tag == "parentImage" and attributes.get("id", "").strip():
            report.image_ids.append(attributes["id"].strip())

    def end(tag: str) -> None:
        if tag == "AbstractText":
            before = report.sections.get(section, "")
            report.sections[section] = f"{before}\n{''.join(parts).strip()}".strip()
            parser.CharacterDataHandler = None
        elif tag in ("major", "automatic"):
            terms = report.mesh_major if tag == "major" else report.mesh_automatic
            terms.extend(filter(None, ["".join(parts).strip()]))
            parser.CharacterDataHandler = None

    parser = expat.ParserCreate(encoding)
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DataError(f"It is not well-formed XML ({error}).") from error
    except (LookupError, ValueError) as error:  # an encoding that does not exist
        raise DataError(f"It cannot be decoded ({error}).") from error
    if not report.study_id:
        raise DataError("It has no <uId id=...>, so it is no Open-I report.")
    return report


def is_xml(name: str) -> bool:
    """Whether a file may be a report."""
    return name.lower().endswith(".xml")


class OpeniReports:
    """The XML reports; each is a patient of its own, as in the collection.

    Args:
        path: The archive as published, or a folder with its files.
        images: A folder with `<image id>.png`, as in `NLMCXR_png.tgz`; without one studies have no images.
    """

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self.path = path
        self.images = images
        self.notes: list[str] = []

    def inputs(self) -> Iterator[Path]:
        """Every file that is read."""
        return input_files(self.path, is_xml)

    def read(self) -> Iterator[FoundStudy | Skipped]:
        """The studies, in the order of the files."""
        foreign = attached = 0
        for parsed in parsed_reports(self.path):
            if isinstance(parsed, Skipped):
                yield parsed
                continue
            report = parsed.report
            foreign += parsed.foreign
            text = report.text()
            if not text:
                reason = "the report has neither findings nor impression"
                yield Skipped(parsed.source, 0, report.study_id, reason)
                continue
            images = []
            for image_id in dict.fromkeys(report.image_ids) if self.images else ():
                path = self._image_path(image_id)
                if path:
                    images.append(FoundImage(image_id, str(path)))
                else:
                    yield Skipped(parsed.source, 0, image_id, f"no image {image_id}.png in {self.images}")
            attached += len(images)
            yield FoundStudy(
                report.study_id, report.study_id, "", text, images=tuple(images), source=parsed.source
            )
        if foreign:
            self.notes.append(foreign_note(foreign))
        if attached:
            self.notes.append("Open-I does not say which films are lateral: every view is 'unknown'.")

    def _image_path(self, image_id: str) -> Path | None:
        # The id comes from the file, so it must not lead out of the folder.
        if self.images is None or not image_id.isprintable() or set(image_id) & set("/\\:"):
            return None
        path = self.images.absolute() / f"{image_id}.png"
        try:
            return path if path.is_file() else None
        except OSError:  # a name that is too long
            return None


def parsed_reports(path: Path) -> Iterator[ParsedReport | Skipped]:
    """The reports of an archive or a folder, in its order, and the files that are none with the reason."""
    for member in members(path, is_xml):
        if isinstance(member, Skipped):
            yield member
            continue
        try:
            yield _parsed(member)
        except DataError as error:
            yield Skipped(member.source, 0, member.name, error.message)


def _parsed(member: Member) -> ParsedReport:
    try:
        return ParsedReport(parse_openi(member.data), member.source, False)
    except DataError as error:
        try:
            member.data.decode()
        except UnicodeDecodeError:  # Latin-1 that calls itself UTF-8
            return ParsedReport(parse_openi(member.data, "iso-8859-1"), member.source, True)
        raise error
