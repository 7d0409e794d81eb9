"""The loss modules called with features, as open_clip calls its losses."""

from __future__ import annotations

import loss_reference as reference
import pytest
import torch

from offclip.errors import InputError
from offclip.losses import (
    AbnormalInfoNceLoss,
    InfoNceLoss,
    MultiPositiveLoss,
    OffClipLoss,
    OffDiagonalLoss,
    SigLipLoss,
    feature_logits,
    identical_cells,
)

LABELS = ["normal", "abnormal", "normal", "abnormal", "uncertain", "abnormal"]
NORMAL = torch.tensor([label == "normal" for label in LABELS])
UNCERTAIN = torch.tensor([label == "uncertain" for label in LABELS])
TEXT_IDS = torch.tensor([7, 8, 7, 9, 5, 8])
CELLS = frozenset({(0, 2), (2, 0), (1, 5), (5, 1)})
FLAGS = {"normal": NORMAL, "uncertain": UNCERTAIN, "identical": TEXT_IDS}
SCALE, BIAS = 3.0, -0.7
CASES = [
    (InfoNceLoss(), lambda s: reference.info_nce(s, CELLS)),
    (SigLipLoss(), lambda s: reference.siglip(s, CELLS)),
    (OffDiagonalLoss("mean", 0.5), lambda s: reference.off_diagonal(s, LABELS, CELLS, "mean", 0.5)),
    (AbnormalInfoNceLoss(), lambda s: reference.abnormal_infonce(s, LABELS, CELLS)),
    (MultiPositiveLoss(), lambda s: reference.multi_positive(s, LABELS, CELLS)),
    (OffClipLoss(), lambda s: reference.off_clip(s, LABELS, CELLS)),
]
MODULES = [module for module, _ in CASES]
LABELLED = [module for module in MODULES if module.needs_labels]


def features(dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    both = torch.randn(2, len(LABELS), 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    image, text = torch.nn.functional.normalize(both, dim=-1).to(dtype)
    return image, text


@pytest.mark.parametrize(("loss", "expected"), CASES, ids=[str(module) for module in MODULES])
def test_values_and_gradients(loss, expected):
    image, text = (x.requires_grad_() for x in features())
    scale, bias = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (SCALE, BIAS))
    value = loss(image, text, scale, bias, **FLAGS)
    value.backward()
    pairs = range(len(LABELS))
    cosine = [[sum(a * b for a, b in zip(i, t, strict=True)) for t in text.tolist()] for i in image.tolist()]
    logits = [[SCALE * cosine[i][j] + BIAS for j in pairs] for i in pairs]
    assert value.item() == pytest.approx(expected(logits), abs=1e-12)
    # The chain rule by hand, from the finite differences of the reference.
    slope = torch.tensor(reference.gradient(expected, logits), dtype=torch.float64)
    close = {"rtol": 0, "atol": 1e-8}
    torch.testing.assert_close(image.grad, SCALE * slope @ text, **close)
    torch.testing.assert_close(text.grad, SCALE * slope.T @ image, **close)
    torch.testing.assert_close(scale.grad, (slope * torch.tensor(cosine, dtype=torch.float64)).sum(), **close)
    torch.testing.assert_close(bias.grad, slope.sum(), **close)


@pytest.mark.parametrize("loss", MODULES, ids=str)
def test_the_calls_agree(loss):
    image, text = features()
    logits = feature_logits(image, text, SCALE, BIAS)
    value = loss(logits, NORMAL, UNCERTAIN, identical_cells(TEXT_IDS))
    named = {"image_features": image, "text_features": text, "logit_scale": SCALE, "logit_bias": BIAS}
    assert loss(logits=logits, **FLAGS) == value
    assert loss(image, text, SCALE, BIAS, False, **FLAGS) == value
    assert loss(**named, **FLAGS) == value
    assert loss(image, text_features=text, logit_scale=SCALE, logit_bias=BIAS, **FLAGS) == value
    assert loss(**named, **FLAGS | {"identical": identical_cells(TEXT_IDS)}) == value
    assert loss(**named, **FLAGS, dist_image_features=text, cap_loss=None) == value
    parts = loss(**named, **FLAGS, output_dict=True)
    assert sum(parts.values()) == value  # as open_clip's loop adds them up
    assert "loss" not in parts  # the name that the loop gives to the sum
    assert loss(image, text, SCALE / 2, BIAS, **FLAGS) != value


def test_the_parts_of_off_clip_have_their_weights():
    loss, (image, text) = OffClipLoss(off_diagonal_weight=3.0, abnormal_weight=0.25), features()
    terms = loss.terms(feature_logits(image, text, SCALE), NORMAL, UNCERTAIN)
    parts = loss(image, text, SCALE, normal=NORMAL, uncertain=UNCERTAIN, output_dict=True)
    assert parts == {"off_diagonal_loss": 3 * terms.off_diagonal, "abnormal_infonce_loss": terms.abnormal / 4}


def test_a_batch_as_square_as_its_features():
    # Four pairs of four features look like a logit matrix; the second argument tells them apart.
    image, text = (x[:4] for x in features())
    value = OffClipLoss()(image, text, SCALE, normal=NORMAL[:4])
    assert value == OffClipLoss()(SCALE * image @ text.T, NORMAL[:4])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_logits_are_float32_under_autocast_too(dtype):
    image, text = features(dtype)
    expected = 100 * image.float() @ text.float().T
    with torch.autocast("cpu", torch.bfloat16):
        logits = feature_logits(image, text, torch.tensor(100.0))
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def test_a_scale_of_shape_one():
    image, text = features()
    expected = feature_logits(image, text, SCALE, BIAS)
    torch.testing.assert_close(
        feature_logits(image, text, torch.tensor([SCALE]), torch.tensor([BIAS])), expected, check_dtype=False
    )


@pytest.mark.parametrize("loss", MODULES, ids=str)
def test_gather_makes_one_batch_of_all_processes(loss):
    image, text = features()
    rows = {"image": image, "text": text, **FLAGS}
    first = {name: value[:2] for name, value in rows.items()}
    # The other process's rows, recognised by what they are gathered with.
    others = {id(first[name]): rows[name][2:] for name in rows}
    gathering = type(loss)(
        **{name: getattr(loss, name) for name in loss.options},
        gather=lambda own: torch.cat([own, others[id(own)]]),
    )
    call = (first.pop("image"), first.pop("text"), SCALE)
    assert gathering(*call, **first) == loss(image, text, SCALE, **FLAGS)
    assert "gather=<" in repr(gathering)


def test_what_cannot_be_gathered():
    loss, (image, text) = OffClipLoss(gather=lambda own: own), features()
    with pytest.raises(InputError, match="logits cannot be gathered"):
        loss(SCALE * image @ text.T, NORMAL)
    with pytest.raises(InputError, match=r"Pass the number of every pair's text"):
        loss(image, text, SCALE, normal=NORMAL, identical=identical_cells(TEXT_IDS))


@pytest.mark.parametrize("loss", LABELLED, ids=str)
def test_missing_flags_say_how_to_give_them(loss):
    image, text = features()
    with pytest.raises(InputError, match=r"needs the normal flags .*it got norml.*normal=, a bool vector"):
        loss(image, text, SCALE, norml=NORMAL)
    with pytest.raises(InputError, match="normal must be a bool vector"):
        loss(SCALE * image @ text.T)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_features": torch.zeros(5, 4)}, r"float32 \(6, 4\) on cpu and float32 \(5, 4\)"),
        ({"text_features": torch.zeros(6, 3)}, r"float32 \(6, 4\) on cpu and float32 \(6, 3\)"),
        ({"text_features": torch.zeros(6, 4, device="meta")}, "on meta"),
        ({"image_features": None}, "got NoneType"),
        ({"image_features": torch.zeros(6, 4, dtype=torch.int64)}, "int64"),
        ({"logit_scale": NORMAL}, r"logit_scale must be one number, got bool \(6,\)"),
        ({"logit_scale": None}, "logit_scale must be one number, got NoneType"),
        ({"logit_bias": torch.zeros(2)}, "logit_bias must be one number"),
        ({"normal": NORMAL[:5]}, r"normal must have shape \(6,\)"),
        ({"normal": NORMAL.long()}, r"normal\.bool\(\)"),
        ({"identical": TEXT_IDS[:5]}, r"identical must have shape \(6, 6\)"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(*value),
)
def test_wrong_arguments(change, message):
    arguments = {
        "image_features": torch.zeros(6, 4),
        "text_features": torch.zeros(6, 4),
        "logit_scale": 1.0,
        "normal": NORMAL,
    }
    with pytest.raises(InputError, match=message):
        OffClipLoss()(**arguments | change)


def test_an_empty_batch():
    with pytest.raises(InputError, match=r"\(0, 4\)"):
        feature_logits(torch.zeros(0, 4), torch.zeros(0, 4), 1.0)


def test_a_forgotten_scale_is_named():
    with pytest.raises(TypeError, match="logit_scale"):
        OffClipLoss()(*features(), normal=NORMAL)
