"""What an epoch shows: filtering, determinism, resuming, and the share of prompts."""

from pathlib import Path

import numpy as np
import pytest

from offclip.data.loader import ImageRef, load_pixels
from offclip.data.sampling import Batch, EpochSampler, make_pairs
from offclip.errors import ConfigError, DataError
from offclip.images.preprocess import Preprocess


@pytest.fixture(scope="module")
def store(studies):
    images = [ImageRef(i["image_id"], Path(i["path"])) for row in studies["images"] for i in row]
    return load_pixels(images, Preprocess(16))[0]


@pytest.fixture(scope="module")
def pairs(studies, store):
    return make_pairs(studies, store, filter_sentences=True)


def same(a: Batch, b: Batch) -> bool:
    return all(
        np.array_equal(getattr(a, part), getattr(b, part))
        for part in ("images", "texts", "normal", "uncertain")
    )


def test_a_pair_holds_its_own_image_sentences_and_label(studies, store, pairs):
    assert len(pairs) == len(studies)
    for row, images, sentences, normal in zip(
        studies.iter_rows(named=True), pairs.images, pairs.sentences, pairs.normal, strict=True
    ):
        assert [store.image_ids[i] for i in images] == [image["image_id"] for image in row["images"]]
        assert normal == (row["label"] == "normal")
        kept = [(s["text"], s["prompt"]) for s in row["sentences"] if s["label"] == row["label"]]
        assert [tuple(pairs.texts[t] for t in choice) for choice in sentences] == kept


def test_without_filtering_all_sentences_stay_and_the_label_is_the_same(studies, store, pairs):
    whole = make_pairs(studies, store, filter_sentences=False)
    assert [len(s) for s in whole.sentences] == studies["sentences"].list.len().to_list()
    assert sum(map(len, whole.sentences)) > sum(map(len, pairs.sentences))
    assert np.array_equal(whole.normal, pairs.normal)


def test_texts_are_unique(pairs):
    assert len(set(pairs.texts)) == len(pairs.texts)


def test_a_study_without_a_readable_frontal_image_or_sentence_is_left_out(make_studies, store):
    known = store.image_ids[0]
    images = [
        [{"image_id": known, "path": "a", "view": "PA"}],
        [{"image_id": "unreadable", "path": "b", "view": "PA"}],
        [{"image_id": store.image_ids[1], "path": "c", "view": "lateral"}],
    ]
    pairs = make_pairs(make_studies(images=images), store, filter_sentences=True)
    assert [i.tolist() for i in pairs.images] == [[0]]
    with pytest.raises(DataError, match="readable frontal image and a sentence"):
        make_pairs(make_studies(images=images, sentences=[[], [], []]), store, filter_sentences=True)


def test_an_uncertain_pair_is_flagged_and_not_normal(make_studies, store):
    images = [[{"image_id": i, "path": i, "view": "PA"}] for i in store.image_ids[:3]]
    sentence = {"text": "Possible mass.", "label": "uncertain", "reason": "", "prompt": "There is a mass."}
    table = make_studies(images=images, label=["uncertain"] * 3, sentences=[[sentence]] * 3)
    pairs = make_pairs(table, store, filter_sentences=True)
    assert pairs.uncertain.all()
    assert not pairs.normal.any()


def test_an_epoch_is_a_function_of_seed_and_epoch(pairs):
    first = list(EpochSampler(pairs, 16, seed=3).epoch(5))
    again = list(EpochSampler(pairs, 16, seed=3).epoch(5))
    assert all(map(same, first, again))
    for other in (EpochSampler(pairs, 16, seed=4).epoch(5), EpochSampler(pairs, 16, seed=3).epoch(6)):
        assert not any(map(same, first, other))


@pytest.mark.parametrize("start", [0, 1, 4, 7])
def test_resuming_gives_the_remaining_batches(pairs, start):
    sampler = EpochSampler(pairs, 16)
    whole, rest = list(sampler.epoch(2)), list(sampler.epoch(2, start=start))
    assert len(rest) == len(sampler) - start
    assert all(map(same, whole[start:], rest))


def test_an_epoch_shows_every_study_once_at_most(pairs):
    sampler = EpochSampler(pairs, 16)
    shown = np.concatenate([batch.images for batch in sampler.epoch(0)])
    assert len(shown) == len(set(shown)) == len(pairs) // 16 * 16
    shown = np.concatenate([batch.images for batch in EpochSampler(pairs, 1000).epoch(0)])
    assert len(shown) == len(pairs)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.5])
def test_prompt_share_decides_the_form(pairs, share):
    form = [{int(s[column]) for sentences in pairs.sentences for s in sentences} for column in (0, 1)]
    sampler = EpochSampler(pairs, 20, prompt_share=share)
    drawn = {int(t) for epoch in range(3) for batch in sampler.epoch(epoch) for t in batch.texts}
    assert bool(drawn & (form[0] - form[1])) == (share < 1)
    assert bool(drawn & (form[1] - form[0])) == (share > 0)


def test_a_drawn_text_belongs_to_the_study_of_the_drawn_image(pairs):
    owner = {int(image): study for study, images in enumerate(pairs.images) for image in images}
    for batch in EpochSampler(pairs, 16).epoch(1):
        for image, text, normal in zip(batch.images, batch.texts, batch.normal, strict=True):
            study = owner[int(image)]
            assert text in pairs.sentences[study]
            assert normal == pairs.normal[study]


@pytest.mark.parametrize(
    ("batch_size", "share"), [(1, 0.5), (0, 0.5), (8, -0.1), (8, 1.1), (8, float("nan"))]
)
def test_settings_out_of_range_are_refused(pairs, batch_size, share):
    with pytest.raises(ConfigError, match=r"batch_size|prompt_share"):
        EpochSampler(pairs, batch_size, share)
