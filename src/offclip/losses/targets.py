"""Which cells of the logit matrix are positives, which are negatives, and which say nothing.

Cell (i, j) compares image i with text j. Three masks decide what the losses do with it. All of them are
bool tensors computed without reading a value back from the GPU.
"""

import torch
from torch import Tensor

from offclip.errors import InputError
from offclip.losses.checks import check_flags, describe


def certainly_normal(normal: Tensor, uncertain: Tensor | None = None) -> Tensor:
    """The pairs of the normal block: flagged normal and not uncertain, (N,) bool."""
    return normal if uncertain is None else normal & ~uncertain


def certainly_abnormal(normal: Tensor, uncertain: Tensor | None = None) -> Tensor:
    """The pairs of the abnormal block: flagged neither normal nor uncertain, (N,) bool."""
    return ~normal if uncertain is None else ~normal & ~uncertain


def target_matrix(normal: Tensor, uncertain: Tensor | None = None) -> Tensor:
    """The off-diagonal targets Y: a cell is positive if i = j or both pairs are normal.

    The off-diagonal targets adjust themselves to the batch's labels: with no normal pair Y is the identity
    matrix of CLIP. An uncertain pair keeps nothing but its diagonal, whatever its normal flag says.

    Args:
        normal: Normal flags n, (N,) bool.
        uncertain: Uncertain flags, (N,) bool.

    Returns:
        Y, (N, N) bool, symmetric.

    Raises:
        InputError: The flags are not bool vectors of one length.

    Source:
        Park et al., OFF-CLIP, MICCAI 2025 (arXiv 2503.01794): Y_ij = 1 if i = j or (n_i and n_j).

    Example:
        >>> target_matrix(torch.tensor([True, True, False])).int()
        tensor([[1, 1, 0],
                [1, 1, 0],
                [0, 0, 1]], dtype=torch.int32)
    """
    _check_labels(normal, uncertain)
    return diagonal(normal) | block(certainly_normal(normal, uncertain))


def known_cells(normal: Tensor, uncertain: Tensor | None = None, identical: Tensor | None = None) -> Tensor:
    """The cells that the off-diagonal term loss counts.

    Left out are the off-diagonal cells in the row and column of an uncertain pair, and the cells of
    verbatim-equal text that would be negatives. Positives are never left out: most normal reports share
    one sentence, and leaving their cells out would empty the normal block.

    Args:
        normal: Normal flags, (N,) bool.
        uncertain: Uncertain flags, (N,) bool.
        identical: Cells of verbatim-equal text, (N, N) bool, as from `identical_cells`.

    Returns:
        The mask, (N, N) bool. Its diagonal is True.

    Raises:
        InputError: The flags are not bool vectors of one length.

    Example:
        >>> normal, uncertain = torch.tensor([[True, False, False], [False, False, True]])
        >>> known_cells(normal, uncertain).int()
        tensor([[1, 1, 0],
                [1, 1, 0],
                [0, 0, 1]], dtype=torch.int32)
    """
    target = target_matrix(normal, uncertain)
    known = torch.ones_like(target) if uncertain is None else block(~uncertain)
    if identical is not None:
        known = known & ~identical
    return known | target


def contrasted_cells(
    normal: Tensor, uncertain: Tensor | None = None, identical: Tensor | None = None
) -> Tensor:
    """The cells that compete in the softmax of the multi-positive loss.

    As `known_cells`, with one difference. A positive means nothing in a softmax that holds no other cell,
    so an uncertain pair keeps its negatives against the abnormal pairs, which are negatives whichever way
    the doubt falls. Left out are the cells that would turn positive if the uncertain pairs were normal.

    Args:
        normal: Normal flags, (N,) bool.
        uncertain: Uncertain flags, (N,) bool.
        identical: Cells of verbatim-equal text, (N, N) bool.

    Returns:
        The mask, (N, N) bool. Its diagonal is True.

    Raises:
        InputError: The flags are not bool vectors of one length.

    Example:
        >>> normal, uncertain = torch.tensor([[True, False, False], [False, False, True]])
        >>> contrasted_cells(normal, uncertain).int()
        tensor([[1, 1, 0],
                [1, 1, 1],
                [0, 1, 1]], dtype=torch.int32)
    """
    target = target_matrix(normal, uncertain)
    left_out = torch.zeros_like(target) if uncertain is None else block(normal | uncertain)
    if identical is not None:
        left_out = left_out | identical
    return ~left_out | target


def identical_cells(*ids: Tensor) -> Tensor:
    """The off-diagonal cells whose two pairs share an id.

    Args:
        *ids: One or more integer vectors (N,), such as the sentence id and the study id of every pair. A
            cell is set if any of them agrees.

    Returns:
        The mask, (N, N) bool, symmetric, with a False diagonal.

    Raises:
        InputError: No vector is given, or they are not integer vectors of one length.

    Example:
        >>> identical_cells(torch.tensor([7, 8, 7])).int()
        tensor([[0, 0, 1],
                [0, 0, 0],
                [1, 0, 0]], dtype=torch.int32)
    """
    for vector in ids:
        integer = isinstance(vector, Tensor) and not vector.is_floating_point() and not vector.is_complex()
        if not (integer and vector.ndim == 1 and vector.shape == ids[0].shape):
            raise InputError(
                f"ids must be integer vectors (N,) of one length, got {', '.join(map(describe, ids))}.",
                "Number the sentences (or studies) and pass one number a pair.",
            )
    if not ids:
        raise InputError("identical_cells needs at least one vector of ids.", "Pass the sentence ids.")
    same = torch.stack([vector[:, None] == vector[None, :] for vector in ids]).any(dim=0)
    return same & ~diagonal(ids[0])


def block(flags: Tensor) -> Tensor:
    """The cells whose row and column are both flagged, (N, N) bool."""
    return flags[:, None] & flags[None, :]


def diagonal(like: Tensor) -> Tensor:
    """The identity matrix as a mask, (N, N) bool, for a vector (N,) on the same device."""
    return torch.eye(like.shape[0], dtype=torch.bool, device=like.device)


def _check_labels(normal: Tensor, uncertain: Tensor | None) -> None:
    check_flags("normal", normal)
    if uncertain is None:
        return
    check_flags("uncertain", uncertain)
    if uncertain.shape != normal.shape:
        raise InputError(
            f"normal and uncertain differ in length: {describe(normal)} and {describe(uncertain)}.",
            "Pass one flag of each kind a pair.",
        )
