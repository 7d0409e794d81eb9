"""Wrong arguments are refused with their shapes and a remedy."""

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
    identical_cells,
    off_clip_loss,
    off_diagonal_loss,
    symmetrised,
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
LABELLED = MODULES[2:]
LOGITS = torch.zeros(3, 3)
NORMAL = torch.tensor([True, False, False])


def flags(*shape, dtype=torch.bool, device="cpu"):
    return torch.zeros(*shape, dtype=dtype, device=device)


def refused(message_part, call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert message_part in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("loss", MODULES, ids=str)
@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (torch.zeros(3, 4), "float32 (3, 4)"),
        (torch.zeros(3), "float32 (3,)"),
        (torch.zeros(1, 3, 3), "float32 (1, 3, 3)"),
        (torch.zeros(0, 0), "float32 (0, 0)"),
        (torch.zeros(3, 3, dtype=torch.int64), "int64 (3, 3)"),
        (torch.zeros(3, 3, dtype=torch.complex64), "complex64 (3, 3)"),
        ([[0.0]], "list"),
    ],
    ids=["wide", "vector", "cube", "empty", "integer", "complex", "list"],
)
def test_logits(loss, logits, message):
    refused(f"got {message}", loss, logits, NORMAL)


@pytest.mark.parametrize("loss", LABELLED, ids=str)
@pytest.mark.parametrize("name", ["normal", "uncertain"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (flags(4), "bool (4,)"),
        (flags(3, 1), "bool (3, 1)"),
        (flags(3, dtype=torch.int64), "int64 (3,)"),
        (flags(3, dtype=torch.float32), "float32 (3,)"),
        (flags(3, device="meta"), "bool (3,) on meta"),
        ([True, False, False], "list"),
    ],
    ids=["length", "column", "integer", "float", "device", "list"],
)
def test_flags(loss, name, wrong, message):
    arguments = {"normal": NORMAL, name: wrong}
    refused(f"got {message}", loss, LOGITS, **arguments)


@pytest.mark.parametrize("loss", MODULES, ids=str)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (flags(3), "bool (3,)"),
        (flags(4, 4), "bool (4, 4)"),
        (flags(3, 3, dtype=torch.int64), "int64 (3, 3)"),
        (flags(3, 3, device="meta"), "bool (3, 3) on meta"),
    ],
    ids=["vector", "size", "integer", "device"],
)
def test_identical(loss, wrong, message):
    refused(f"got {message}", loss, LOGITS, NORMAL, identical=wrong)


@pytest.mark.parametrize("name", ["off_diagonal_weight", "abnormal_weight"])
@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_weights(name, weight):
    refused(f"{name} must be finite and at least 0, got {weight}", OffClipLoss, **{name: weight})
    refused(str(weight), off_clip_loss, LOGITS, NORMAL, **{name: weight})


def test_bias():
    refused("bias must be finite, got nan", OffDiagonalLoss, bias=float("nan"))
    refused("off_diagonal_bias must be finite, got inf", OffClipLoss, off_diagonal_bias=float("inf"))
    refused("got inf", off_diagonal_loss, LOGITS, NORMAL, bias=float("inf"))


def test_weighting():
    refused("Unknown weighting 'median'", OffDiagonalLoss, weighting="median")
    refused("Unknown weighting 'median'", OffClipLoss, weighting="median")
    refused("Unknown weighting 'median'", off_diagonal_loss, LOGITS, NORMAL, weighting="median")


def test_labels_of_two_lengths():
    refused("bool (3,) on cpu and bool (4,)", target_matrix, NORMAL, flags(4))


@pytest.mark.parametrize(
    "ids",
    [
        (torch.zeros(3),),
        (torch.zeros(2, 2, dtype=torch.int64),),
        (torch.arange(3), torch.arange(4)),
        ([1, 2],),
    ],
    ids=["float", "matrix", "lengths", "list"],
)
def test_ids(ids):
    refused("ids must be integer vectors (N,) of one length, got", identical_cells, *ids)


def test_no_ids():
    refused("at least one", identical_cells)


def test_symmetrised_checks_both_matrices():
    refused("float32 (3, 4)", symmetrised, OffClipLoss(), LOGITS, torch.zeros(3, 4), NORMAL)
    refused("float32 (3, 4)", symmetrised, OffClipLoss(), torch.zeros(3, 4), LOGITS, NORMAL)
    refused("float32 (4, 4)", symmetrised, OffClipLoss(), LOGITS, torch.zeros(4, 4), NORMAL)
