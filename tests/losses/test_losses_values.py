"""Every loss, value and gradient, against the plain-Python reference."""

import loss_reference as reference
import pytest
import torch

from offclip.losses import (
    abnormal_infonce_loss,
    info_nce_loss,
    multi_positive_loss,
    off_clip_loss,
    off_clip_terms,
    off_diagonal_loss,
    siglip_loss,
)

CASES = {
    "mixed": "NANAAN",
    "no normal": "AAAA",
    "all normal": "NNNN",
    "one abnormal": "NNAN",
    "one normal": "ANAA",
    "uncertain": "NUANAUA",
    "uncertain and normal": "UNNU",
    "uncertain and abnormal": "UAAUA",
    "all uncertain": "UUU",
    "single normal": "N",
    "single abnormal": "A",
    "single uncertain": "U",
}
LABELS = {"N": "normal", "A": "abnormal", "U": "uncertain"}

LABELLED = {
    "off_diagonal": (off_diagonal_loss, reference.off_diagonal),
    "abnormal_infonce": (abnormal_infonce_loss, reference.abnormal_infonce),
    "multi_positive": (multi_positive_loss, reference.multi_positive),
    "off_clip": (off_clip_loss, reference.off_clip),
}
OFF_DIAGONAL_OPTIONS = [
    {"weighting": weighting, "bias": bias}
    for weighting in ("blocks", "balanced", "mean", "sum")
    for bias in (0.0, 1.5)
]


def batch(case: str, seed: int = 0):
    """Asymmetric float64 logits, flags, and asymmetric identical cells: a lost transpose shows."""
    n = len(case)
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, n, generator=generator, dtype=torch.float64)
    identical = torch.rand(n, n, generator=generator) < 0.3
    normal = torch.tensor([letter == "N" for letter in case])
    uncertain = torch.tensor([letter == "U" for letter in case])
    # What an uncertain pair's normal flag says must not matter, so say both.
    normal = normal | (uncertain & (torch.arange(n) % 2 == 0))
    return logits, normal, uncertain, identical, [LABELS[letter] for letter in case]


def cells(mask: torch.Tensor) -> reference.Cells:
    return frozenset((i, j) for i, j in mask.nonzero().tolist())


def assert_agrees(loss, expected, logits):
    """`loss(tensor)` and `expected(nested list)` agree in value and gradient."""
    leaf = logits.clone().requires_grad_()
    value = loss(leaf)
    value.backward()
    assert value.shape == ()
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(expected(logits.tolist()), rel=1e-12, abs=1e-13)
    numeric = torch.tensor(reference.gradient(expected, logits.tolist()), dtype=torch.float64)
    torch.testing.assert_close(leaf.grad, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("masked", [False, True], ids=["", "identical"])
@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_labelled_losses_equal_the_reference(name, case, masked):
    loss, expected = LABELLED[name]
    logits, normal, uncertain, identical, labels = batch(case)
    skip = cells(identical) if masked else reference.NO_CELLS
    assert_agrees(
        lambda x: loss(x, normal, uncertain=uncertain, identical=identical if masked else None),
        lambda x: expected(x, labels, skip),
        logits,
    )


@pytest.mark.parametrize("masked", [False, True], ids=["", "identical"])
@pytest.mark.parametrize(
    ("loss", "expected"), [(info_nce_loss, reference.info_nce), (siglip_loss, reference.siglip)]
)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_baselines_equal_the_reference(loss, expected, size, masked):
    logits, _, _, identical, _ = batch("A" * size)
    skip = cells(identical) if masked else reference.NO_CELLS
    assert_agrees(
        lambda x: loss(x, identical=identical if masked else None), lambda x: expected(x, skip), logits
    )


@pytest.mark.parametrize("options", OFF_DIAGONAL_OPTIONS, ids=str)
@pytest.mark.parametrize("case", ["NUANAUA", "NNNN", "A"])
def test_off_diagonal_options(options, case):
    logits, normal, uncertain, identical, labels = batch(case)
    assert_agrees(
        lambda x: off_diagonal_loss(x, normal, uncertain=uncertain, identical=identical, **options),
        lambda x: reference.off_diagonal(x, labels, cells(identical), **options),
        logits,
    )


@pytest.mark.parametrize("weighting", ["blocks", "balanced", "mean", "sum"])
@pytest.mark.parametrize(("w_off", "w_abn", "bias"), [(1.0, 1.0, 0.0), (0.0, 2.0, -1.0), (3.0, 0.0, 2.0)])
def test_off_clip_options(w_off, w_abn, bias, weighting):
    logits, normal, uncertain, identical, labels = batch("NUANAUA")
    assert_agrees(
        lambda x: off_clip_loss(
            x,
            normal,
            uncertain=uncertain,
            identical=identical,
            off_diagonal_weight=w_off,
            abnormal_weight=w_abn,
            off_diagonal_bias=bias,
            weighting=weighting,
        ),
        lambda x: reference.off_clip(x, labels, cells(identical), w_off, w_abn, bias, weighting),
        logits,
    )


@pytest.mark.parametrize("size", [12.0, 21.0, 35.0, 41.0, 800.0])
def test_large_costs_are_exact(size):
    logits = torch.full((3, 3), size, dtype=torch.float64)
    value = off_diagonal_loss(logits, torch.zeros(3, dtype=torch.bool), weighting="mean", bias=0.0)
    expected = reference.off_diagonal(logits.tolist(), ["abnormal"] * 3, weighting="mean", bias=0.0)
    assert value.item() == pytest.approx(expected, rel=4e-15)


def test_terms_are_the_two_losses_before_their_weights():
    logits, normal, uncertain, identical, _ = batch("NUANAUA")
    flags = {"uncertain": uncertain, "identical": identical}
    terms = off_clip_terms(logits, normal, **flags)
    assert terms.off_diagonal == off_diagonal_loss(logits, normal, **flags)
    assert terms.abnormal == abnormal_infonce_loss(logits, normal, **flags)
    assert terms.total == off_clip_loss(logits, normal, **flags)


def test_hand_computed_off_diagonal_value():
    # One normal, one abnormal, logits all 0, bias 0: every cell costs log 2, whatever the weighting.
    logits, normal = torch.zeros(2, 2), torch.tensor([True, False])
    for weighting, expected in (("balanced", 0.693147), ("mean", 0.693147), ("sum", 2 * 0.693147)):
        value = off_diagonal_loss(logits, normal, weighting=weighting, bias=0.0)
        assert value.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", LABELLED)
def test_gradcheck_labelled(name):
    loss, _ = LABELLED[name]
    logits, normal, uncertain, identical, _ = batch("NUANAUA", seed=3)
    assert torch.autograd.gradcheck(
        lambda x: loss(x, normal, uncertain=uncertain, identical=identical), logits.requires_grad_()
    )


@pytest.mark.parametrize("loss", [info_nce_loss, siglip_loss])
def test_gradcheck_baselines(loss):
    assert torch.autograd.gradcheck(loss, batch("AAAA")[0].requires_grad_())
