"""The compact image tower from scratch beside frozen MiniLM sentences: what a published text tower brings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from offclip.data.sampling import EpochSampler, Pairs
from offclip.evaluation.classification import Classification, classify
from offclip.models.dual_encoder import DualEncoder
from offclip.models.interface import TextFeatures
from offclip.models.registry import architecture
from offclip.models.tokenizer import TextTokenizer
from offclip.training.augment import augment, make_augmentation
from offclip.training.config import TrainConfig
from offclip.training.loop import batch_logits, learning_rate, make_optimizer
from offclip.training.objectives import make_loss
from offclip.zeroshot.score import Scores, score_images
from real_xray_pretrained import Material
from real_xray_runs import IMAGE_SIZE


class TextTable:
    """Stands where the tokenizer stands: a text becomes its one number in the table of features."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.position = {text: number for number, text in enumerate(texts)}

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(T, 1) numbers and a mask of ones."""
        numbers = torch.tensor([[self.position[text]] for text in texts])
        return numbers, torch.ones_like(numbers)


class FrozenText(nn.Module):
    """Frozen features, standardised, under a linear layer.

    Args:
        features: (U, G) one row a text.
        embed_dim: D, the size of the joint space.
    """

    def __init__(self, features: Tensor, embed_dim: int) -> None:
        super().__init__()
        self.features = (features - features.mean(dim=0)) / features.std(dim=0)
        self.project = nn.Linear(features.shape[1], embed_dim)

    def forward(self, numbers: Tensor, mask: Tensor) -> TextFeatures:
        """(T, 1) numbers -> pooled (T, D) features."""
        pooled = self.project(self.features[numbers[:, 0]])
        return TextFeatures(pooled, pooled.unsqueeze(1), mask.bool())


def fit_image_tower(
    material: Material, pairs: Pairs, texts: Sequence[str], features: Tensor, config: TrainConfig
) -> DualEncoder:
    """Trains the image tower and the projection of the sentences, as `offclip train` does."""
    torch.manual_seed(config.seed)
    model = DualEncoder(architecture(config.model, IMAGE_SIZE), TextTokenizer.fit(pairs.texts))
    model.text_tower = FrozenText(features, model.config.embed_dim)  # type: ignore[assignment]
    model.tokenizer = TextTable(texts)  # type: ignore[assignment]
    numbers, mask = model.tokenizer(pairs.texts)
    loss_of, optimizer, changes = make_loss(config), make_optimizer(model, config), make_augmentation()
    sampler = EpochSampler(pairs, config.batch_size, config.prompt_share, config.seed)
    model.train()
    for epoch in range(config.epochs):
        for number, batch in enumerate(sampler.epoch(epoch)):
            rate = learning_rate(epoch * len(sampler) + number, config.epochs * len(sampler), config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            squares = augment(material.store.batch(batch.images), changes, (config.seed, epoch, number))
            with torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_amx_tile_supported()):
                (logits,) = batch_logits(model, squares, batch, numbers, mask)
                uncertain = torch.from_numpy(batch.uncertain)
                loss = loss_of(logits, torch.from_numpy(batch.normal), uncertain=uncertain)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return model.eval()


def measure_image_tower(
    material: Material, pairs: Pairs, texts: Sequence[str], features: Tensor, config: TrainConfig
) -> tuple[Scores, Classification]:
    """Trains one model with the recipe of the from-scratch runs and scores the test split."""
    model = fit_image_tower(material, pairs, texts, features, dataclasses.replace(config, augment=True))
    rows = np.array(material.rows("test"))
    store = dataclasses.replace(
        material.store,
        image_ids=tuple(material.store.image_ids[row] for row in rows),
        squares=material.store.squares[rows],
        geometry=tuple(material.store.geometry[row] for row in rows),
    )
    scores = score_images(model, store, material.prompts)
    return scores, classify(scores, material.data.labels)
