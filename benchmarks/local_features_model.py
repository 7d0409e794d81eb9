"""A small CLIP whose image tower ends in blocks of a vision transformer, trained on drawn films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from offclip.data.sampling import EpochSampler
from offclip.images.preprocess import Preprocess
from offclip.losses import averaged
from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig, ImageTower, TextTower
from offclip.models.adapters.last_block import last_block_cells
from offclip.models.image_tower import ResidualBlock
from offclip.models.interface import ImageFeatures, TextFeatures
from offclip.models.text_tower import CompactTextTower
from offclip.models.tokenizer import TextTokenizer
from offclip.training import TrainConfig
from offclip.training.augment import augment, make_augmentation
from offclip.training.data import load_training_data
from offclip.training.features import batch_logits
from offclip.training.loop import tokenise
from offclip.training.objectives import make_loss
from offclip.training.optimizer import learning_rate, make_optimizer, set_rate
from offclip.training.state import RunFolder

SIDE, WIDTH, BLOCKS, HEADS, JOINT = 64, 96, 2, 4, 96


class StemTower(ImageTower):
    """Residual convolutions to 8 x 8 cells, then two blocks of CLIP as transformers has them.

    Convolutions first, because a transformer on bare patches learns next to nothing from a few thousand films
    (Xiao et al., Early convolutions help transformers see better, NeurIPS 2021); the pooled vectors are
    centred for the reason that `CompactImageTower` gives. Pooled is a class token, or the mean of the cells.
    """

    def __init__(self, pooling: str, local: str = "values") -> None:
        from transformers import CLIPVisionConfig
        from transformers.models.clip.modeling_clip import CLIPEncoder

        super().__init__()
        self.pooling, self.local = pooling, local
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTH // 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH // 4),
            nn.ReLU(),
            ResidualBlock(WIDTH // 4, WIDTH // 2, 2),
            ResidualBlock(WIDTH // 2, WIDTH, 2),
            nn.BatchNorm2d(WIDTH),
        )
        config: Any = CLIPVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_attention_heads=HEADS,
            num_hidden_layers=BLOCKS,
        )
        config._attn_implementation = "sdpa"
        self.layers = CLIPEncoder(config).layers
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 65, WIDTH) * 0.02)
        self.norm, self.centre = nn.LayerNorm(WIDTH), nn.BatchNorm1d(WIDTH)
        self.project = nn.Linear(WIDTH, JOINT)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The stem and the blocks."""
        return (self.stem, *self.layers)

    @property
    def cam_layer(self) -> nn.Module:
        """The last block whose cells have a say."""
        return self.layers[-2 if self.pooling == "token" else -1]

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 3, 64, 64) -> 8 x 8 cells."""
        cells = self.stem(pixels).flatten(2).transpose(1, 2)
        hidden = torch.cat([self.token.expand(len(cells), -1, -1), cells], dim=1) + self.position
        *before, last = self.layers
        for block in before:
            hidden = last_block_cells(block, hidden, "tokens")
        tokens = last_block_cells(last, hidden, "tokens")
        normed = self.norm(tokens)
        pooled = self.centre(normed[:, 0] if self.pooling == "token" else normed[:, 1:].mean(dim=1))
        if self.training:
            local = self.project(normed[:, 1:])  # nobody looks at it
        else:
            read = self.norm(last_block_cells(last, hidden, self.local)[:, 1:])
            local = self.project(self.centre(read.flatten(0, 1)).view_as(read))
        return ImageFeatures(self.project(pooled), local, (8, 8))


class Words(TextTower):
    """The compact text tower."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.inner = CompactTextTower(tokenizer.vocabulary_size, tokenizer.max_tokens, 64, 2, JOINT)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its layers."""
        return tuple(self.inner.encoder.layers)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """As every text tower."""
        return self.inner(input_ids, attention_mask)


def build(pooling: str, texts: Sequence[str], seed: int) -> AdaptedClip:
    """With random weights."""
    torch.manual_seed(seed)
    tokenizer = TextTokenizer.fit(texts)
    preprocess = Preprocess(size=SIDE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    config = AdaptedConfig("benchmark", "benchmark", JOINT)
    return AdaptedClip(config, StemTower(pooling), Words(tokenizer), preprocess, tokenizer, log_scale=2.3)


def trained(pooling: str, seed: int, studies: Path, out: Path, epochs: int, rate: float) -> AdaptedClip:
    """Trained with OFF-CLIP as the training loop does it; weights that are there are taken."""
    out.mkdir(parents=True, exist_ok=True)
    config = TrainConfig(epochs=epochs, learning_rate=rate, seed=seed, image_size=SIDE, precision="fp32")
    preprocess = Preprocess(size=SIDE)
    data = load_training_data(studies, config, preprocess, RunFolder(out))
    model = build(pooling, data.train.texts, seed)
    file = out / "weights.safetensors"
    if file.is_file():
        model.load_state_dict(load_file(file))
        return model.eval()
    ids, mask = tokenise(model, data.train.texts)
    sampler = EpochSampler(data.train, config.batch_size, config.prompt_share, seed)
    criterion, optimizer, augmentation = make_loss(config), make_optimizer(model, config), make_augmentation()
    steps = epochs * len(sampler)
    model.train()
    for epoch in range(epochs):
        for number, batch in enumerate(sampler.epoch(epoch, 0)):
            set_rate(optimizer, learning_rate(epoch * len(sampler) + number, steps, config))
            squares = augment(data.store.batch(batch.images), augmentation, (seed, epoch, number))
            logits = batch_logits(model, squares, batch, ids, mask)
            flags = {"normal": torch.from_numpy(batch.normal), "uncertain": torch.from_numpy(batch.uncertain)}
            optimizer.zero_grad(set_to_none=True)
            averaged(criterion, logits, **flags, identical=None).backward()
            optimizer.step()
    save_file(model.state_dict(), file)
    return model.eval()
