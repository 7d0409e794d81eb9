"""Two of the losses are open_clip's: values and gradients."""

from __future__ import annotations

import pytest
import torch

open_clip = pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")

from offclip.losses import InfoNceLoss, OffClipLoss, SigLipLoss  # noqa: E402

NORMAL = torch.arange(12) % 3 == 0


def leaves(dtype: torch.dtype, bias: bool) -> dict[str, torch.Tensor]:
    features = torch.randn(2, 12, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    image, text = torch.nn.functional.normalize(features, dim=-1)
    arguments = {"image_features": image, "text_features": text, "logit_scale": torch.tensor(14.3)}
    if bias:
        arguments["logit_bias"] = torch.tensor(-10.0)
    return {name: value.detach().to(dtype).requires_grad_() for name, value in arguments.items()}


@pytest.mark.parametrize(
    ("ours", "theirs", "bias"),
    [
        (InfoNceLoss(), open_clip.ClipLoss(), False),
        (InfoNceLoss(), open_clip.ClipLoss(), True),
        (SigLipLoss(), open_clip.loss.SigLipLoss(), True),
    ],
    ids=["clip", "clip with a bias", "siglip"],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
@pytest.mark.parametrize("output_dict", [False, True])
def test_values_and_gradients(ours, theirs, bias, dtype, tolerance, output_dict):
    results = []
    for loss in (ours, theirs):
        arguments = leaves(dtype, bias)
        value = loss(**arguments, output_dict=output_dict)
        total = value["contrastive_loss"] if output_dict else value
        total.backward()
        results.append([total.detach(), *(leaf.grad for leaf in arguments.values())])
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)


def test_positions_are_theirs():
    image, text, scale, bias = leaves(torch.float64, True).values()
    ours, theirs = InfoNceLoss(), open_clip.ClipLoss()
    torch.testing.assert_close(ours(image, text, scale, bias), theirs(image, text, scale, bias))
    parts = OffClipLoss()(image, text, scale, bias, True, normal=NORMAL)
    assert set(parts) == {"off_diagonal_loss", "abnormal_infonce_loss"}


def test_the_output_of_a_model_is_taken():
    vision = {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 8, "vocab_size": 20, "width": 32, "heads": 2, "layers": 1}
    model = open_clip.CLIP(16, vision, text, init_logit_bias=-5.0, output_dict=True)
    output = model(torch.randn(12, 3, 16, 16), torch.randint(20, (12, 8)))
    value = OffClipLoss()(**output, normal=NORMAL)
    logits = model.logit_scale.exp() * output["image_features"] @ output["text_features"].T + model.logit_bias
    torch.testing.assert_close(value, OffClipLoss()(logits, NORMAL))
