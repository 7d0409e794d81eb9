"""Hugging Face's Trainer with OffClipLoss, on a CLIPModel.

    python examples/hugging_face_trainer.py

Needs transformers and accelerate. `CLIPModel.from_pretrained(NAME)` takes the place of the tiny one here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, Trainer, TrainingArguments

from films import LENGTH, NORMAL, SIZE, UNCERTAIN, Measured, measure, parser, prepared, show
from offclip.losses import OffClipLoss
from offclip.training.gather import AllGather

BATCH, LEARNING_RATE = 32, 1e-3


class OffClipTrainer(Trainer):
    """A Trainer whose batches have the column `label` beside the inputs of the model."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The negatives of a pair are the others of its batch: with several processes, of all of them.
        self.contrastive_loss = OffClipLoss(gather=AllGather())
        # CLIPModel takes any keyword; without this line the Trainer believes that it divides the loss by the
        # number of accumulated batches itself.
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any
    ) -> Any:
        """The loss of one batch; image_embeds and text_embeds have unit length."""
        label = inputs["label"]
        output = model(**{name: value for name, value in inputs.items() if name != "label"})
        loss = self.contrastive_loss(
            output.image_embeds,
            output.text_embeds,
            self.model.logit_scale.exp(),  # type: ignore[union-attr]
            normal=label == NORMAL,
            uncertain=label == UNCERTAIN,
        )
        return (loss, output) if return_outputs else loss


def collate(rows: list[tuple[Tensor, Tensor, int]]) -> dict[str, Tensor]:
    """A batch by the names that CLIPModel gives its inputs, and the label."""
    pixels, tokens, labels = zip(*rows, strict=True)
    return {
        "pixel_values": torch.stack(pixels),
        "input_ids": torch.stack(tokens),
        "label": torch.tensor(labels),
    }


def tiny_clip(vocabulary: int) -> CLIPModel:
    """Random weights; token 0 ends a sentence and fills it up."""
    tower = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": vocabulary, "max_position_embeddings": LENGTH, "pad_token_id": 0, "bos_token_id": 2}
    config = CLIPConfig(
        vision_config=tower | {"image_size": SIZE, "patch_size": 8},
        text_config=tower | text | {"eos_token_id": 0},
        projection_dim=64,
    )
    return CLIPModel(config)


def main(argv: Sequence[str] | None = None) -> tuple[Measured, Measured]:
    """Trains, prints and returns what was measured before and after."""
    arguments = parser(str(__doc__).splitlines()[0], steps=150).parse_args(argv)
    with prepared(arguments) as (films, out):
        model = tiny_clip(films.tokenizer.vocabulary_size)

        def logits(pixels: Tensor, tokens: Tensor) -> Tensor:
            model.eval()
            return model(input_ids=tokens, pixel_values=pixels).logits_per_image

        before = measure(logits, films)
        training = TrainingArguments(
            output_dir=str(out / "trainer"),
            max_steps=arguments.steps,
            per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            dataloader_drop_last=True,
            remove_unused_columns=False,  # or the label is taken away
            report_to="none",
            save_strategy="no",
            logging_steps=50,
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
            seed=arguments.seed,
        )
        OffClipTrainer(model, training, train_dataset=films.train, data_collator=collate).train()
        after = measure(logits, films)
    show(before, after)
    return before, after


if __name__ == "__main__":
    main()
