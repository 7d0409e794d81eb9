"""MIMIC-CXR: films as JPEG (MIMIC-CXR-JPG) or DICOM (MIMIC-CXR), with reports, labels and the official split.

Source: https://physionet.org/content/mimic-cxr-jpg, https://physionet.org/content/mimic-cxr; Johnson et al.,
Scientific Data 2019;6:317 and arXiv:1901.07042.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.readers.chexpert_labels import NONE_KNOWN, label_columns, read_labels
from offclip.data.datasets.readers.mimic_layout import (
    METADATA,
    PATIENTS,
    SPLIT,
    Anchor,
    files_folder,
    mimic_view,
    read_ids,
    read_patients,
    read_splits,
    read_views,
)
from offclip.data.datasets.readers.mimic_texts import MimicTexts
from offclip.data.datasets.record import ImageRecord
from offclip.data.datasets.tables.named_rows import NamedRow, NamedRows
from offclip.data.datasets.tables.terms import PHYSIONET
from offclip.data.datasets.tables.tree import find_table, need_table
from offclip.data.files import Skipped

_RECORDS = "cxr-record-list.csv"
_CHEXPERT, _NEGBIO = "mimic-cxr-2.0.0-chexpert.csv", "mimic-cxr-2.0.0-negbio.csv"
_RADIOLOGIST = "mimic-cxr-2.1.0-test-set-labeled.csv"


@dataclass(frozen=True, slots=True)
class _Variant:
    """What an option asks for."""

    ending: str = ".jpg"
    labels: str = _CHEXPERT
    groups: frozenset[str] = frozenset()
    labelled_only: bool = False


_P10_TO_P16 = frozenset(f"p{number}" for number in range(10, 17))
_VARIANTS = {
    "": _Variant(),
    "jpg": _Variant(),
    "dicom": _Variant(ending=".dcm"),
    "paper": _Variant(groups=_P10_TO_P16),
    "paper-dicom": _Variant(ending=".dcm", groups=_P10_TO_P16),
    "negbio": _Variant(labels=_NEGBIO),
    "radiologist": _Variant(labels=_RADIOLOGIST, labelled_only=True),
}


@dataclass(frozen=True, slots=True)
class _Beside:
    """What the tables beside the list of images say."""

    splits: Mapping[str, str]
    views: Mapping[str, str]
    patients: Mapping[str, Anchor]
    labels: Mapping[str, Mapping[str, int | None]]
    texts: MimicTexts


class MimicCxr:
    """The films of MIMIC-CXR.

    Args:
        root: The folder with `files` and the tables.
        option: See `card.options`; empty is `"jpg"`.

    Raises:
        DataError: The list of images, or a table that the option needs, is missing or lacks a column.
    """

    card = Card(
        name="mimic-cxr",
        title="MIMIC-CXR and MIMIC-CXR-JPG",
        url="https://physionet.org/content/mimic-cxr-jpg",
        access="credentialed",
        terms=PHYSIONET,
        citation=(
            "Johnson et al. MIMIC-CXR, a de-identified publicly available database of chest radiographs with "
            "free-text reports. Scientific Data 2019;6:317. Johnson et al. MIMIC-CXR-JPG. arXiv:1901.07042."
        ),
        layout=(
            "files/p10/p10000032/s50414267/<dicom_id>.jpg  films of MIMIC-CXR-JPG 2.0.0 or 2.1.0\n"
            "mimic-cxr-2.0.0-metadata.csv.gz  dicom_id, subject_id, study_id, ViewPosition, StudyDate, ...\n"
            "mimic-cxr-2.0.0-split.csv.gz  dicom_id, study_id, subject_id, split (optional)\n"
            "mimic-cxr-2.0.0-chexpert.csv.gz, mimic-cxr-2.0.0-negbio.csv.gz  subject_id, study_id, 14 labels "
            "(optional)\n"
            "mimic-cxr-2.1.0-test-set-labeled.csv  study_id, 14 labels by a radiologist (option "
            "radiologist)\n"
            "files/p10/p10000032/s50414267.txt or mimic-cxr-reports.zip  reports of MIMIC-CXR (optional)\n"
            "files/.../<dicom_id>.dcm and cxr-record-list.csv.gz  subject_id, study_id, dicom_id, path; "
            "films of MIMIC-CXR (option dicom)\n"
            "patients.csv.gz or hosp/patients.csv.gz  of MIMIC-IV, for age and sex (optional)\n"
            "All tables may lie there unpacked, without .gz."
        ),
        published={
            "images": 377110,
            "studies": 227835,
            "patients": 65379,
            "images train": 368960,
            "images validate": 2991,
            "images test": 5159,
        },
        published_source="Johnson et al., Scientific Data 2019;6:317; the split table of MIMIC-CXR-JPG 2.0.0",
        options={
            "jpg": "the JPEG files of MIMIC-CXR-JPG (default)",
            "dicom": "the DICOM files of MIMIC-CXR",
            "paper": "only the folders p10 to p16, as CARZero and OFF-CLIP train on; JPEG files",
            "paper-dicom": "the same; DICOM files",
            "negbio": "labels by NegBio instead of CheXpert",
            "radiologist": "only the studies of the test split that a radiologist labelled, with those "
            "labels",
        },
        notes=(
            "Of the papers' recipe it is known that the folders p10 to p16 and one frontal film a study, "
            "drawn at random, were used. Their list of studies and their split are not published here: the "
            "official split stands in for it, and all films of a study are kept.",
            "A study may have several frontal films, or none.",
            "The JPEG files are histogram-equalised: their grey levels are not those of the DICOM files.",
            "A blank label (not mentioned) and -1 (uncertain) are both unknown, except that 'No Finding' = "
            "1 makes the other findings absent and a finding that is present makes 'No Finding' absent.",
            "'No Finding' allows for support devices. CheXpert and NegBio labels belong to the report, so a "
            "lateral film carries those of its study; a few studies have none.",
            "MIMIC-CXR has no ages. With patients.csv of MIMIC-IV they are the anchor age plus the years "
            "since; 91 stands for every age above 89.",
        ),
        contents=("labels", "reports"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root, self.notes = root, []
        self._variant = _VARIANTS[option]
        self._list = need_table(root, METADATA if self._variant.ending == ".jpg" else _RECORDS)
        NamedRows(self._list, "dicom_id", "subject_id", "study_id")
        labels = self._variant.labels
        self._labels = (need_table if labels != _CHEXPERT else find_table)(root, labels)
        self._columns: tuple[str, ...] = ()
        if self._labels:
            self._columns = label_columns(NamedRows(self._labels, "study_id").columns, self._labels)
        self._files = files_folder(root)
        self._texts = MimicTexts(root, self._files)
        self._split = find_table(root, SPLIT)
        self._metadata = find_table(root, METADATA) if self._variant.ending == ".dcm" else None
        self._patients = find_table(root, *PATIENTS)

    def tables(self) -> Iterator[Path]:
        """The list of images, the tables beside it, and the archive of reports."""
        others = (self._split, self._labels, self._metadata, self._patients, self._texts.archive)
        yield from filter(None, (self._list, *others))

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The films, in the order of the table that lists them."""
        labels, left_out = self._read_labels()
        yield from left_out
        elsewhere = unlabelled = 0
        with self._texts as texts:
            beside = _Beside(
                read_splits(self._split),
                read_views(self._metadata),
                read_patients(self._patients),
                labels,
                texts,
            )
            for row in NamedRows(self._list, "dicom_id", "subject_id", "study_id"):
                found = row.problem or self._record(row, beside)
                yield from texts.problems
                texts.problems.clear()
                if isinstance(found, str):
                    yield row.skipped(self._list, "dicom_id", found)
                elif found is None:
                    elsewhere += 1
                else:
                    unlabelled += found.labels is NONE_KNOWN
                    yield found
            self.notes += texts.notes()
        self._note(elsewhere, unlabelled)

    def _read_labels(self) -> tuple[Mapping[str, Mapping[str, int | None]], list[Skipped]]:
        """The labels by study, and the rows that are left out."""
        left_out: list[Skipped] = []
        labels: dict[str, Mapping[str, int | None]] = {}
        for row in NamedRows(self._labels, "study_id") if self._labels else ():
            found = row.problem or read_labels(row.cells, self._columns)
            if isinstance(found, str):
                left_out.append(Skipped(str(self._labels), row.number, row.cells["study_id"], found))
            else:
                labels[row.cells["study_id"].removesuffix(".0")] = found
        return labels, left_out

    def _record(self, row: NamedRow, beside: _Beside) -> ImageRecord | str | None:
        """The film of a row, what is wrong with it, or None where the option does not ask for it."""
        ids, variant = read_ids(row.cells), self._variant
        if isinstance(ids, str):
            return ids
        if variant.groups and ids.group not in variant.groups:
            return None
        labels = beside.labels.get(ids.study)
        if labels is None and variant.labelled_only:
            return None
        split = beside.splits.get(ids.dicom, "")
        if self._split and not split:
            return f"the image is not in {self._split.name}"
        view = mimic_view(row.cells) if variant.ending == ".jpg" else beside.views.get(ids.dicom, "unknown")
        patient = beside.patients.get(ids.subject)
        return ImageRecord(
            image_id=ids.dicom,
            study_id=f"s{ids.study}",
            patient_id=f"p{ids.subject}",
            path=ids.path(self._files, variant.ending),
            split=split,
            view=view,
            age_years=patient.age_at(row.cells.get("StudyDate", "")) if patient else None,
            sex=patient.sex if patient else "",
            labels=(labels or NONE_KNOWN) if self._labels else {},
            report=beside.texts.text(ids.subject, ids.study),
            source=str(self._list),
            row=row.number,
        )

    def _note(self, elsewhere: int, unlabelled: int) -> None:
        if elsewhere:
            self.notes.append(f"{elsewhere:,} image(s) are not part of this option.")
        if not self._split:
            self.notes.append("No mimic-cxr-2.0.0-split.csv.gz: the films have no official split.")
        if not self._labels:
            self.notes.append("No mimic-cxr-2.0.0-chexpert.csv.gz: the films have no labels.")
        elif unlabelled:
            self.notes.append(
                f"{unlabelled:,} image(s) are of studies that {self._labels.name} does not have."
            )
        if self._variant.ending == ".dcm" and not self._metadata:
            self.notes.append("No mimic-cxr-2.0.0-metadata.csv.gz of MIMIC-CXR-JPG: every view is 'unknown'.")
