"""The modules, the masks, the two-matrix helper, and what the import pulls in."""

import subprocess
import sys

import pytest
import torch

import offclip.losses
from offclip.losses import (
    AbnormalInfoNceLoss,
    InfoNceLoss,
    MultiPositiveLoss,
    OffClipLoss,
    OffDiagonalLoss,
    SigLipLoss,
    abnormal_infonce_loss,
    contrasted_cells,
    identical_cells,
    info_nce_loss,
    known_cells,
    multi_positive_loss,
    off_clip_loss,
    off_diagonal_loss,
    siglip_loss,
    symmetrised,
    target_matrix,
)

LOGITS = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
NORMAL = torch.tensor([True, True, False, False, False])
UNCERTAIN = torch.tensor([False, False, False, False, True])
IDENTICAL = identical_cells(torch.tensor([1, 2, 3, 3, 4]))
FLAGS = {"uncertain": UNCERTAIN, "identical": IDENTICAL}
OFF_CLIP_OPTIONS = {
    "off_diagonal_weight": 1.0,
    "abnormal_weight": 2.0,
    "off_diagonal_bias": 0.5,
    "weighting": "sum",
}


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (InfoNceLoss(), info_nce_loss(LOGITS, identical=IDENTICAL)),
        (SigLipLoss(), siglip_loss(LOGITS, identical=IDENTICAL)),
        (OffDiagonalLoss(), off_diagonal_loss(LOGITS, NORMAL, **FLAGS)),
        (
            OffDiagonalLoss("mean", 1.0),
            off_diagonal_loss(LOGITS, NORMAL, **FLAGS, weighting="mean", bias=1.0),
        ),
        (AbnormalInfoNceLoss(), abnormal_infonce_loss(LOGITS, NORMAL, **FLAGS)),
        (MultiPositiveLoss(), multi_positive_loss(LOGITS, NORMAL, **FLAGS)),
        (OffClipLoss(), off_clip_loss(LOGITS, NORMAL, **FLAGS)),
        (OffClipLoss(**OFF_CLIP_OPTIONS), off_clip_loss(LOGITS, NORMAL, **FLAGS, **OFF_CLIP_OPTIONS)),
    ],
    ids=str,
)
def test_a_module_is_its_function(module, expected):
    assert module(LOGITS, NORMAL, UNCERTAIN, IDENTICAL) == expected
    assert not list(module.parameters())
    assert not module.state_dict()


def test_the_repr_shows_every_option():
    assert repr(OffDiagonalLoss("mean", 1.0)) == "OffDiagonalLoss(weighting='mean', bias=1.0)"
    assert repr(OffClipLoss(**OFF_CLIP_OPTIONS)) == (
        "OffClipLoss(off_diagonal_weight=1.0, abnormal_weight=2.0, off_diagonal_bias=0.5, weighting='sum')"
    )


def test_the_documented_defaults():
    loss = OffClipLoss()
    options = (loss.off_diagonal_weight, loss.abnormal_weight, loss.off_diagonal_bias, loss.weighting)
    assert options == (4.0, 0.5, -1.0, "blocks")
    assert (OffDiagonalLoss().weighting, OffDiagonalLoss().bias) == ("blocks", -1.0)


@pytest.mark.parametrize("loss", [OffClipLoss(), off_clip_loss, InfoNceLoss(), multi_positive_loss])
def test_symmetrised_transposes_the_text_rows(loss):
    other = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    # One cell, not mirrored: transposing the mask instead of the logits would show.
    one_cell = torch.zeros(5, 5, dtype=torch.bool)
    one_cell[2, 3] = True
    value = symmetrised(loss, LOGITS, other, NORMAL, UNCERTAIN, one_cell)
    first = loss(LOGITS, NORMAL, uncertain=UNCERTAIN, identical=one_cell)
    second = loss(other.T, NORMAL, uncertain=UNCERTAIN, identical=one_cell)
    assert value == (first + second) / 2
    assert value != symmetrised(loss, LOGITS, other.T, NORMAL, UNCERTAIN, one_cell)


def test_masks_of_a_small_batch():
    # Pairs: normal, normal, abnormal, abnormal, uncertain; the two abnormal share a sentence.
    assert target_matrix(NORMAL, UNCERTAIN).int().tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]
    assert known_cells(NORMAL, UNCERTAIN, IDENTICAL).int().tolist() == [
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]
    assert contrasted_cells(NORMAL, UNCERTAIN, IDENTICAL).int().tolist() == [
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 0, 1],
        [1, 1, 0, 1, 1],
        [0, 0, 1, 1, 1],
    ]


def test_identical_cells_of_sentences_or_studies():
    sentences, studies = torch.tensor([1, 1, 2, 3]), torch.tensor([7, 8, 9, 9])
    assert identical_cells(sentences, studies).int().tolist() == [
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 1, 0],
    ]


def test_every_public_name_exists_once():
    names = offclip.losses.__all__
    assert len(set(names)) == len(names)
    assert all(hasattr(offclip.losses, name) for name in names)


def test_the_import_needs_torch_alone():
    program = (
        "import sys, torch; before = set(sys.modules); import offclip.losses; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    added = done.stdout.split()
    ours = {name for name in added if name.split(".")[0] == "offclip"}
    allowed = {"offclip", "offclip.version", "offclip.errors", "offclip.losses"}
    assert {name for name in ours - allowed if not name.startswith("offclip.losses.")} == set()
    assert "offclip.losses.off_clip" in ours
    heavy = {"polars", "pyarrow", "cv2", "matplotlib", "typer", "kornia", "pandas", "scipy", "PIL", "rich"}
    assert heavy.isdisjoint(name.split(".")[0] for name in added)
