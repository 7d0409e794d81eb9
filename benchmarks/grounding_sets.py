"""Real films with boxes or masks, as folders that `offclip ground` reads; the films stay where they are."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from offclip.data.files import write_csv
from real_xray_export import BOX_NAMES

# The radiologists' regions of covid_chestxray, under the labeller's names.
REGIONS = {
    "Ground Glass Opacities": "opacity",
    "Consolidation": "consolidation",
    "Pleural Effusion": "pleural effusion",
    "Pneumothorax": "pneumothorax",
}
_REPORT = "No report; only the boxes and masks are used."


def export_nih(data: Path, out: Path) -> Path:
    """The boxed films of nih_chestxray14: RSNA's and NIH's boxes, in pixels of the 256 px file.

    Args:
        data: The folder, with metadata.csv and boxes.csv.
        out: Folder to write.
    """
    boxes = pl.read_csv(data / "boxes.csv", infer_schema=False)
    films = pl.read_csv(data / "metadata.csv", infer_schema=False)
    films = films.filter(pl.col("image").is_in(boxes["image"].implode()))
    _write_films(films, data, out, pl.format("nih{}", "patient_id"))
    table = boxes.join(films.select("image"), on="image", how="semi").select(
        pl.col("image").alias("image_id"),
        pl.col("label").replace_strict(BOX_NAMES).alias("finding"),
        "x",
        "y",
        pl.col("w").alias("width"),
        pl.col("h").alias("height"),
    )
    write_csv(table, out / "boxes.csv")
    return out


def export_covid(data: Path, out: Path) -> Path:
    """The films of covid_chestxray with finding masks.

    Args:
        data: The folder, with metadata.csv, finding_masks.csv and finding_masks/.
        out: Folder to write.
    """
    masks = pl.read_csv(data / "finding_masks.csv", infer_schema=False)
    films = pl.read_csv(data / "metadata.csv", infer_schema=False)
    films = films.filter(pl.col("image").is_in(masks["image"].implode()))
    _write_films(films, data, out, pl.format("covid{}", "patient_id"))
    table = masks.select(
        pl.col("image").alias("image_id"),
        pl.col("label").replace_strict(REGIONS).alias("finding"),
        pl.lit(f"{data.absolute()}/").add(pl.col("mask")).alias("mask"),
    )
    write_csv(table, out / "masks.csv")
    return out


def _write_films(films: pl.DataFrame, data: Path, out: Path, patient: pl.Expr) -> None:
    table = films.select(
        pl.col("image").alias("study_id"),
        patient.alias("patient_id"),
        pl.col("image").alias("image_id"),
        pl.lit(f"{data.absolute()}/").add(pl.col("image")).alias("image_path"),
        pl.col("view").fill_null("").str.replace("AP Supine", "AP").alias("view"),
        pl.lit("test").alias("split"),
        pl.lit(_REPORT).alias("report"),
    )
    write_csv(table, out / "reports.csv")
