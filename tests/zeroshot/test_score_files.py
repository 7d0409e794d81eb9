"""Scoring of files: keyed by id, unreadable ones listed, resumed part by part."""

import numpy as np
import pytest

from offclip.data.loader import ImageRef, load_pixels
from offclip.errors import DataError
from offclip.zeroshot import files
from offclip.zeroshot.files import score_files
from offclip.zeroshot.score import score_images

PROMPTS = ["There is a nodule.", "There is no finding."]


@pytest.fixture
def films(tmp_path, write_film):
    rng = np.random.default_rng(0)
    return [
        ImageRef(f"film {i}", write_film(tmp_path / f"{i}.png", rng.integers(0, 256, (40, 40), np.uint8)))
        for i in range(5)
    ]


def test_the_scores_are_those_of_images_in_memory(tiny_model, films):
    model, seen = tiny_model(), []
    scores, skipped = score_files(model, films, PROMPTS, part=2, on_progress=lambda *at: seen.append(at))
    store, _ = load_pixels(films, model.preprocess)
    expected = score_images(model, store, PROMPTS)
    assert scores.image_ids == expected.image_ids
    assert np.allclose(scores.logits, expected.logits, atol=1e-5)
    assert np.allclose(scores.embeddings, expected.embeddings, atol=1e-5)
    assert not skipped
    assert seen[-1] == (5, 5)


def test_a_film_that_cannot_be_read_has_no_scores(tiny_model, films):
    films[1].path.write_bytes(b"no film")
    films[2].path.unlink()
    scores, skipped = score_files(tiny_model(), films, PROMPTS, part=3)
    assert scores.image_ids == ("film 0", "film 3", "film 4")
    assert [entry.id for entry in skipped] == ["film 1", "film 2"]
    whole_part_gone, skipped = score_files(tiny_model(), films[1:4], PROMPTS, part=2)
    assert whole_part_gone.image_ids == ("film 3",)
    assert len(skipped) == 2
    with pytest.raises(DataError, match="None of 2 images can be read"):
        score_files(tiny_model(), films[1:3], PROMPTS)


def test_finished_parts_are_not_scored_again(tiny_model, films, tmp_path, monkeypatch):
    films[1].path.write_bytes(b"no film")
    model, keep = tiny_model(), tmp_path / "keep"
    scored = []
    whole = files._score
    monkeypatch.setattr(files, "_score", lambda *args: scored.append(len(args[2])) or whole(*args))
    first, _ = score_files(model, films, PROMPTS, keep=keep, part=2)
    assert scored == [2, 2, 1]
    last_part = max(keep.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    last_part.write_bytes(last_part.read_bytes()[:100])  # a damaged part is made again
    again, skipped = score_files(model, films, PROMPTS, keep=keep, part=2)
    assert scored == [2, 2, 1, 1]
    assert again.image_ids == first.image_ids
    assert np.array_equal(again.logits, first.logits)
    assert [entry.id for entry in skipped] == ["film 1"]
    score_files(model, films, PROMPTS, keep=keep, part=2, identity="other weights")
    score_files(model, films, PROMPTS[:1], keep=keep, part=2)
    assert scored[4:] == [2, 2, 1, 2, 2, 1]
