"""Scores are keyed by image id and prompt."""

import numpy as np
import pytest
import torch

from offclip.data.loader import PixelStore
from offclip.errors import InputError
from offclip.images.geometry import Letterbox
from offclip.zeroshot import NORMAL_PROMPTS, PAPER_NORMAL_PROMPT, finding_prompt, score_images

PROMPTS = ["There is a nodule.", "There is no finding.", "There is pleural effusion."]


def store(order=(0, 1, 2, 3, 4)) -> PixelStore:
    squares = np.random.default_rng(0).integers(0, 256, (5, 32, 32), np.uint8)
    geometry = tuple(Letterbox.of(32, 32, 32) for _ in order)
    return PixelStore(tuple(f"film {i}" for i in order), squares[list(order)], geometry)


@pytest.mark.parametrize("head", ["cosine", "cross-attention"])
def test_scores_are_the_models_logits(tiny_model, head):
    model = tiny_model(head)
    scores = score_images(model, store(), PROMPTS)
    pixels = model.preprocess.normalise(store().batch([3]))
    with torch.inference_mode():
        expected = model.similarity(model.encode_image(pixels), model.embed_texts(PROMPTS))[0]
    assert scores.logits.shape == (5, 3)
    assert np.allclose(scores.logits[3], expected, atol=1e-5)
    assert scores.of(PROMPTS[2])[3] == scores.logits[3, 2]
    assert np.allclose(np.linalg.norm(scores.embeddings, axis=1), 1, atol=1e-5)


def test_an_image_has_its_score_whatever_its_place_and_batch(tiny_model):
    model, seen = tiny_model(), []
    one = score_images(model, store(), PROMPTS)
    other = score_images(
        model, store((4, 2, 0, 3, 1)), PROMPTS[::-1], batch_size=2, on_progress=lambda *at: seen.append(at)
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]
    for prompt in PROMPTS:
        a = dict(zip(one.image_ids, one.of(prompt), strict=True))
        b = dict(zip(other.image_ids, other.of(prompt), strict=True))
        assert a.keys() == b.keys()
        assert all(abs(a[i] - b[i]) < 1e-5 for i in a)
        assert len({round(float(v), 4) for v in a.values()}) > 1


def test_a_model_in_training_mode_is_refused(tiny_model):
    with pytest.raises(InputError, match="training mode") as caught:
        score_images(tiny_model().train(), store(), PROMPTS)
    assert "eval()" in caught.value.remedy


@pytest.mark.parametrize("prompts", [["a nodule", "a nodule"], [], ["a nodule", " "]])
def test_doubled_and_empty_prompts_are_refused(tiny_model, prompts):
    with pytest.raises(InputError):
        score_images(tiny_model(), store(), prompts)


def test_the_fixed_prompts():
    assert PAPER_NORMAL_PROMPT == NORMAL_PROMPTS[0] == "There is no finding."
    assert len(set(NORMAL_PROMPTS)) == 5
    assert finding_prompt("Pleural_Effusion") == finding_prompt("pleural effusion")
