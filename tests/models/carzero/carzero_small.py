"""What the tests of scoring share: pictures and a tokenizer for the small geometry."""

import torch

from offclip.models.carzero.config import CarZeroConfig

CONFIG = CarZeroConfig.tiny()


def same(found: torch.Tensor, expected: torch.Tensor) -> bool:
    scale = max(1.0, float(expected.abs().max()))
    return found.shape == expected.shape and float((found - expected).abs().max()) <= 1e-5 * scale


class Store:
    """Pictures of the right size, as `PixelStore` gives them."""

    def __init__(self, size: int, count: int) -> None:
        self.image_ids = tuple(f"image-{number}" for number in range(count))
        generator = torch.Generator().manual_seed(0)
        self.squares = torch.randint(0, 255, (count, size, size), dtype=torch.uint8, generator=generator)

    def batch(self, rows: range) -> torch.Tensor:
        return self.squares[list(rows)]


class Words:
    """A tokenizer for the small geometry: one id a word."""

    max_tokens = CONFIG.slots
    preset = "plain"

    def __call__(self, texts):
        rows = [[101, *(112 + sum(map(ord, word)) % 900 for word in text.split()), 102] for text in texts]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        return ids, (ids != 0).long()

    def is_continuation(self, ids):
        return (ids % 7 == 3) & (ids >= 112)


PROMPTS = ["There is a nodule", "There is no finding", "Effusion", "There is a large left pleural effusion"]
