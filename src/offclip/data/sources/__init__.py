"""Where reports come from: tables, text files, the Open-I archive, MIMIC-CXR; each yields study by study."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from offclip.data.sources.found import FoundImage, FoundStudy, ReportSource
from offclip.data.sources.members import is_archive, names
from offclip.data.sources.mimic import ARCHIVE, MimicReports, is_mimic_report
from offclip.data.sources.openi import OpeniReports
from offclip.data.sources.options import SourceFormat, SourceOptions
from offclip.data.sources.table import TableReports
from offclip.data.sources.text_files import TextFiles
from offclip.errors import ConfigError, DataError

__all__ = ["FoundImage", "FoundStudy", "ReportSource", "SourceFormat", "SourceOptions", "open_source"]

TABLES = (".csv", ".tsv", ".parquet", ".pq", ".csv.gz", ".tsv.gz")
_LOOKED_AT = 2000
_FORMS = "A table, a folder or archive of text files, the Open-I archive, or MIMIC-CXR reports can be read."


def open_source(path: str | Path, options: SourceOptions | None = None) -> ReportSource:
    """Opens reports in whatever form they are.

    Args:
        path: A table, a folder, or a tar or zip archive.
        options: What form it is, where the images are, and whether to split anew.

    Raises:
        DataError: There is nothing at `path`, or it holds no reports in a known form.
        ConfigError: The folder of images is missing, or the form names no images.
    """
    path, options = Path(path), options or SourceOptions()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder.", "Check the path.")
    if options.images is not None and not options.images.is_dir():
        raise ConfigError(f"--images {options.images}: no such folder.", "Check the path.")
    form = find_format(path) if options.format == "auto" else options.format
    if form == "table":
        if path.is_dir():
            raise DataError(f"{path}: a folder is no table.", "Give the file, such as reports.csv in it.")
        return TableReports(path, options.images, resplit=options.resplit)
    if path.is_file() and not is_archive(path):
        raise DataError(f"{path}: neither a folder nor a .tgz, .tar.gz, .tar or .zip file.", _FORMS)
    if form == "openi":
        return OpeniReports(path, options.images)
    if form == "mimic":
        return MimicReports(path, options.images, resplit=options.resplit)
    if options.images is not None:
        raise ConfigError(
            "--images: text files do not say which images belong to them.",
            "Make a table with the columns study_id, patient_id, image_path and report.",
        )
    return TextFiles(path)


def find_format(path: Path) -> SourceFormat:
    """Tells the form of an input from its name and from the names inside.

    Raises:
        DataError: It has no known form.
    """
    if path.is_file() and path.name.lower().endswith(TABLES):
        return "table"
    if path.is_file() and not is_archive(path):
        raise DataError(f"{path}: an unknown kind of file.", f"{_FORMS} See --format.")
    if path.is_dir() and (path / ARCHIVE).is_file():
        return "mimic"
    above = f"{path.absolute().as_posix()}/" if path.is_dir() else ""
    found = list(islice(names(path), _LOOKED_AT))
    if any(is_mimic_report(above + name) for name in found):
        return "mimic"
    endings = {Path(name).suffix.lower() for name in found}
    if ".xml" in endings:
        return "openi"
    if ".txt" in endings:
        return "text"
    table = next((name for name in found if name.lower().endswith(TABLES)), None)
    if table and path.is_dir():
        raise DataError(f"{path}: a folder without report files.", f"Give the table itself: {path / table}.")
    raise DataError(f"{path}: no report is in it (no .txt or .xml file).", f"{_FORMS} See --format.")
