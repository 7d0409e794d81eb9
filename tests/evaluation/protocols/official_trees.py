"""Small trees in the publishers' layouts; every film that `write` is called for is a real PNG."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from offclip.data.datasets.readers.chexpert_labels import CHEXPERT_LABELS
from offclip.data.datasets.readers.padchest import TABLE as PADCHEST_TABLE
from offclip.data.datasets.readers.vindr_cxr import FINDINGS as VINDR_FINDINGS
from offclip.evaluation.protocols.load import load_protocol
from offclip.evaluation.protocols.truth.data import ProtocolData
from offclip.evaluation.protocols.truth.read import read_protocol_data


def film(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(path, format="PNG")


def table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def vindr(root: Path, test: Mapping[str, set[str]], train: Mapping[str, set[str]] | None = None) -> Path:
    """Films by id with the labels that are present; train films are read alike by three readers."""
    header = [*VINDR_FINDINGS, "No finding"]

    def row(present: set[str]) -> list[int]:
        assert present <= set(header)
        return [int(name in present) for name in header]

    folder = root / "annotations"
    table(folder / "image_labels_test.csv", ["image_id", *header], [[i, *row(p)] for i, p in test.items()])
    boxes = [[i, name, 1, 2, 5, 7] for i, p in test.items() for name in p if name != "No finding"]
    edges = ["x_min", "y_min", "x_max", "y_max"]
    table(folder / "annotations_test.csv", ["image_id", "class_name", *edges], boxes)
    if train is not None:
        readers = [(i, reader, p) for i, p in train.items() for reader in ("R1", "R2", "R3")]
        rows = [[i, reader, *row(p)] for i, reader, p in readers]
        table(folder / "image_labels_train.csv", ["image_id", "rad_id", *header], rows)
        drawn = [[i, r, n, 1, 2, 5, 7] for i, r, p in readers for n in p if n != "No finding"]
        header = ["image_id", "rad_id", "class_name", *edges]
        table(folder / "annotations_train.csv", header, drawn)
    for part, films in (("test", test), ("train", train or {})):
        for image_id in films:
            film(root / part / f"{image_id}.dicom")
    return root


def openi(root: Path, reports: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> Path:
    """Reports by number with major and automatic terms; each has a frontal and a lateral film."""
    rows = []
    for number, (major, automatic) in reports.items():
        names = [f"CXR{number}_IM-000{number}-{view}001" for view in (1, 2)]
        terms = "".join(f"<major>{term}</major>" for term in major)
        terms += "".join(f"<automatic>{term}</automatic>" for term in automatic)
        images = "".join(f'<parentImage id="{name}"/>' for name in names)
        text = (
            f'<?xml version="1.0" encoding="utf-8"?><eCitation><uId id="CXR{number}"/><Abstract>'
            f'<AbstractText Label="FINDINGS">Text.</AbstractText></Abstract><MeSH>{terms}</MeSH>{images}'
            "</eCitation>"
        )
        place = root / "ecgen-radiology" / f"{number}.xml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        for name, projection in zip(names, ("Frontal", "Lateral"), strict=True):
            film(root / "NLMCXR_png" / f"{name}.png")
            rows.append([number, f"{name.removeprefix('CXR')}.dcm.png", projection])
    table(root / "indiana_projections.csv", ["uid", "filename", "projection"], rows)
    return root


def chexpert_row(path: str, values: Mapping[str, object], blank: object = "") -> list[object]:
    side = "Frontal" if "frontal" in path else "Lateral"
    return [path, "Female", "60", side, "AP", *(values.get(label, blank) for label in CHEXPERT_LABELS)]


CHEXPERT_HEADER = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_LABELS]


def chexpert(root: Path, name: str, films: Mapping[str, Mapping[str, object]], blank: object = "") -> Path:
    """A table such as `train.csv` with paths below the root, and its films."""
    table(root / name, CHEXPERT_HEADER, [chexpert_row(path, values, blank) for path, values in films.items()])
    for path in films:
        film(root / path)
    return root


PADCHEST_HEADER = (
    "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM",
    "Projection", "Report", "MethodLabel", "Labels",
)  # fmt: skip


def padchest(root: Path, films: Mapping[str, tuple[str, Sequence[str]]], method: str = "Physician") -> Path:
    """Films by `study.number` with their view and labels; the study's number is the patient's."""
    rows = []
    for name, (view, labels) in films.items():
        study = name.partition(".")[0]
        rows.append(
            [f"{name}.png", "0", "20140101", study, f"p{study}", "1950.0", "F", view, "x", method, [*labels]]
        )
        film(root / "0" / f"{name}.png")
    table(root / PADCHEST_TABLE, PADCHEST_HEADER, rows)
    return root


def chestxray14(root: Path, films: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> Path:
    """Films by name with `|`-joined labels, and the lists by their file names."""
    header = ["Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position"]
    rows = [[name, labels, int(name[:8]), 40, "M", "PA"] for name, labels in films.items()]
    table(root / "Data_Entry_2017_v2020.csv", header, rows)
    for name in films:
        film(root / "images" / name)
    for name, lines in lists.items():
        (root / name).write_text("\n".join(lines) + "\n")
    return root


def det10(root: Path, part: str, films: Mapping[str, Sequence[str]]) -> Path:
    entries = [
        {"file_name": name, "syms": [*syms], "boxes": [[1, 2, 5, 7]] * len(syms)}
        for name, syms in films.items()
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / f"{part}.json").write_text(json.dumps(entries))
    for name in films:
        film(root / f"{part}_data" / name)
    return root


def ms_cxr(root: Path, rows: Iterable[tuple[int, str, str]]) -> Path:
    """Rows of patient, category and split."""
    lines = []
    for patient, category, split in rows:
        subject = f"1{patient:07}"
        path = f"files/p{subject[:2]}/p{subject}/s5{patient:07}/{'a' * 8}-{patient:04}.jpg"
        lines.append([Path(path).stem, category, "A sentence.", path, 10, 20, 30, 40, 100, 100, split])
        film(root / path)
    header = ("dicom_id", "category_name", "label_text", "path", "x", "y", "w", "h", "image_width")
    table(root / "MS_CXR_Local_Alignment_v1.1.0.csv", [*header, "image_height", "split"], lines)
    return root


def read(name: str, root: Path, **options) -> ProtocolData:
    return read_protocol_data(load_protocol(name), root, **options)


def present(name: str, data: ProtocolData) -> dict[str, list[str]]:
    """From image id to the classes that are 1."""
    names = [rule.name for rule in load_protocol(name).classes]
    return {
        image.image_id: [n for n, value in zip(names, row, strict=True) if value == 1]
        for image, row in zip(data.images, data.truth, strict=True)
    }


def column(name: str, data: ProtocolData, class_name: str) -> list[float]:
    names = [rule.name for rule in load_protocol(name).classes]
    return data.truth[:, names.index(class_name)].tolist()


def ids(data: ProtocolData, split: str = "test") -> list[str]:
    return [image.image_id for image, part in zip(data.images, data.splits, strict=True) if part == split]
