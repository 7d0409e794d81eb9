"""Insertion and deletion: a model whose logit is known cell by cell."""

import numpy as np
import pytest
import torch
from torch import nn

from offclip.errors import ConfigError, InputError
from offclip.grounding.faithfulness import (
    FaithfulnessOptions,
    area_under,
    cells_over_image,
    faithfulness,
    missing,
)
from offclip.images.geometry import Letterbox
from offclip.images.preprocess import Preprocess
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures

SIZE, CELLS = 16, 4
GEOMETRY = Letterbox.of(SIZE, SIZE, SIZE)
MEAN = FaithfulnessOptions(steps=16, random_orders=10, baseline="mean")


class Weighed(ClipModel):
    """The logit is the brightness of the cells, weighed: every cell adds its own part."""

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.preprocess = Preprocess(SIZE, mean=0.0, std=1.0)
        self.weights = nn.Parameter(torch.from_numpy(weights.ravel()).float())

    def encode_image(self, pixels):
        cells = nn.functional.avg_pool2d(pixels, SIZE // CELLS).flatten(1)
        return ImageFeatures(cells, cells.unsqueeze(-1), (CELLS, CELLS))

    def encode_text(self, input_ids, attention_mask):
        return TextFeatures(input_ids.float(), input_ids.float().unsqueeze(1), attention_mask.bool())

    def embed_texts(self, texts):
        return self.encode_text(torch.zeros(len(texts), 1), torch.ones(len(texts), 1))

    def similarity(self, image, text):
        return (image.pooled @ self.weights).unsqueeze(1).expand(-1, len(text.pooled))

    def heat_map(self, image, text):
        raise NotImplementedError


def square_and_model(seed=0):
    rng = np.random.default_rng(seed)
    square = rng.integers(0, 256, (SIZE, SIZE), np.uint8)
    model = Weighed(rng.normal(size=(CELLS, CELLS))).eval()
    grey = missing(square, "mean")
    block = SIZE // CELLS
    cells = (square / 255 - grey / 255).reshape(CELLS, block, CELLS, block).mean(axis=(1, 3))
    adds = cells * model.weights.detach().numpy().reshape(CELLS, CELLS)  # what each cell adds to the logit
    return square, model, adds, float((grey.mean() / 255) * model.weights.sum().item())


def _area(values, steps):
    return ((values[1:] + values[:-1]) / 2).sum() / steps


def test_the_curves_of_an_additive_model_are_sums_of_its_cells():
    square, model, adds, empty = square_and_model()
    heat = np.random.default_rng(5).permutation(16).reshape(4, 4).astype(np.float32)
    found = faithfulness(model, square, GEOMETRY, "x", heat, MEAN)
    in_order = adds.ravel()[np.argsort(-heat.ravel())]
    inserted = empty + np.concatenate([[0], np.cumsum(in_order)])
    assert found.insertion == pytest.approx(_area(inserted, 16), abs=1e-5)
    assert found.deletion == pytest.approx(_area(inserted[-1] - (inserted - empty), 16), abs=1e-5)


def test_groups_of_cells_change_together():
    square, model, adds, empty = square_and_model()
    heat = np.random.default_rng(5).permutation(16).reshape(4, 4).astype(np.float32)
    found = faithfulness(
        model, square, GEOMETRY, "x", heat, FaithfulnessOptions(steps=4, random_orders=1, baseline="mean")
    )
    in_order = adds.ravel()[np.argsort(-heat.ravel())]
    inserted = empty + np.concatenate([[0], np.cumsum(in_order.reshape(4, 4).sum(axis=1))])
    assert found.insertion == pytest.approx(_area(inserted, 4), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_true_map_beats_every_random_order_and_its_reverse_none(seed):
    square, model, adds, _ = square_and_model(seed)
    best = faithfulness(model, square, GEOMETRY, "x", adds, MEAN)
    assert (best.insertion_rank, best.deletion_rank) == (1, 1)
    assert best.insertion > best.random_insertion
    assert best.deletion < best.random_deletion
    worst = faithfulness(model, square, GEOMETRY, "x", -adds, MEAN)
    assert (worst.insertion_rank, worst.deletion_rank) == (0, 0)


def test_a_constant_map_is_a_random_order():
    square, model, _, _ = square_and_model()
    ranks = [
        faithfulness(
            model,
            square,
            GEOMETRY,
            "x",
            np.zeros((4, 4)),
            FaithfulnessOptions(steps=8, random_orders=10, baseline="mean", seed=seed),
        ).insertion_rank
        for seed in range(40)
    ]
    assert 0.4 < np.mean(ranks) < 0.6
    assert len(set(ranks)) > 5


def test_a_model_that_does_not_look_ties_with_every_order():
    square, _, adds, _ = square_and_model()
    found = faithfulness(Weighed(np.zeros((4, 4))).eval(), square, GEOMETRY, "x", adds, MEAN)
    assert (found.insertion_rank, found.deletion_rank) == (0.5, 0.5)
    assert found.insertion == found.random_insertion == 0


def test_cells_in_the_padding_stay_as_they_are():
    wide = Letterbox.of(height=8, width=16, size=SIZE)  # rows 4 to 12 of the square: two rows of cells
    assert cells_over_image(wide, 4, 4).tolist() == [[False] * 4, [True] * 4, [True] * 4, [False] * 4]
    square, _, _, _ = square_and_model()
    weights = np.zeros((4, 4))
    weights[0] = 5  # what only the padding shows
    found = faithfulness(Weighed(weights).eval(), square, wide, "x", weights, MEAN)
    assert found.insertion != found.deletion  # blank in one, whole in the other
    assert (found.insertion_rank, found.deletion_rank) == (0.5, 0.5)


def test_the_baselines_take_away_what_there_is_to_see():
    rng = np.random.default_rng(0)
    square = np.full((64, 64), 90, np.uint8)
    square[30:34, 30:34] = 250
    square = (square + rng.integers(0, 5, square.shape)).astype(np.uint8)
    assert np.ptp(missing(square, "mean")) == 0
    assert abs(float(missing(square, "mean").mean()) - square.mean()) <= 0.5
    blurred = missing(square, "blur")
    assert int(blurred.max()) - int(blurred.min()) < 40
    assert abs(blurred.mean() - square.mean()) < 2


def test_the_area_of_a_line():
    assert area_under(np.linspace(2, 4, 9)) == pytest.approx(3)


def test_maps_and_options_that_do_not_fit_are_refused():
    square, model, _, _ = square_and_model()
    with pytest.raises(InputError, match="3 x 4 cells"):
        faithfulness(model, square, GEOMETRY, "x", np.zeros((3, 4)))
    with pytest.raises(InputError, match="finite"):
        faithfulness(model, square, GEOMETRY, "x", np.full((4, 4), np.nan))
    with pytest.raises(ConfigError, match="at least 1"):
        FaithfulnessOptions(steps=0)
    with pytest.raises(ConfigError, match="blur or mean"):
        FaithfulnessOptions(baseline="black")  # type: ignore[arg-type]
