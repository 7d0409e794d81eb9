"""Frozen image features under a linear layer, beside frozen sentences or a text tower from scratch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from offclip.data.sampling import EpochSampler, Pairs
from offclip.evaluation.ablation import Variant
from offclip.evaluation.classification import classify
from offclip.models.heads import CosineHead
from offclip.models.interface import ImageFeatures, TextFeatures
from offclip.models.text_tower import CompactTextTower
from offclip.models.tokenizer import TextTokenizer
from offclip.training.config import TrainConfig
from offclip.training.loop import learning_rate, make_optimizer
from offclip.training.objectives import make_loss
from offclip.zeroshot.score import Scores
from real_xray_pretrained import Material
from real_xray_runs import IMAGE_SIZE

EMBED_DIM = 128
# Epochs, learning rate, principal components kept: chosen on the validate split. All 1,280 features overfit.
Recipe = tuple[int, float, int]
RECIPES: tuple[Recipe, ...] = ((10, 1e-3, 32), (30, 1e-3, 32), (10, 1e-3, 1280), (10, 1e-4, 1280))


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
