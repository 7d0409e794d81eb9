"""Small models for tests of refining; the transformer lists its projection first, as open_clip does."""

import torch
from torch import Tensor, nn

from offclip.images.preprocess import Preprocess
from offclip.models import TextTokenizer
from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig, ImageTower, TextTower
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.model import CarZero
from offclip.models.interface import ImageFeatures, TextFeatures

TEXTS = ["There is no finding.", "There is a nodule of right lung.", "There is pleural effusion."] * 2
SENTENCES = [
    "There is no finding.", "There is a nodule.", "There is pleural effusion of left lung base and more.",
    "Clear.", "There is an old fracture of left clavicle.",
]  # fmt: skip
WIDTH, DIM, SIZE = 16, 8, 16


class Block(nn.Module):
    """Attention of torch and two linear layers, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Dropout(0.2), nn.Linear(WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Vit(ImageTower):
    """The projection is a parameter of the tower itself, listed before the blocks and used behind them."""

    def __init__(self, blocks: int = 3, fresh: bool = False) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(16, WIDTH) * 0.1)
        self.proj = nn.Parameter(torch.randn(WIDTH, DIM) * 0.2)
        self.norm = nn.LayerNorm(WIDTH)
        self.patch = nn.Conv2d(3, WIDTH, 4, 4)
        self.layers = nn.ModuleList(Block() for _ in range(blocks))
        self.extra = nn.Linear(DIM, DIM)
        self.is_fresh = fresh

    @property
    def blocks(self):
        return list(self.layers)

    @property
    def fresh(self):
        return [self.extra] if self.is_fresh else []

    @property
    def cam_layer(self):
        return self.layers[-1]

    def forward(self, pixels: Tensor) -> ImageFeatures:
        x = self.patch(pixels).flatten(2).transpose(1, 2) + self.position
        for layer in self.layers:
            x = layer(x)
        cells = self.extra(self.norm(x) @ self.proj)
        return ImageFeatures(cells.mean(dim=1), cells, (4, 4))


class Words(TextTower):
    """A transformer whose result does not depend on padding."""

    def __init__(self, vocabulary: int, blocks: int = 2) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(blocks))
        self.project = nn.Linear(WIDTH, DIM)

    @property
    def blocks(self):
        return list(self.layers)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        mask = attention_mask.bool()
        words = self.token(input_ids).reshape(-1, 1, WIDTH)  # each word for itself: padding has no say
        for layer in self.layers:
            words = layer(words)
        tokens = self.project(words).view(*input_ids.shape, DIM)
        weight = mask.to(tokens.dtype).unsqueeze(-1)
        return TextFeatures((tokens * weight).sum(1) / weight.sum(1), tokens, mask)


def make_adapted(fresh: bool = False, seed: int = 0) -> AdaptedClip:
    torch.manual_seed(seed)
    tokenizer = TextTokenizer.fit(TEXTS)
    config = AdaptedConfig(family="none", source="test", embed_dim=DIM)
    preprocess = Preprocess(size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3)
    towers = Vit(fresh=fresh), Words(tokenizer.vocabulary_size)
    return AdaptedClip(config, *towers, preprocess, tokenizer, log_scale=2.0).eval()


class WholeWords(TextTokenizer):
    """A tokenizer none of whose pieces goes on with a word, for CARZero."""

    def is_continuation(self, input_ids: Tensor) -> Tensor:
        return torch.zeros_like(input_ids, dtype=torch.bool)


def make_carzero(dropout: float = 0.1) -> CarZero:
    torch.manual_seed(0)
    model = CarZero(CarZeroConfig.tiny(), dropout)
    model.tokenizer = WholeWords.from_json(TextTokenizer.fit(SENTENCES * 2).to_json())
    nn.init.normal_(model.image_tower.pos_embed, std=0.2)  # a published file has sines and cosines there
    return model
