"""Precision, extreme logits, degenerate batches, and what a masked pair may still influence."""

import pytest
import torch

from offclip.losses import (
    AbnormalInfoNceLoss,
    InfoNceLoss,
    MultiPositiveLoss,
    OffClipLoss,
    OffDiagonalLoss,
    SigLipLoss,
    abnormal_infonce_loss,
    multi_positive_loss,
    off_clip_loss,
    off_diagonal_loss,
)

MODULES = [
    InfoNceLoss(),
    SigLipLoss(),
    OffDiagonalLoss(),
    OffDiagonalLoss(weighting="mean"),
    OffDiagonalLoss(weighting="sum"),
    AbnormalInfoNceLoss(),
    MultiPositiveLoss(),
    OffClipLoss(),
]
all_modules = pytest.mark.parametrize("loss", MODULES, ids=str)
NORMAL = torch.tensor([True, True, False, False, False])
UNCERTAIN = torch.tensor([False, False, False, False, True])
IDENTICAL = torch.zeros(5, 5, dtype=torch.bool)
IDENTICAL[2, 3] = IDENTICAL[3, 2] = True


def run(loss, logits, normal=NORMAL, uncertain=UNCERTAIN, identical=IDENTICAL):
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, normal, uncertain, identical)
    value.backward()
    return value.detach(), leaf.grad


@all_modules
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(loss, dtype):
    logits = (10 * torch.randn(5, 5, generator=torch.Generator().manual_seed(0))).to(dtype)
    value, grad = run(loss, logits)
    exact, exact_grad = run(loss, logits.double())
    assert value.dtype == torch.float32
    assert exact.dtype == torch.float64
    assert grad.dtype == dtype
    torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(grad.double(), exact_grad, rtol=1e-2, atol=1e-6)


EXTREMES = [
    (torch.float32, 1e4),
    (torch.float64, 1e4),
    (torch.float16, torch.finfo(torch.float16).max),
    (torch.bfloat16, torch.finfo(torch.bfloat16).max),
    (torch.float32, torch.finfo(torch.float32).max),
]


@all_modules
@pytest.mark.parametrize(("dtype", "size"), EXTREMES, ids=str)
@pytest.mark.parametrize("pattern", ["plus", "minus", "wrong", "right", "random"])
def test_extreme_logits_stay_finite(loss, dtype, size, pattern):
    diagonal = torch.eye(5)
    signs = {
        "plus": torch.ones(5, 5),
        "minus": -torch.ones(5, 5),
        "wrong": 1 - 2 * diagonal,
        "right": 2 * diagonal - 1,
        "random": torch.randn(5, 5, generator=torch.Generator().manual_seed(1)).sign(),
    }[pattern]
    value, grad = run(loss, (signs.double() * size).to(dtype))
    assert torch.isfinite(value)
    assert torch.isfinite(grad).all()


def test_extreme_but_ordinary_logits_keep_their_gradient():
    logits = torch.zeros(2, 2)
    logits[0, 1] = 1e4
    value, grad = run(off_diagonal_loss_of, logits, torch.tensor([True, False]), None, None)
    assert value.item() == pytest.approx((1e4 - 1) / 4 + 0.5 * 1.31326 + 0.25 * 0.31326, rel=1e-5)
    assert grad[0, 1].item() == pytest.approx(0.25)


def off_diagonal_loss_of(logits, normal, uncertain, identical):
    return off_diagonal_loss(logits, normal, uncertain=uncertain, identical=identical)


def test_small_costs_are_not_rounded_away():
    # Cost of a cell is exp(-30) = 9.4e-14, far below the spacing of float32 numbers around 30.
    logits = 60 * torch.eye(3) - 30
    value = off_diagonal_loss(logits, torch.zeros(3, dtype=torch.bool), bias=0.0)
    assert value.item() == pytest.approx(9.357623e-14, rel=1e-5)


@all_modules
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_logit_shows_in_the_loss(loss, value):
    logits = torch.zeros(5, 5)
    logits[3, 3] = value
    logits[2, 3] = value
    assert not torch.isfinite(loss(logits, NORMAL, UNCERTAIN))


@all_modules
@pytest.mark.parametrize("normal", [True, False])
def test_a_batch_of_one(loss, normal):
    value, grad = run(loss, torch.tensor([[2.0]]), torch.tensor([normal]), None, None)
    assert torch.isfinite(value)
    assert torch.isfinite(grad).all()


@pytest.mark.parametrize(
    ("normal", "uncertain"),
    [
        ([True] * 4, [False] * 4),
        ([True, True, True, False], [False] * 4),
        ([False] * 4, [True, True, True, False]),
        ([False] * 4, [True] * 4),
    ],
    ids=["all normal", "one abnormal", "one certain abnormal", "all uncertain"],
)
def test_abnormal_infonce_is_a_differentiable_zero_below_two_abnormal(normal, uncertain):
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = abnormal_infonce_loss(logits, torch.tensor(normal), uncertain=torch.tensor(uncertain))
    assert value.item() == 0
    value.backward()
    assert torch.equal(logits.grad, torch.zeros(4, 4))


def test_an_uncertain_pair_moves_nothing_but_its_diagonal_in_off_clip():
    _, grad = run(OffClipLoss(), torch.zeros(5, 5))
    assert torch.equal(grad[4, :4], torch.zeros(4))
    assert torch.equal(grad[:4, 4], torch.zeros(4))
    assert grad[4, 4] < 0


def test_multi_positive_holds_an_uncertain_pair_against_the_abnormal_only():
    _, grad = run(MultiPositiveLoss(), torch.zeros(5, 5))
    assert torch.equal(grad[4, :2], torch.zeros(2))
    assert torch.equal(grad[:2, 4], torch.zeros(2))
    assert (grad[4, 2:4] > 0).all()
    assert (grad[2:4, 4] > 0).all()
    assert grad[4, 4] < 0


@all_modules
def test_identical_abnormal_cells_get_no_gradient(loss):
    _, grad = run(loss, torch.zeros(5, 5))
    assert grad[2, 3] == 0
    assert grad[3, 2] == 0


@pytest.mark.parametrize("loss", [off_diagonal_loss, multi_positive_loss, off_clip_loss])
def test_identical_never_takes_a_positive_away(loss):
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    normal, everything = torch.ones(4, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)
    assert loss(logits, normal, identical=everything) == loss(logits, normal)


@pytest.mark.parametrize(
    "loss", [off_diagonal_loss, abnormal_infonce_loss, multi_positive_loss, off_clip_loss]
)
def test_the_normal_flag_of_an_uncertain_pair_does_not_matter(loss):
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    assert loss(logits, NORMAL, uncertain=UNCERTAIN) == loss(logits, NORMAL | UNCERTAIN, uncertain=UNCERTAIN)


def test_balanced_weighting_gives_each_kind_one_half():
    # 0 logits, bias 0: the gradient of a cell is half its weight, so each kind's gradients add up to 1/4.
    normal = torch.tensor([True] * 6 + [False] * 2)
    _, grad = run(OffDiagonalLoss("balanced", bias=0.0), torch.zeros(8, 8), normal, None, None)
    assert -grad[grad < 0].sum().item() == pytest.approx(0.25)
    assert grad[grad > 0].sum().item() == pytest.approx(0.25)
    assert (grad < 0).sum() == 38


def test_block_weighting_gives_the_abnormal_diagonal_as_much_as_the_normal_block():
    normal = torch.tensor([True] * 6 + [False] * 2)
    _, grad = run(OffDiagonalLoss("blocks", bias=0.0), torch.zeros(8, 8), normal, None, None)
    assert -grad[:6, :6].sum().item() == pytest.approx(0.125)
    assert -grad.diagonal()[6:].sum().item() == pytest.approx(0.125)
    assert grad[grad > 0].sum().item() == pytest.approx(0.25)


@all_modules
def test_inputs_are_not_changed(loss):
    tensors = [torch.randn(5, 5), NORMAL.clone(), UNCERTAIN.clone(), IDENTICAL.clone()]
    before = [tensor.clone() for tensor in tensors]
    loss(*tensors)
    assert all(map(torch.equal, tensors, before))
