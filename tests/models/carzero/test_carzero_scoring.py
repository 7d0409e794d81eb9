"""Every fast way gives what the plain model gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from carzero_small import CONFIG, PROMPTS, Store, Words, same
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import ConfigError
from offclip.models.carzero import fast, folded
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.entries import image_entries, text_entries
from offclip.models.carzero.fast import FastFusion
from offclip.models.carzero.fixture import TINY_PROMPTS, make_pixels, make_prompts, make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.prompt_set import Kept, prompt_set
from offclip.models.carzero.scoring import (
    Scorer,
    ScoringOptions,
    images_into_sentences,
    sentences_into_images,
)
from offclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from offclip.models.interface import ImageFeatures, TextFeatures
from offclip.models.tokenizer import TextTokenizer
from offclip.zeroshot.score import score_images


@pytest.fixture(scope="module")
def model() -> CarZero:
    return CarZero.from_state_dict(make_weights(CONFIG, "scoring"), CONFIG)


@pytest.fixture(scope="module")
def image(model: CarZero) -> ImageFeatures:
    with torch.inference_mode():
        return model.encode_image(make_pixels(list(range(5)), CONFIG))


@pytest.fixture(scope="module")
def text(model: CarZero) -> TextFeatures:
    prompts = make_prompts("scoring", TINY_PROMPTS)
    with torch.inference_mode():
        return model.encode_text(prompts.input_ids, prompts.attention_mask, prompts.is_continuation)


def many(text: TextFeatures, count: int) -> TextFeatures:
    """`count` different texts: those of the fixture, turned a little."""
    rows = torch.arange(count) % len(text.pooled)
    turn = 1 + 0.3 * torch.arange(count).unsqueeze(1) / count * torch.linspace(-1, 1, text.pooled.shape[-1])
    return TextFeatures(text.pooled[rows] * turn, text.tokens[rows] * turn.unsqueeze(1), text.mask[rows])


def some(image: ImageFeatures, count: int) -> ImageFeatures:
    return ImageFeatures(image.pooled[:count], image.local[:count], image.grid)


@pytest.mark.parametrize("sentences", [1, 2, 6, 70])
@pytest.mark.parametrize("images", [1, 2, 5])
@torch.inference_mode()
def test_logits_are_those_of_the_plain_model(model, image, text, sentences, images):
    image, text = some(image, images), many(text, sentences)
    scorer = Scorer(FastFusion(model.fusion), text, CONFIG)
    expected = model.similarity(image, text)
    assert sentences * images == 1 or expected.std() > 0.02  # or else nothing would be noticed
    assert same(scorer(image), expected)
    assert same(scorer.i2t(image), model.i2t(image, text))
    assert same(scorer.t2i(image), model.t2i(image, text))


@pytest.mark.parametrize("pairs", [1, 3, 7, 1000])
@pytest.mark.parametrize("fold", [True, False])
@torch.inference_mode()
def test_sentences_into_images_in_any_chunks(model, image, text, pairs, fold):
    text, fusion = many(text, 8), FastFusion(model.fusion)
    prompts = prompt_set(fusion, text, CONFIG, 1 << 20)
    assert same(sentences_into_images(fusion, prompts, image, CONFIG, pairs, fold), model.i2t(image, text))


@pytest.mark.parametrize("pairs", [1, 3, 7, 1000])
@pytest.mark.parametrize("kept", list(Kept))
@torch.inference_mode()
def test_images_into_sentences_in_any_chunks(model, image, text, pairs, kept):
    text, fusion = many(text, 8), FastFusion(model.fusion)
    prompts = prompt_set(fusion, text, CONFIG, 1 << 20, kept)
    assert prompts.kept is kept
    assert len(prompts.parts) > 1  # short sentences apart from long ones
    assert same(images_into_sentences(fusion, prompts, image, pairs), model.t2i(image, text))


@given(lengths=st.lists(st.integers(2, CONFIG.slots), min_size=1, max_size=9), memory=st.integers(2, 1 << 21))
@settings(derandomize=True, deadline=None, max_examples=20)
@torch.inference_mode()
def test_any_lengths_in_any_memory(model, image, lengths, memory):
    generator = torch.Generator().manual_seed(sum(lengths))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    tokens = torch.randn(*mask.shape, CONFIG.width, generator=generator) * mask.unsqueeze(-1)
    text = TextFeatures(tokens.sum(dim=1) / CONFIG.slots, tokens, mask)
    assert same(Scorer(FastFusion(model.fusion), text, CONFIG, memory)(image), model.similarity(image, text))


@torch.inference_mode()
def test_less_memory_keeps_less(model, text):
    def kept(memory: int) -> Kept:
        return prompt_set(FastFusion(model.fusion), short, CONFIG, memory).kept

    short = TextFeatures(text.pooled[:3], text.tokens[:3, :5], text.mask[:3, :5])
    assert [kept(1 << 20), kept(60_000), kept(1000)] == [Kept.FOLDED, Kept.PROJECTED, Kept.ENTRIES]


@torch.inference_mode()
def test_what_is_kept_takes_what_was_counted(model, text):
    fusion = FastFusion(model.fusion)
    entries, bias = text_entries(text, CONFIG.slots)
    entries = fusion.normed(entries)
    count = entries.shape[:2]
    taken = {
        "folded": fusion.fold(entries, bias),
        "projected": fusion.project(entries, bias),
    }
    sizes = {
        name: sum(part.numel() * 4 for part in (*memory.keys, *memory.values))
        for name, memory in taken.items()
    }
    assert sizes == {
        "folded": folded.folded_bytes(*count, CONFIG),
        "projected": folded.projected_bytes(*count, CONFIG),
    }


def test_folding_is_chosen_for_few_queries_and_short_sentences():
    published = CarZeroConfig()
    few = [folded.fold_queries(count, 197, published) for count in range(1, 400)]
    assert few == sorted(few, reverse=True)  # up to a number, and never beyond it
    assert 60 < sum(few) < 130
    assert folded.fold_entries(99, published)
    assert not folded.fold_entries(300, published)


@torch.inference_mode()
def test_a_mistake_in_the_algebra_would_be_noticed(model, image, text, monkeypatch):
    """Each fact that the fast way rests on, left out once."""
    plain = model.similarity(image, text)

    def left_out(norm, weight, bias):
        return weight, bias

    monkeypatch.setattr(fast, "_behind", left_out)
    assert not same(Scorer(FastFusion(model.fusion), text, CONFIG)(image), plain)
    monkeypatch.undo()
    fusion = FastFusion(model.fusion)
    entries, bias = text_entries(text, CONFIG.slots)
    no_slots = fusion.fold(fusion.normed(entries), bias.clamp(max=0))
    queries = fusion.queries(image.pooled)
    assert not same(fusion.ask(queries, no_slots).T, model.t2i(image, text))


@torch.inference_mode()
def test_the_fast_decoder_is_as_exact_as_the_plain_one(model, image, text):
    """In float64 nothing but the last digits differs (the logits themselves come out in float32)."""
    exact = CarZero.from_state_dict(make_weights(CONFIG, "scoring"), CONFIG).double()
    wide = ImageFeatures(image.pooled.double(), image.local.double(), image.grid)
    text = TextFeatures(text.pooled.double(), text.tokens.double(), text.mask)
    fusion, memory = FastFusion(exact.fusion), image_entries(wide)
    for logits in (
        fusion.ask_bare(fusion.queries(text.pooled), fusion.normed(memory)),
        fusion.ask_once(fusion.queries(text.pooled), fusion.normed(memory)),
    ):
        assert (logits - exact.i2t(wide, text)).abs().max() < 5e-7


def test_training_goes_on_beside_a_scorer(model, image, text):
    scorer = Scorer(FastFusion(model.fusion), text, CONFIG)
    before = scorer(image)
    with torch.no_grad():
        kept = model.fusion.mlp_head["9"].bias.clone()
        model.fusion.mlp_head["9"].bias += 1
        changed = Scorer(FastFusion(model.fusion), text, CONFIG)(image)
        model.fusion.mlp_head["9"].bias.copy_(kept)
    assert same(scorer(image), before)
    assert same(changed, before + 1)


def with_words(model: CarZero) -> CarZero:
    model.tokenizer = Words()
    return model


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_score_images_goes_the_fast_way(model, batch_size, monkeypatch):
    store = Store(CONFIG.image_size, 5)
    model = with_words(model)
    with torch.inference_mode():
        text = model.embed_texts(PROMPTS)
        features = model.encode_image(model.preprocess.normalise(store.squares))
        expected = model.similarity(features, text)
    monkeypatch.setattr(CarZero, "similarity", None)  # it is not asked
    scores = score_images(model, store, PROMPTS, batch_size=batch_size)
    assert same(torch.from_numpy(scores.logits), expected)


def test_score_images_of_a_dual_encoder_is_what_it_was():
    tokenizer = TextTokenizer.fit(PROMPTS)
    config = DualEncoderConfig(image_width=8, embed_dim=32, text_width=32)
    other = DualEncoder(config, tokenizer).eval()
    store = Store(config.image_size, 3)
    with torch.inference_mode():
        features = other.encode_image(other.preprocess.normalise(store.squares))
        expected = other.similarity(features, other.embed_texts(PROMPTS))
    assert np.array_equal(score_images(other, store, PROMPTS).logits, expected.numpy())


def test_a_large_batch_is_encoded_in_parts(model):
    pixels = make_pixels(list(range(19)), CONFIG)
    with torch.inference_mode():
        whole = model.encode_image(pixels)
        single = torch.cat([model.encode_image(pixel[None]).pooled for pixel in pixels])
    assert whole.local.shape[:2] == (19, 16)
    assert same(whole.pooled, single)


@pytest.mark.parametrize(
    "wrong",
    [
        {"precision": "fp8"},
        {"memory": 0},
        {"cache_bytes": -1},
        {"compile": True, "cuda_graphs": True},
    ],
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ConfigError) as refused:
        ScoringOptions(**wrong)
    assert refused.value.remedy


def test_options_hold_a_folder():
    assert ScoringOptions(cache=Path("cache")).cache == Path("cache")
