"""What published towers bring: ImageNet features and MiniLM sentences, trained with the same losses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from offclip.data.files import write_csv
from offclip.data.sampling import Pairs, make_pairs
from offclip.data.study import read_studies
from offclip.evaluation.ablation import BASELINE, FULL_METHOD, Variant
from offclip.evaluation.classification import Classification, classify
from offclip.zeroshot.score import Scores
from real_xray_export import WEAK
from real_xray_minilm import measure_image_tower
from real_xray_pretrained import Material, missing_packages, read_material, sentence_features
from real_xray_projected import Recipe, choose, configure, fit, score
from real_xray_runs import by_view, mean_sd

SCRATCH, IMAGENET, MINILM = "from scratch", "ImageNet", "MiniLM"
IMAGE_TOWER_RECIPE: Recipe = (20, 3e-3, 0)  # what the from-scratch models of protocol A are trained with
MEASURES = (
    "normal_auc",
    "worst_prompt_normal_auc",
    "neg_max_finding_auc",
    "abnormal_auc",
    "abnormal_auc_among_abnormals",
)
VIEW_MEASURES = tuple(f"{view}_{name}" for view in ("PA", "AP") for name in MEASURES[:2])


@dataclass(frozen=True, slots=True)
class Trial:
    """One protocol and one objective, ready for any combination of towers.

    Attributes:
        material: Images, their features, truth.
        variant: Objective and filtering.
        pairs: Of the train split.
        texts: Those of the pairs, then the prompts.
        sentences: (U, 384) MiniLM features of the texts.
    """

    material: Material
    variant: Variant
    pairs: Pairs
    texts: tuple[str, ...]
    sentences: Tensor

    def measure(self, image: str, text: str, recipe: Recipe, seed: int) -> tuple[Scores, Classification]:
        """Trains one combination and scores the test split."""
        config = configure(self.variant, recipe, seed)
        if image == SCRATCH:
            return measure_image_tower(self.material, self.pairs, self.texts, self.sentences, config)
        given = self.sentences if text == MINILM else None
        model, tokens = fit(self.material, self.pairs, self.texts, given, config, recipe[2])
        scores = score(model, self.material, self.texts, tokens, "test")
        return scores, classify(scores, self.material.data.labels)


def towers_part(exports: dict[str, Path], out: Path, seeds: int, tell: Callable[[str], None]) -> None:
    """Trains every combination on every protocol and writes results.csv; needs the packages.

    The image tower from scratch beside MiniLM takes as long as all the others together, so it is trained on
    protocol A alone.
    """
    missing = missing_packages()
    if missing:
        tell(f"Pretrained towers skipped; pip install -c constraints.txt {' '.join(missing)}")
        return
    rows: list[dict[str, str | float | None]] = []
    vectors: dict[str, np.ndarray] = {}
    passes = [(protocol, [(IMAGENET, MINILM), (IMAGENET, SCRATCH)]) for protocol in exports]
    for protocol, towers in [*passes, ("labels", [(SCRATCH, MINILM)])]:
        material = read_material(exports[protocol], out)
        for variant in (BASELINE, FULL_METHOD):
            trial = prepare(material, variant, vectors)
            tell(f"{protocol}: {variant.name}: {len(trial.texts)} texts ({WEAK})")
            for image, text in towers:
                home = out / "scores" / "-".join((protocol, image, text, variant.name))
                recipe = recipe_of(trial, image, text, home)
                for seed in range(seeds):
                    about = {"protocol": protocol, "image": image, "text": text, "variant": variant.name}
                    chosen = dict(zip(("epochs", "rate", "components"), recipe, strict=True))
                    row = finish(trial, image, text, recipe, seed, home)
                    rows.append(about | chosen | {"seed": seed, "pairing": WEAK} | row)
                    tell(f"{rows[-1]}")
                write_csv(pl.DataFrame(rows, infer_schema_length=None), out / "results.csv")
    table = summary(pl.DataFrame(rows, infer_schema_length=None))
    (out / "results.md").write_text(table, encoding="utf-8")
    print(table)


def prepare(material: Material, variant: Variant, vectors: dict[str, np.ndarray]) -> Trial:
    """Makes the pairs and the sentence features; `vectors` keeps those that are known already."""
    studies = read_studies(material.folder / "studies.parquet").filter(pl.col("split") == "train")
    pairs = make_pairs(studies, material.store, filter_sentences=variant.filter_sentences)
    texts = (*pairs.texts, *(prompt for prompt in material.prompts if prompt not in pairs.texts))
    if new := [text for text in texts if text not in vectors]:
        vectors.update(zip(new, sentence_features(new), strict=True))
    return Trial(material, variant, pairs, texts, torch.from_numpy(np.stack([vectors[t] for t in texts])))


def recipe_of(trial: Trial, image: str, text: str, home: Path) -> Recipe:
    """The recipe of a combination, chosen once and then kept in a file."""
    if image == SCRATCH:
        return IMAGE_TOWER_RECIPE
    file = home / "recipe.json"
    if not file.is_file():
        given = trial.sentences if text == MINILM else None
        recipe, _ = choose(trial.material, trial.pairs, trial.texts, given, trial.variant)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(recipe), encoding="utf-8")
    epochs, rate, components = json.loads(file.read_text(encoding="utf-8"))
    return epochs, rate, components


def finish(
    trial: Trial, image: str, text: str, recipe: Recipe, seed: int, home: Path
) -> dict[str, float | None]:
    """Trains and measures one model; a finished one is not run again."""
    folder = home / f"seed{seed}"
    finished = folder / "row.json"
    if finished.is_file():
        return json.loads(finished.read_text(encoding="utf-8"))
    scores, result = trial.measure(image, text, recipe, seed)
    columns = {prompt: scores.of(prompt) for prompt in scores.prompts}
    write_csv(pl.DataFrame({"image_id": scores.image_ids} | columns), folder / "scores.csv")
    row = {measure: getattr(result, measure) for measure in MEASURES} | by_view(trial.material.folder, folder)
    finished.write_text(json.dumps(row, indent=2), encoding="utf-8")
    return row


def summary(table: pl.DataFrame) -> str:
    """Markdown: one line a combination, mean ± standard deviation over seeds."""
    keys = ("protocol", "image", "text", "variant", "epochs", "rate", "components")
    columns = (*MEASURES, *VIEW_MEASURES)
    lines = [f"| {WEAK}: {' | '.join((*keys, *columns))} |", "|---" * (len(keys) + len(columns)) + "|"]
    for key, runs in table.group_by(*keys, maintain_order=True):
        lines.append(f"| {' | '.join((*map(str, key), *(mean_sd(runs[column]) for column in columns)))} |")
    return "\n".join(lines) + "\n"
