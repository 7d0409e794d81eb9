"""What published towers bring: frozen features under linear projections, trained with the same losses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from offclip.data.files import write_csv
from offclip.data.sampling import EpochSampler, Pairs, make_pairs
from offclip.data.study import read_studies
from offclip.evaluation.ablation import BASELINE, FULL_METHOD, Variant
from offclip.evaluation.classification import Classification, classify
from offclip.models.heads import CosineHead
from offclip.models.interface import ImageFeatures, TextFeatures
from offclip.models.text_tower import CompactTextTower
from offclip.models.tokenizer import TextTokenizer
from offclip.training.config import TrainConfig
from offclip.training.loop import learning_rate, make_optimizer
from offclip.training.objectives import make_loss
from offclip.zeroshot.score import Scores
from real_xray_export import WEAK
from real_xray_pretrained import Material, missing_packages, read_material, sentence_features
from real_xray_runs import IMAGE_SIZE, by_view, mean_sd

EMBED_DIM = 128
# Epochs, learning rate, principal components kept: chosen on the validate split. All 1,280 features overfit.
Recipe = tuple[int, float, int]
RECIPES: tuple[Recipe, ...] = ((10, 1e-3, 32), (30, 1e-3, 32), (10, 1e-3, 1280), (10, 1e-4, 1280))
TEXT_TOWERS = ("MiniLM", "from scratch")
MEASURES = (
    "normal_auc",
    "worst_prompt_normal_auc",
    "neg_max_finding_auc",
    "abnormal_auc",
    "abnormal_auc_among_abnormals",
)
VIEW_MEASURES = tuple(f"{view}_{name}" for view in ("PA", "AP") for name in MEASURES[:2])


class ProjectedTowers(nn.Module):
    """Frozen image features under a linear layer, beside frozen text features or a small text tower.

    Args:
        images: (N, F) features of every image.
        texts: (U, G) features of every text, or None to train a text tower on token ids.
        tokenizer: Needed without `texts`.
        statistics_of: Rows of the training images, whose mean, deviation and principal axes serve for all.
        components: Principal components of the image features that are kept.
    """

    def __init__(
        self,
        images: Tensor,
        texts: Tensor | None,
        tokenizer: TextTokenizer,
        statistics_of: Sequence[int],
        components: int,
    ) -> None:
        super().__init__()
        chosen = images[list(statistics_of)]
        self.images = (images - chosen.mean(dim=0)) / chosen.std(dim=0).clamp(min=1e-3)
        if components < images.shape[1]:
            axes = torch.pca_lowrank(self.images[list(statistics_of)], q=components, center=False, niter=4)[2]
            self.images = self.images @ axes
            self.images = self.images / self.images[list(statistics_of)].std()
        self.project_image = nn.Linear(self.images.shape[1], EMBED_DIM)
        self.texts = texts if texts is None else (texts - texts.mean(dim=0)) / texts.std(dim=0)
        self.text: nn.Module = (
            CompactTextTower(tokenizer.vocabulary_size, tokenizer.max_tokens, embed_dim=EMBED_DIM)
            if texts is None
            else nn.Linear(texts.shape[1], EMBED_DIM)
        )
        self.head = CosineHead()

    def forward(self, rows: Tensor, texts: Tensor, tokens: tuple[Tensor, Tensor]) -> Tensor:
        """Logits (B, T) of image rows against text indices; `tokens` are the ids and mask of all texts."""
        image = self.project_image(self.images[rows])
        if self.texts is None:
            length = int(tokens[1][texts].sum(dim=1).max())
            text = self.text(tokens[0][texts, :length], tokens[1][texts, :length]).pooled
        else:
            text = self.text(self.texts[texts])
        empty = image.new_zeros(0)
        return self.head(ImageFeatures(image, empty, (0, 0)), TextFeatures(text, empty, empty))


def towers_part(exports: dict[str, Path], out: Path, seeds: int, tell: Callable[[str], None]) -> None:
    """Trains every combination on every protocol and writes results.csv; needs the packages."""
    missing = missing_packages()
    if missing:
        tell(f"Pretrained towers skipped; pip install -c constraints.txt {' '.join(missing)}")
        return
    rows, vectors = [], {}
    for protocol, folder in exports.items():
        material = read_material(folder, out)
        for variant in (BASELINE, FULL_METHOD):
            pairs = make_pairs(
                read_studies(folder / "studies.parquet").filter(pl.col("split") == "train"),
                material.store,
                filter_sentences=variant.filter_sentences,
            )
            texts = (*pairs.texts, *(p for p in material.prompts if p not in pairs.texts))
            tell(f"{protocol}: {variant.name}: {len(texts)} texts ({WEAK})")
            if new := [text for text in texts if text not in vectors]:
                vectors |= dict(zip(new, sentence_features(new), strict=True))
            features = torch.from_numpy(np.stack([vectors[text] for text in texts]))
            for tower in TEXT_TOWERS:
                given = features if tower == "MiniLM" else None
                recipe, validation = choose(material, pairs, texts, given, variant)
                for seed in range(seeds):
                    config = configure(variant, recipe, seed)
                    about = {
                        "protocol": protocol,
                        "image": "ImageNet",
                        "text": tower,
                        "variant": variant.name,
                        "seed": seed,
                    }
                    row = run(
                        material,
                        pairs,
                        texts,
                        given,
                        config,
                        recipe[2],
                        out / "scores" / "-".join(map(str, about.values())),
                    )
                    rows.append(
                        about
                        | {"pairing": WEAK, "epochs": recipe[0], "rate": recipe[1], "components": recipe[2]}
                        | {"validation": validation}
                        | row
                    )
                    tell(f"{rows[-1]}")
                write_csv(pl.DataFrame(rows, infer_schema_length=None), out / "results.csv")
    text = summary(pl.DataFrame(rows, infer_schema_length=None))
    (out / "results.md").write_text(text, encoding="utf-8")
    print(text)


def summary(table: pl.DataFrame) -> str:
    """Markdown: one line a combination, mean ± standard deviation over seeds."""
    keys = ("protocol", "image", "text", "variant", "epochs", "rate", "components")
    columns = (*MEASURES, *VIEW_MEASURES)
    lines = [f"| {WEAK}: {' | '.join((*keys, *columns))} |", "|---" * (len(keys) + len(columns)) + "|"]
    for key, runs in table.group_by(*keys, maintain_order=True):
        lines.append(f"| {' | '.join((*map(str, key), *(mean_sd(runs[column]) for column in columns)))} |")
    return "\n".join(lines) + "\n"


def configure(variant: Variant, recipe: Recipe, seed: int) -> TrainConfig:
    """The default recipe with other epochs and rate; frozen features rule out augmentation."""
    base = TrainConfig(
        image_size=IMAGE_SIZE, augment=False, epochs=recipe[0], learning_rate=recipe[1], seed=seed
    )
    return dataclasses.replace(base, objective=variant.objective, filter_sentences=variant.filter_sentences)


def choose(
    material: Material, pairs: Pairs, texts: Sequence[str], features: Tensor | None, variant: Variant
) -> tuple[Recipe, float]:
    """The recipe with the best mean of worst-prompt normal and abnormal AUC on the validate split."""
    results = {}
    for recipe in RECIPES:
        model, tokens = fit(material, pairs, texts, features, configure(variant, recipe, 0), recipe[2])
        result = classify(score(model, material, texts, tokens, "validate"), material.data.labels)
        results[recipe] = ((result.worst_prompt_normal_auc or 0) + (result.abnormal_auc or 0)) / 2
    best = max(results, key=lambda recipe: results[recipe])
    return best, results[best]


def run(
    material: Material,
    pairs: Pairs,
    texts: Sequence[str],
    features: Tensor | None,
    config: TrainConfig,
    components: int,
    out: Path,
) -> dict[str, float | None]:
    """Trains and evaluates one model on the test split; a finished one is not run again."""
    finished = out / "row.json"
    if finished.is_file():
        return json.loads(finished.read_text(encoding="utf-8"))
    model, tokens = fit(material, pairs, texts, features, config, components)
    scores = score(model, material, texts, tokens, "test")
    result: Classification = classify(scores, material.data.labels)
    columns = {prompt: scores.of(prompt) for prompt in scores.prompts}
    write_csv(pl.DataFrame({"image_id": scores.image_ids} | columns), out / "scores.csv")
    row = {measure: getattr(result, measure) for measure in MEASURES} | by_view(material.folder, out)
    finished.write_text(json.dumps(row, indent=2), encoding="utf-8")
    return row


def fit(
    material: Material,
    pairs: Pairs,
    texts: Sequence[str],
    features: Tensor | None,
    config: TrainConfig,
    components: int,
) -> tuple[ProjectedTowers, tuple[Tensor, Tensor]]:
    """Trains the projections (and the text tower) with the loss of the recipe."""
    torch.manual_seed(config.seed)
    tokenizer = TextTokenizer.fit(pairs.texts)
    tokens = tokenizer(texts)
    rows = np.concatenate(pairs.images)
    model = ProjectedTowers(material.image_features, features, tokenizer, rows.tolist(), components)
    loss_of, optimizer = make_loss(config), make_optimizer(model, config)
    sampler = EpochSampler(pairs, config.batch_size, config.prompt_share, config.seed)
    for epoch in range(config.epochs):
        for number, batch in enumerate(sampler.epoch(epoch)):
            rate = learning_rate(epoch * len(sampler) + number, config.epochs * len(sampler), config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            unique, column = torch.unique(torch.from_numpy(batch.texts), return_inverse=True)
            logits = model(torch.from_numpy(batch.images), unique, tokens)[:, column]
            flags = torch.from_numpy(batch.normal), torch.from_numpy(batch.uncertain)
            loss = loss_of(logits, flags[0], uncertain=flags[1])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return model.eval(), tokens


@torch.inference_mode()
def score(
    model: ProjectedTowers,
    material: Material,
    texts: Sequence[str],
    tokens: tuple[Tensor, Tensor],
    split: str,
) -> Scores:
    """Logits of a split for all prompts."""
    rows = material.rows(split)
    asked = torch.tensor([texts.index(prompt) for prompt in material.prompts])
    logits = model(torch.tensor(rows), asked, tokens)
    embeddings = F.normalize(model.project_image(model.images[rows]), dim=-1)
    ids = tuple(material.store.image_ids[row] for row in rows)
    return Scores(ids, material.prompts, logits.numpy(), embeddings.numpy())
