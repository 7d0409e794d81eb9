"""Writes the NIH images as a hospital would export them, with weakly paired reports.

Two folders of real chest films become one export: reports.csv, labels.csv and boxes.csv. The images stay
where they are; the tables point at them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from offclip.data.files import write_csv
from offclip.data.split import split_of
from real_xray_text import CANONICAL, FINDINGS, SentenceBank, compose_report

WEAK = "weak pairing"
LARGE, SMALL = "nih_chestxray14", "nih_64px"
BOX_NAMES = CANONICAL | {"Lung Opacity": "opacity"}


@dataclass(frozen=True, slots=True)
class NihImage:
    """One film and what is known of it.

    Attributes:
        image_id: The NIH name without its ending.
        patient_id: The same in both folders.
        path: Absolute.
        view: PA or AP.
        findings: Canonical names of the NIH labels, mined from text by a program; empty means "No Finding".
        evaluation: Whether the image is of the dev split or its patient is.
        radiologist_normal: What radiologists say; None where none has looked.
        opacity: Whether radiologists see a lung opacity; None where none has looked.
        boxes: (finding, x, y, width, height) in pixels of the file.
    """

    image_id: str
    patient_id: str
    path: Path
    view: str
    findings: tuple[str, ...]
    evaluation: bool = False
    radiologist_normal: bool | None = None
    opacity: bool | None = None
    boxes: tuple[tuple[str, str, str, str, str], ...] = field(default=())


def read_nih(data: Path) -> list[NihImage]:
    """All images of both folders; of an image that is in both, the larger file."""
    boxes: dict[str, list[tuple[str, str, str, str, str]]] = {}
    for row in _rows(data / LARGE / "boxes.csv"):
        box = (BOX_NAMES[row["label"]], row["x"], row["y"], row["w"], row["h"])
        boxes.setdefault(row["image"], []).append(box)
    images: dict[str, NihImage] = {}
    for folder in (LARGE, SMALL):
        for row in _rows(data / folder / "metadata.csv"):
            image_id = Path(row["nih_image_index"]).stem
            if image_id in images:
                continue
            labels = [label for label in row["finding_labels_nih"].split("|") if label != "No Finding"]
            read = row.get("rsna_class") or ""
            images[image_id] = NihImage(
                image_id=image_id,
                patient_id=f"nih{int(row['patient_id']):05d}",
                path=(data / folder / row["image"]).absolute(),
                view=row["view"],
                findings=tuple(CANONICAL[label] for label in labels),
                evaluation=row.get("split_suggested") == "dev" or row.get("patient_in_nih_dev") == "1",
                radiologist_normal={"0": True, "1": False}.get(row.get("abnormal_radiologist") or ""),
                opacity=read == "Lung Opacity" if read else None,
                boxes=tuple(boxes.get(row["image"], ())) if folder == LARGE else (),
            )
    return list(images.values())


def protocol_a(images: list[NihImage]) -> list[dict[str, str]]:
    """Truth = NIH labels; every image; 70 / 10 / 20 % of the patients.

    Returns:
        One row an image with the columns of reports.csv (without the report) and labels.csv.
    """
    return [
        _row(image, split_of(image.patient_id), {finding: finding in image.findings for finding in FINDINGS})
        | {"normal": _flag(not image.findings)}
        for image in images
    ]


def protocol_b(images: list[NihImage]) -> list[dict[str, str]]:
    """Truth = the radiologists' read; test = the dev images, on whose patients nothing is trained.

    An image that radiologists call normal has none of the findings. On the validate split, where few
    have been read by radiologists, the NIH label stands in; on the test split normal stays unknown
    without them.
    """
    dev_patients = {image.patient_id for image in images if image.evaluation}
    rows = []
    for image in images:
        if image.patient_id in dev_patients and not (image.evaluation and image.path.parts[-3] == LARGE):
            continue  # a 64 px image of a dev patient
        split = "test" if image.evaluation else split_of(image.patient_id, (0.875, 0.125, 0.0))
        normal = image.radiologist_normal
        if normal is None and split != "test":
            normal = not image.findings
        present: dict[str, bool | None] = {f: f in image.findings and not normal for f in FINDINGS}
        present["opacity"] = image.opacity
        rows.append(_row(image, split, present) | {"normal": _flag(normal)})
    return rows


PROTOCOLS: dict[str, Callable[[list[NihImage]], list[dict[str, str]]]] = {
    "labels": protocol_a,
    "radiologist": protocol_b,
}


def write_export(
    out: Path, rows: list[dict[str, str]], images: list[NihImage], bank: SentenceBank, seed: int = 0
) -> None:
    """Writes reports.csv, labels.csv and boxes.csv; labelling them refuses a patient in two splits.

    Args:
        out: The folder.
        rows: Of a protocol.
        images: What the rows are about.
        bank: What the reports are composed of.
        seed: Another seed pairs other sentences.
    """
    by_id = {image.image_id: image for image in images}
    table = pl.DataFrame(rows)
    reports = [compose_report(bank, by_id[i].findings, f"{seed}:{i}") for i in table["image_id"]]
    columns = ("study_id", "patient_id", "image_id", "image_path", "view", "split")
    write_csv(
        table.select(columns).with_columns(pl.Series("report", reports), pl.lit(WEAK).alias("pairing")),
        out / "reports.csv",
    )
    labels = table.drop("study_id", "patient_id", "image_path", "view", "split")
    write_csv(labels, out / "labels.csv")
    boxes = [(i, *box) for i in table["image_id"] for box in by_id[i].boxes]
    names = ("image_id", "finding", "x", "y", "width", "height")
    write_csv(pl.DataFrame(boxes, schema=dict.fromkeys(names, pl.String), orient="row"), out / "boxes.csv")


def _row(image: NihImage, split: str, present: dict[str, bool] | dict[str, bool | None]) -> dict[str, str]:
    about = {
        "study_id": f"study-{image.image_id}",
        "patient_id": image.patient_id,
        "image_id": image.image_id,
        "image_path": str(image.path),
        "view": image.view,
        "split": split,
    }
    return about | {finding: _flag(value) for finding, value in present.items()}


def _flag(value: bool | None) -> str:
    return "" if value is None else str(int(value))


def _rows(path: Path) -> list[dict[str, str]]:
    return [
        {key: value or "" for key, value in row.items()}
        for row in pl.read_csv(path, infer_schema=False).iter_rows(named=True)
    ]
