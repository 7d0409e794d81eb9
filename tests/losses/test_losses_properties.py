"""What must hold for any batch: order does not matter, and special batches reduce to known losses."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.losses import (
    AbnormalInfoNceLoss,
    InfoNceLoss,
    MultiPositiveLoss,
    OffClipLoss,
    OffDiagonalLoss,
    SigLipLoss,
    abnormal_infonce_loss,
    info_nce_loss,
    multi_positive_loss,
    off_diagonal_loss,
    siglip_loss,
    target_matrix,
)

MODULES = [
    InfoNceLoss(),
    SigLipLoss(),
    OffDiagonalLoss(),
    AbnormalInfoNceLoss(),
    MultiPositiveLoss(),
    OffClipLoss(),
]
quick = settings(deadline=None, derandomize=True, max_examples=40)


@st.composite
def batches(draw):
    n = draw(st.integers(1, 8))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    scale = draw(st.sampled_from([0.1, 3.0, 100.0]))
    logits = scale * torch.randn(n, n, generator=generator, dtype=torch.float64)
    normal = torch.tensor(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    uncertain = torch.rand(n, generator=generator) < draw(st.sampled_from([0.0, 0.3]))
    identical = torch.rand(n, n, generator=generator) < draw(st.sampled_from([0.0, 0.3]))
    order = torch.randperm(n, generator=generator)
    return logits, normal, uncertain, identical, order


def value_and_grad(loss, logits, *flags):
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, *flags)
    (grad,) = torch.autograd.grad(value, leaf)
    return value.detach(), grad


@quick
@given(batches(), st.sampled_from(MODULES))
def test_the_order_of_the_batch_does_not_matter(batch, loss):
    logits, normal, uncertain, identical, order = batch
    value, grad = value_and_grad(loss, logits, normal, uncertain, identical)
    moved, moved_grad = value_and_grad(
        loss, logits[order][:, order], normal[order], uncertain[order], identical[order][:, order]
    )
    torch.testing.assert_close(moved, value)
    torch.testing.assert_close(moved_grad, grad[order][:, order])


@quick
@given(batches(), st.sampled_from(MODULES))
def test_images_and_texts_are_treated_alike(batch, loss):
    logits, normal, uncertain, identical, _ = batch
    value, grad = value_and_grad(loss, logits, normal, uncertain, identical)
    swapped, swapped_grad = value_and_grad(loss, logits.T, normal, uncertain, identical.T)
    torch.testing.assert_close(swapped, value)
    torch.testing.assert_close(swapped_grad, grad.T)


@quick
@given(batches())
def test_without_normals_the_softmax_losses_are_info_nce(batch):
    logits, _, _, identical, _ = batch
    none = torch.zeros(len(logits), dtype=torch.bool)
    expected = info_nce_loss(logits, identical=identical)
    torch.testing.assert_close(abnormal_infonce_loss(logits, none, identical=identical), expected)
    torch.testing.assert_close(multi_positive_loss(logits, none, identical=identical), expected)


@quick
@given(batches())
def test_without_normals_the_summed_off_diagonal_loss_is_siglip(batch):
    logits, _, _, identical, _ = batch
    none = torch.zeros(len(logits), dtype=torch.bool)
    value = off_diagonal_loss(logits, none, identical=identical, weighting="sum", bias=-1.0)
    torch.testing.assert_close(value, siglip_loss(logits - 1, identical=identical))


@quick
@given(batches())
def test_info_nce_is_torch_cross_entropy_both_ways(batch):
    logits, *_ = batch
    index = torch.arange(len(logits))
    expected = (F.cross_entropy(logits, index) + F.cross_entropy(logits.T, index)) / 2
    torch.testing.assert_close(info_nce_loss(logits), expected)


@quick
@given(batches())
def test_mean_weighting_is_torch_binary_cross_entropy(batch):
    logits, normal, *_ = batch
    target = target_matrix(normal).double()
    torch.testing.assert_close(
        off_diagonal_loss(logits, normal, weighting="mean", bias=-2.0),
        F.binary_cross_entropy_with_logits(logits - 2, target),
    )


@quick
@given(batches(), st.floats(-50, 50))
def test_softmax_losses_ignore_a_constant(batch, constant):
    logits, normal, uncertain, identical, _ = batch
    for loss in (InfoNceLoss(), AbnormalInfoNceLoss(), MultiPositiveLoss()):
        torch.testing.assert_close(
            loss(logits + constant, normal, uncertain, identical), loss(logits, normal, uncertain, identical)
        )


@quick
@given(batches())
def test_no_loss_is_negative(batch):
    logits, normal, uncertain, identical, _ = batch
    assert all(loss(logits, normal, uncertain, identical) >= 0 for loss in MODULES)


@quick
@given(batches())
def test_leaving_an_abnormal_pair_out_equals_a_smaller_batch(batch):
    """Uncertain pairs at the end of the batch: abnormal InfoNCE sees the batch without them."""
    logits, normal, *_ = batch
    n = len(logits)
    wider = torch.zeros(n + 2, n + 2, dtype=torch.float64)
    wider[:n, :n] = logits
    flags = F.pad(normal, (0, 2))
    uncertain = torch.arange(n + 2) >= n
    torch.testing.assert_close(
        abnormal_infonce_loss(wider, flags, uncertain=uncertain), abnormal_infonce_loss(logits, normal)
    )
