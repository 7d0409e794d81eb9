"""Open-I: the chest films of Indiana University with reports and MeSH terms.

Source: https://openi.nlm.nih.gov; Demner-Fushman et al., JAMIA 2016;23(2):304-310. The rule of the option
`automatic` is that of the published evaluations (torchxrayvision, CARZero, OFF-CLIP).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.record import ImageRecord
from offclip.data.datasets.tables.named_rows import NamedRows
from offclip.data.datasets.tables.tree import ImageFiles, find_table
from offclip.data.files import Skipped
from offclip.data.sources.openi import OpeniReport, is_xml, parsed_reports
from offclip.data.sources.text_files import foreign_note, input_files
from offclip.errors import DataError
from offclip.images.views import view_of

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
    "Fracture",
    "Opacity",
    "Lesion",
    "Calcified Granuloma",
    "Granuloma",
)
NO_FINDING, NORMAL = "No_Finding", "normal"
_SYNONYMS = {
    "Pleural_Thickening": ("pleural thickening",),
    "Infiltration": ("infiltrate",),
    "Atelectasis": ("atelectases",),
}
# How the human coders put it.
_MAJOR_SYNONYMS = _SYNONYMS | {"Pleural_Thickening": ("pleural thickening", "thickening/pleura")}
# Terms that say that the coders did not look at findings.
_UNCODED = {"no indexing", "technical quality of image unsatisfactory"}
_REPORTS = ("NLMCXR_reports.tgz", "ecgen-radiology", "NLMCXR_reports/ecgen-radiology", "NLMCXR_reports")
_IMAGES = ("NLMCXR_png", "images/images_normalized", "images", "")
_PROJECTIONS = "indiana_projections.csv"
_NUMBERED = re.compile(r"(?:CXR)?(\d+)_(?:\d+_)?(IM-.+)")


class OpenI:
    """The films with their reports.

    Args:
        root: The folder with `NLMCXR_reports.tgz` or `ecgen-radiology`, and `NLMCXR_png`.
        option: `"automatic"` for the labels of the published evaluations; empty for those of the coders.

    Raises:
        DataError: No report is there, or the table of projections lacks a column.
    """

    card = Card(
        name="openi",
        title="Open-I: Indiana University Chest X-ray Collection",
        url="https://openi.nlm.nih.gov/faq",
        access="open",
        terms="CC BY-NC-ND 4.0, as every report says: not commercial, and nothing derived may be passed on.",
        citation=(
            "Demner-Fushman et al. Preparing a collection of radiology examinations for distribution and "
            "retrieval. JAMIA 2016;23(2):304-310."
        ),
        layout=(
            "NLMCXR_reports.tgz  the reports; or unpacked, ecgen-radiology/1.xml\n"
            "NLMCXR_png/CXR1_1_IM-0001-3001.png  the films of NLMCXR_png.tgz, unpacked\n"
            "images/images_normalized/1_IM-0001-3001.dcm.png  or as Kaggle offers them\n"
            "indiana_projections.csv  uid, filename, projection; of Kaggle, for the views (optional)"
        ),
        published={"images": 7470, "reports of the archive": 3955},
        published_source="Demner-Fushman et al. 2016; https://openi.nlm.nih.gov/faq",
        options={
            "automatic": (
                "the 19 labels of CARZero and OFF-CLIP: words of 18 findings in the automatic terms, and "
                "No_Finding where there is none of them"
            ),
        },
        notes=(
            "Labels are words in the terms that human coders gave the report (MeSH major), and 'normal' is "
            "their term. The automatic terms were found by a program, which takes denied findings for "
            "findings.",
            "Normal is strict: a healed fracture or a tortuous aorta is not normal.",
            "95 reports are not coded ('No Indexing') and 6 only for their quality: all their labels are "
            "unknown. With the option automatic they count as films without a finding, as in the published "
            "evaluations.",
            "The reports do not say which film is lateral; without indiana_projections.csv every view is "
            "'unknown'.",
            "104 reports name no image. 28 have neither findings nor impression; their films are kept.",
            "Each report counts as a patient of its own; the collection does not say which belong together.",
            "'Granuloma' includes every calcified granuloma and granulomatous disease; 'Hernia' is hiatal.",
        ),
        contents=("labels", "reports"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root, self.notes = root, []
        self._automatic = option == "automatic"
        places = [root / name for name in _REPORTS]
        found = next((place for place in places if place.exists()), None)
        if found is None and any(root.glob("*.xml")):
            found = root
        if found is None:
            raise DataError(
                f"{places[0]}: no such file, nor {', '.join(_REPORTS[1:])}.",
                "Give the folder with the reports with --root; 'offclip data list' shows the layout.",
            )
        self._reports = found
        self._projections = find_table(root, _PROJECTIONS)
        if self._projections:
            NamedRows(self._projections, "filename", "projection")
        self._folders = [root.absolute() / name for name in _IMAGES]

    def tables(self) -> Iterator[Path]:
        """The reports, and the table of projections."""
        yield from input_files(self._reports, is_xml)
        if self._projections:
            yield self._projections

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The films, in the order of the reports."""
        views, files = self._views(), ImageFiles(self._folders)
        foreign = silent = 0
        for parsed in parsed_reports(self._reports):
            if isinstance(parsed, Skipped):
                yield parsed
                continue
            report = parsed.report
            foreign += parsed.foreign
            silent += not report.text()
            if not report.image_ids:
                yield Skipped(parsed.source, 0, report.study_id, "the report names no image")
            yield from self._records(report, parsed.source, views, files)
        if foreign:
            self.notes.append(foreign_note(foreign))
        if silent:
            self.notes.append(f"{silent:,} report(s) have neither findings nor impression.")
        if not self._projections:
            self.notes.append(f"No {_PROJECTIONS}: every view is 'unknown'.")

    def _records(
        self, report: OpeniReport, source: str, views: Mapping[str, str], files: ImageFiles
    ) -> Iterator[ImageRecord | Skipped]:
        labels = (
            automatic_labels(report.mesh_automatic) if self._automatic else coded_labels(report.mesh_major)
        )
        for image_id in dict.fromkeys(report.image_ids):
            # The id comes from the file, so it must not lead out of the folder.
            if not image_id.isprintable() or set(image_id) & set("/\\:") or len(image_id) > 100:
                yield Skipped(source, 0, ascii(image_id[:60]), "the image id is no name of a file")
                continue
            yield ImageRecord(
                image_id=image_id,
                study_id=report.study_id,
                patient_id=report.study_id,
                path=self._path(image_id, files),
                view=views.get(_key(image_id), "unknown"),
                labels=labels,
                report=report.text(),
                source=source,
            )

    def _path(self, image_id: str, files: ImageFiles) -> Path:
        nowhere = self.root.absolute() / "(nowhere)"
        names = (f"{image_id}.png", f"{_key(image_id)}.dcm.png")
        paths = (files.path(name, nowhere) for name in names)
        found = next((path for path in paths if path.parent != nowhere), None)
        return found or self._folders[0] / names[0]

    def _views(self) -> dict[str, str]:
        """Views by `_key`, from the table of projections."""
        rows = NamedRows(self._projections, "filename", "projection") if self._projections else ()
        return {
            _key(row.cells["filename"].split(".")[0]): view_of(row.cells["projection"])
            for row in rows
            if not row.problem
        }


def coded_labels(major: Sequence[str]) -> Mapping[str, int | None]:
    """The 18 findings and `normal` from the terms of the human coders.

    Example:
        >>> labels = coded_labels(["Cardiomegaly/borderline", "Pulmonary Artery/enlarged"])
        >>> labels["Cardiomegaly"], labels["Effusion"], labels["normal"]
        (1, 0, 0)
        >>> coded_labels(["No Indexing"])["normal"] is None
        True
    """
    terms = {term.strip().lower() for term in major}
    if not terms - _UNCODED:
        return dict.fromkeys((*FINDINGS, NORMAL))
    return {**_words(terms, _MAJOR_SYNONYMS), NORMAL: int(NORMAL in terms)}


def automatic_labels(automatic: Sequence[str]) -> Mapping[str, int | None]:
    """The 18 findings and `No_Finding` of the published evaluations, from the automatic terms.

    Example:
        >>> labels = automatic_labels(["pulmonary atelectases", "Calcified Granuloma"])
        >>> [name for name, value in labels.items() if value]
        ['Atelectasis', 'Calcified Granuloma', 'Granuloma']
        >>> automatic_labels([])["No_Finding"]
        1
    """
    found = _words({term.strip().lower() for term in automatic}, _SYNONYMS)
    return {**found, NO_FINDING: int(not any(found.values()))}


def _words(terms: set[str], synonyms: Mapping[str, tuple[str, ...]]) -> dict[str, int | None]:
    text = "|".join(sorted(terms))
    return {
        finding: int(any(word in text for word in (finding.lower(), *synonyms.get(finding, ()))))
        for finding in FINDINGS
    }


def _key(image_id: str) -> str:
    """What the names of an image have in common: `CXR1_1_IM-0001-3001` and `1_IM-0001-3001.dcm.png`."""
    found = _NUMBERED.fullmatch(image_id)
    return f"{found[1]}_{found[2]}" if found else image_id
