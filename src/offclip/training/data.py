"""What a run needs in memory: the pixels and the pairs of a study table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from offclip.data.files import Skipped, write_skipped
from offclip.data.loader import ImageRef, PixelStore, load_pixels
from offclip.data.sampling import Pairs, make_pairs
from offclip.data.study import read_studies
from offclip.errors import DataError
from offclip.images.preprocess import Preprocess
from offclip.training.config import TrainConfig
from offclip.training.state import RunFolder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything a run needs in memory.

    Attributes:
        store: The frontal images of train and validate.
        train: Training pairs.
        validation: Validation pairs, None when there are none.
    """

    store: PixelStore
    train: Pairs
    validation: Pairs | None

    def summary(self) -> dict[str, int]:
        """Counts, for environment.json and the model card."""
        return {
            "studies": len(self.train),
            "normal_studies": int(self.train.normal.sum()),
            "uncertain_studies": int(self.train.uncertain.sum()),
            "unique_texts": len(self.train.texts),
            "images": len(self.store.image_ids),
        }


def load_training_data(
    studies_path: str | Path,
    config: TrainConfig,
    preprocess: Preprocess,
    run: RunFolder,
    on_image: Callable[[int, int], None] | None = None,
) -> TrainingData:
    """Reads the table, decodes the frontal images of train and validate, and makes the pairs.

    What cannot be read is listed in the run's skipped.csv. The pixels are made as the model wants them.

    Raises:
        DataError: The table is broken, or the train split is empty or holds one label only.
    """
    studies = read_studies(studies_path)
    splits = {split: studies.filter(pl.col("split") == split) for split in ("train", "validate")}
    if splits["train"].is_empty():
        raise DataError(
            f"{studies_path}: the train split is empty.", "Check the column 'split', or label with --resplit."
        )
    images, lateral_only = [], []
    for study in pl.concat(splits.values()).iter_rows(named=True):
        frontal = [image for image in study["images"] if image["view"] != "lateral"]
        images += [ImageRef(image["image_id"], Path(image["path"])) for image in frontal]
        if not frontal:
            reason = "the study has no frontal image"
            lateral_only.append(Skipped(str(studies_path), 0, study["study_id"], reason))
    store, skipped = load_pixels(images, preprocess, spill=run.path / "pixels.npy", on_progress=on_image)
    write_skipped(run.skipped, lateral_only + skipped)
    train_pairs = make_pairs(splits["train"], store, filter_sentences=config.filter_sentences)
    normal, abnormal = (
        int(train_pairs.normal.sum()),
        int((~train_pairs.normal & ~train_pairs.uncertain).sum()),
    )
    if not (normal and abnormal):
        message = f"{studies_path}: the train split has {normal} normal and {abnormal} abnormal studies."
        if config.needs_both_labels:
            raise DataError(
                message, f"The objective {config.objective!r} needs both; check the labels of the reports."
            )
        log.warning("%s The model cannot learn to tell them apart.", message)
    if len(train_pairs) < 2:
        raise DataError(
            f"{studies_path}: only {len(train_pairs)} study to train on.", "A contrastive loss needs two."
        )
    validation = None
    try:
        validation = make_pairs(splits["validate"], store, filter_sentences=config.filter_sentences)
    except DataError:
        log.warning("%s: the validate split has no usable study; no early metrics.", studies_path)
    return TrainingData(store, train_pairs, validation)
