"""open_clip's own loop with our losses."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

open_clip = pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")

import open_clip_training as example  # noqa: E402
from films import LENGTH, NORMAL, SIZE, UNCERTAIN  # noqa: E402
from offclip.losses import InfoNceLoss, OffClipLoss, SigLipLoss  # noqa: E402

VOCABULARY = 50


class Numbered(Dataset):
    """Pair i has films and sentences of its own, and a label that follows from i."""

    def __len__(self) -> int:
        return 96

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        generator = torch.Generator().manual_seed(index)
        pixels = torch.randn(3, SIZE, SIZE, generator=generator)
        pixels[0, 0, 0] = index
        tokens = torch.randint(1, VOCABULARY, (LENGTH,), generator=generator)
        tokens[-1] = 0
        return pixels, tokens, index * 7 % 3


class WithoutLabels(Numbered):
    """What open_clip itself trains on."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return super().__getitem__(index)[:2]


def trained(model: nn.Module, data: Dataset, loss: nn.Module, **options) -> nn.Module:
    torch.manual_seed(1)
    # SGD: it does not turn rounding errors of small gradients into whole steps, as Adam does.
    optimizer = torch.optim.SGD(model.parameters(), lr=example.LEARNING_RATE, momentum=0.9)
    example.train(model, data, loss, optimizer, **options)
    return model


@pytest.mark.parametrize("accum_freq", [1, 3])
def test_flags_arrive_beside_their_pairs(accum_freq):
    class Films(nn.Module):
        """Features that say which pair they are of."""

        def __init__(self) -> None:
            super().__init__()
            self.logit_scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, images, tokens):
            assert tokens.shape[1] == LENGTH
            number = images[:, 0, :1, 0] * self.logit_scale.detach()
            return {"image_features": number, "text_features": number, "logit_scale": self.logit_scale.exp()}

    seen = []

    class Recorder(nn.Module):
        def forward(self, image_features, text_features, logit_scale, normal, uncertain, output_dict):
            seen.append((image_features[:, 0].round().long(), normal, uncertain))
            return {"loss_of_nothing": logit_scale * 0}

    trained(
        example.WithFlags(Films()),
        example.LabelledTokens(Numbered()),
        Recorder(),
        steps=2,
        accum_freq=accum_freq,
    )
    assert len(seen) == 2 * accum_freq
    assert sum(len(numbers) for numbers, _, _ in seen) == 2 * accum_freq**2 * example.BATCH
    for numbers, normal, uncertain in seen:
        assert torch.equal(normal, numbers * 7 % 3 == NORMAL)
        assert torch.equal(uncertain, numbers * 7 % 3 == UNCERTAIN)
        assert not torch.equal(numbers, numbers.sort().values)  # the loader shuffled


@pytest.mark.parametrize("accum_freq", [1, 2])
@pytest.mark.parametrize(
    ("theirs", "ours", "bias"),
    [(open_clip.ClipLoss(), InfoNceLoss(), None), (open_clip.loss.SigLipLoss(), SigLipLoss(), -10.0)],
    ids=["clip", "siglip"],
)
def test_baselines_train_the_same_weights(theirs, ours, bias, accum_freq):
    torch.manual_seed(0)
    start = example.tiny_clip(VOCABULARY, bias)
    first, second = (
        trained(copy.deepcopy(start), WithoutLabels(), loss, steps=4, accum_freq=accum_freq)
        for loss in (theirs, ours)
    )
    moved = 0.0
    for old, a, b in zip(start.parameters(), first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
        moved = max(moved, (a - old).abs().max().item())
    assert moved > 1e-4


@pytest.mark.parametrize(
    ("accum_freq", "precision", "bias"), list(itertools.product([1, 2], ["fp32", "amp_bf16"], [None, -5.0]))
)
def test_the_loop_takes_the_loss(accum_freq, precision, bias, caplog):
    torch.manual_seed(0)
    clip = example.tiny_clip(VOCABULARY, bias)
    before = copy.deepcopy(clip.state_dict())
    data = example.LabelledTokens(Numbered())
    with caplog.at_level("INFO"):
        trained(
            example.WithFlags(clip), data, OffClipLoss(), steps=1, accum_freq=accum_freq, precision=precision
        )
    assert "Off_diagonal_loss: " in caplog.text
    assert "Abnormal_infonce_loss: " in caplog.text
    after = clip.state_dict()
    assert all(value.isfinite().all() for value in after.values())
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert {"visual.conv1.weight", "token_embedding.weight", "logit_scale"} <= changed
    assert ("logit_bias" in changed) == (bias is not None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [(), ("--accum-freq", 2, "--logit-bias", -5), ("--precision", "amp_bf16")], ids=str
)
def test_it_learns(run_example, learns, marked, options):
    learns(run_example("open_clip_training.py", "--steps", 60, "--data", marked, *options))


@pytest.mark.slow
def test_a_phantom_of_its_own(run_example, tmp_path):
    lines = run_example("open_clip_training.py", "--steps", 1, "--out", tmp_path / "out")
    assert len(lines) == 3
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"phantom"}
