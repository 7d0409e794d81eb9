"""Losses over several logit matrices: one is the loss itself, two are averaged, CARZero's are added."""

import math

import pytest
import torch

from offclip.errors import InputError
from offclip.losses import (
    InfoNceLoss,
    MultiPositiveLoss,
    OffClipLoss,
    averaged,
    carzero_loss,
    info_nce_loss,
    symmetrised,
)

ONE, OTHER = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0)).unbind()
NORMAL = torch.tensor([1, 0, 1, 0, 0]).bool()
UNCERTAIN = torch.tensor([0, 1, 0, 0, 0]).bool()
IDENTICAL = torch.zeros(5, 5).bool().index_fill(0, torch.tensor(3), True)


@pytest.mark.parametrize("loss", [OffClipLoss(), MultiPositiveLoss(), InfoNceLoss()])
def test_one_matrix_is_the_loss_and_several_are_the_mean(loss):
    values = [loss(matrix, NORMAL, UNCERTAIN, IDENTICAL) for matrix in (ONE, OTHER, ONE.T)]
    assert torch.equal(averaged(loss, [ONE], NORMAL, UNCERTAIN, IDENTICAL), values[0])
    for count in (2, 3):
        matrices = (ONE, OTHER, ONE.T)[:count]
        mean = averaged(loss, matrices, NORMAL, UNCERTAIN, IDENTICAL)
        assert torch.allclose(mean, torch.stack(values[:count]).mean())


def test_without_flags_for_a_loss_that_ignores_them():
    assert torch.equal(averaged(InfoNceLoss(), [ONE]), info_nce_loss(ONE))


def test_carzero_adds_and_half_of_it_is_the_average():
    assert torch.allclose(carzero_loss(ONE, OTHER), info_nce_loss(ONE) + info_nce_loss(OTHER))
    assert torch.allclose(carzero_loss(ONE, OTHER), 2 * symmetrised(InfoNceLoss(), ONE, OTHER.T, NORMAL))
    masked = carzero_loss(ONE, OTHER, identical=IDENTICAL)
    assert masked < carzero_loss(ONE, OTHER)
    for size in (2, 64):
        chance = carzero_loss(torch.zeros(size, size), torch.zeros(size, size))
        assert chance.item() == pytest.approx(2 * math.log(size))


@pytest.mark.parametrize("place", [0, 1])
def test_a_matrix_that_is_not_square_is_refused(place):
    matrices = [ONE, ONE]
    matrices[place] = ONE[:3]
    with pytest.raises(InputError, match="float32 \\(3, 5\\)"):
        carzero_loss(*matrices)
    with pytest.raises(InputError, match="float32 \\(3, 5\\)"):
        averaged(OffClipLoss(), matrices, NORMAL)
