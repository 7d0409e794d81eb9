"""Twenty-two true films with their true reports, taken through the whole path one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from offclip.data.files import write_csv
from offclip.data.loader import PixelStore
from offclip.errors import OffclipError
from offclip.evaluation.statistics.ranks import auc
from offclip.grounding.maps import heat_maps
from offclip.images.reading import read
from offclip.models.checkpoint import load_model
from offclip.models.interface import ClipModel
from offclip.reports import label_report
from offclip.zeroshot.prompts import NORMAL_PROMPTS, PAPER_NORMAL_PROMPT, finding_prompt
from offclip.zeroshot.score import score_images
from real_xray_export import WEAK
from real_xray_text import FINDINGS


def films_part(data: Path, out: Path, model_path: Path, tell: Callable[[str], None]) -> None:
    """Reads, labels and scores every film; writes films.csv with one row a film, and prints the totals.

    Args:
        data: The folder openi_pairs.
        out: Where films.csv goes. Neither text nor pixels are written.
        model_path: Model of protocol A, trained on weak pairs of other films and other reports.
        tell: Prints a line.
    """
    model = load_model(model_path)
    films = pl.read_csv(data / "metadata.csv", infer_schema=False)
    table = pl.DataFrame([film_row(model, data, film) for film in films.iter_rows(named=True)])
    frontal = pl.col("view") == "frontal"
    mean = pl.col("normal_logit").filter(frontal).mean().over("study").alias("study_normal_logit")
    table = table.with_columns(mean, pl.lit(f"true pairs; model trained with {WEAK}").alias("pairing"))
    write_csv(table, out / "films.csv")

    studies = table.unique("study", keep="first", maintain_order=True)
    same = (studies["pair_label"] == studies["mesh_label"]).sum()
    tell(f"read: {table['problem'].null_count()} of {len(table)} {dict(table['view'].value_counts().rows())}")
    tell(f"films: pair label equals MeSH on {same} of {len(studies)} studies")
    tell(
        f"films: {studies.group_by('mesh_label', 'pair_label').len().sort('mesh_label', 'pair_label').rows()}"
    )
    scored = studies.filter(pl.col("study_normal_logit").is_not_null())
    normal = (scored["mesh_label"] == "normal").to_numpy()
    if 0 < normal.sum() < len(normal):
        value = auc(scored["study_normal_logit"].to_numpy(), normal)
        tell(f"films: normal AUC over {len(scored)} studies ({normal.sum()} normal): {value:.3f}, too few")
    inside = table.filter(frontal)["inside"].sum()
    tell(f"films: heat-map maximum inside the film on {inside} of {len(table.filter(frontal))} frontal films")


def film_row(model: ClipModel, data: Path, film: dict[str, str]) -> dict[str, str | float | bool | None]:
    """One film through the whole path: decode, label its report, score, and point with the strongest finding.

    Lateral films are read but not scored: the model has seen frontal films only.
    """
    parts = [f"{name.upper()}: {film[name]}" for name in ("findings", "impression") if film[name]]
    report = label_report("\n".join(parts))
    row: dict[str, str | float | bool | None] = {
        "film": film["openi_file_id"],
        "study": film["uid"],
        "view": film["view"],
        "note": film["note"],
        "mesh_label": film["label"],
        "pair_label": report.label,
        "sentences": len(report.sentences),
        "kept": len(report.kept),
        "problem": None,
    }
    scores: dict[str, str | float | bool | None] = dict.fromkeys(
        ("normal_logit", "paper_prompt_logit", "top_finding", "top_logit", "peak_x", "peak_y", "inside")
    )
    try:
        pixels = read(data / "images" / film["image"]).pixels
        row |= {"height": pixels.shape[0], "width": pixels.shape[1]}
        if film["view"] == "frontal":
            scores = score_film(model, pixels)
    except OffclipError as error:
        row["problem"] = str(error)
    return row | scores


def score_film(model: ClipModel, pixels: np.ndarray) -> dict[str, str | float | bool | None]:
    """Mean logit of the normal prompts, the strongest finding, and where its heat map peaks in the film."""
    square, geometry = model.preprocess.fit(pixels)
    store = PixelStore(("film",), square[None], (geometry,))
    scores = score_images(model, store, [*NORMAL_PROMPTS, *(finding_prompt(f) for f in FINDINGS)])
    logits = {finding: float(scores.of(finding_prompt(finding))[0]) for finding in FINDINGS}
    top = max(logits, key=lambda finding: logits[finding])
    _, maps = next(heat_maps(model, store, [0], [finding_prompt(top)]))
    row, column = np.unravel_index(int(maps[0].argmax()), maps[0].shape)
    x, y = geometry.to_original(
        x=float(column + 0.5) * geometry.size / maps.shape[2],
        y=float(row + 0.5) * geometry.size / maps.shape[1],
    )
    return {
        "normal_logit": float(np.mean([scores.of(prompt)[0] for prompt in NORMAL_PROMPTS])),
        "paper_prompt_logit": float(scores.of(PAPER_NORMAL_PROMPT)[0]),
        "top_finding": top,
        "top_logit": logits[top],
        "peak_x": x,
        "peak_y": y,
        "inside": 0 <= x <= geometry.width and 0 <= y <= geometry.height,
    }
