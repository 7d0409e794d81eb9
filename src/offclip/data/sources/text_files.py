"""A folder, tar or zip archive of text files, one report a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from offclip.data.files import Skipped
from offclip.data.sources.found import FoundStudy
from offclip.data.sources.members import Member, decode_text, files_below, members


def input_files(path: Path, wanted: Callable[[str], bool]) -> Iterator[Path]:
    """The archive itself, or the wanted files of the folder: the output may lie among them."""
    if path.is_dir():
        yield from (file for name, file in files_below(path) if wanted(name))
    else:
        yield path


def text_of(member: Member) -> tuple[str, bool] | Skipped:
    """The text of a file and whether it was not UTF-8, or why it is none."""
    text, foreign = decode_text(member.data)
    if "\0" in text:
        return Skipped(member.source, 0, member.name, "not a text file (it holds zero bytes)")
    if not text.strip():
        return Skipped(member.source, 0, member.name, "the report has no text")
    return text, foreign


def foreign_note(count: int) -> str:
    """What the user is told about texts in another encoding."""
    return f"{count:,} text(s) were not UTF-8 and were read as Windows-1252, Latin-1 or UTF-16."


def _is_text(name: str) -> bool:
    return name.lower().endswith(".txt")


class TextFiles:
    """Text files: the path inside without its ending is the study; the folder of the file is the patient.

    A file that lies in no folder is a patient of its own. So no patient can come into two splits, whether
    the folders are patients or anything that a patient is not spread over.

    Args:
        path: A folder, or a tar or zip archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []

    def inputs(self) -> Iterator[Path]:
        """Every file that is read."""
        return input_files(self.path, _is_text)

    def read(self) -> Iterator[FoundStudy | Skipped]:
        """The studies, in the order of the files."""
        foreign = in_folders = alone = 0
        for member in members(self.path, _is_text):
            if isinstance(member, Skipped):
                yield member
                continue
            text = text_of(member)
            if isinstance(text, Skipped):
                yield text
                continue
            foreign += text[1]
            study = PurePosixPath(member.name).with_suffix("").as_posix()
            folder = PurePosixPath(member.name).parent.as_posix()
            in_folders += folder != "."
            alone += folder == "."
            patient = study if folder == "." else folder
            yield FoundStudy(study, patient, "", text[0], source=member.source)
        if foreign:
            self.notes.append(foreign_note(foreign))
        if in_folders:
            self.notes.append("The folder that a text file lies in counts as its patient.")
        if alone:
            self.notes.append("Text files that lie in no folder count as patients of their own.")
