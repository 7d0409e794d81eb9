"""Hugging Face's Trainer with our loss."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason="needs 'offclip[hf]'")
pytest.importorskip("accelerate", reason="needs accelerate")

import hugging_face_trainer as example
from films import LENGTH, SIZE
from offclip.losses import feature_logits, off_clip_loss


def test_the_loss_of_a_batch(tmp_path):
    torch.manual_seed(0)
    model = example.tiny_clip(50)
    tokens = torch.randint(1, 50, (5, LENGTH))
    tokens[:, -1] = 0
    rows = list(zip(torch.randn(5, 3, SIZE, SIZE), tokens, [1, 0, 2, 0, 1], strict=True))
    trainer = example.OffClipTrainer(
        model, example.TrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    )
    batch = example.collate(rows)
    loss, output = trainer.compute_loss(model, batch, return_outputs=True)
    logits = feature_logits(output.image_embeds, output.text_embeds, model.logit_scale.exp())
    torch.testing.assert_close(logits, output.logits_per_image)
    normal = torch.tensor([True, False, False, False, True])
    uncertain = torch.tensor([False, False, True, False, False])
    torch.testing.assert_close(loss, off_clip_loss(logits, normal, uncertain=uncertain))
    assert trainer.compute_loss(model, batch) == loss  # the batch was left whole


@pytest.mark.slow
def test_it_learns(run_example, learns, marked):
    learns(run_example("hugging_face_trainer.py", "--steps", 60, "--data", marked))
