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
# A finding of one or two films would weigh as much in the mean over findings as one of sixty.
LEAST_FILMS = 10
_REPORT = "No report; only the boxes and masks are used."


def export_nih(data: Path, out: Path, least: int = LEAST_FILMS) -> Path:
    """The boxed films of nih_chestxray14: RSNA's and NIH's boxes, in pixels of the 256 px file.

    Args:
        data: The folder, with metadata.csv and boxes.csv.
        out: Folder to write.
        least: Findings on fewer films are left out.
    """
    films = pl.read_csv(data / "metadata.csv", infer_schema=False)
    boxes = pl.read_csv(data / "boxes.csv", infer_schema=False).join(
        films.select("image"), on="image", how="semi"
    )
    boxes = _frequent(boxes.with_columns(pl.col("label").replace_strict(BOX_NAMES)), least)
    _write_films(_marked(films, boxes), data, out, pl.format("nih{}", "patient_id"))
    table = boxes.select(
        pl.col("image").alias("image_id"),
        pl.col("label").alias("finding"),
        "x",
        "y",
        pl.col("w").alias("width"),
        pl.col("h").alias("height"),
    )
    write_csv(table, out / "boxes.csv")
    return out


def export_covid(data: Path, out: Path, least: int = LEAST_FILMS) -> Path:
    """The films of covid_chestxray with finding masks.

    Args:
        data: The folder, with metadata.csv, finding_masks.csv and finding_masks/.
        out: Folder to write.
        least: Findings on fewer films are left out.
    """
    films = pl.read_csv(data / "metadata.csv", infer_schema=False)
    masks = pl.read_csv(data / "finding_masks.csv", infer_schema=False)
    masks = _frequent(masks.with_columns(pl.col("label").replace_strict(REGIONS)), least)
    _write_films(_marked(films, masks), data, out, pl.format("covid{}", "patient_id"))
    table = masks.select(
        pl.col("image").alias("image_id"),
        pl.col("label").alias("finding"),
        pl.lit(f"{data.absolute()}/").add(pl.col("mask")).alias("mask"),
    )
    write_csv(table, out / "masks.csv")
    return out


def _frequent(regions: pl.DataFrame, least: int) -> pl.DataFrame:
    return regions.filter(pl.col("image").n_unique().over("label") >= least)


def _marked(films: pl.DataFrame, regions: pl.DataFrame) -> pl.DataFrame:
    return films.join(regions.select("image"), on="image", how="semi")


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
