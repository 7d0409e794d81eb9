"""Refuses wrong arguments before any arithmetic, with the shapes and dtypes in the message.

Only shapes, dtypes and devices are looked at, never values of tensors: reading a value would make the
GPU wait for every batch.
"""

import math

import torch
from torch import Tensor

from offclip.errors import InputError

LOGIT_LIMIT = 1e30


def describe(value: object) -> str:
    """A short description for error messages.

    Example:
        >>> describe(torch.zeros(2, 3)), describe("x")
        ('float32 (2, 3) on cpu', 'str')
    """
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)} on {value.device}"


def check_logits(logits: Tensor) -> None:
    """Accept a non-empty square matrix of floating-point logits.

    Raises:
        InputError: `logits` is anything else.

    Example:
        >>> check_logits(torch.zeros(2, 3))
        Traceback (most recent call last):
        offclip.errors.InputError: logits must be a square matrix (N, N) of floats with N >= 1, got float32 \
(2, 3) on cpu. Pass one row an image and one column a text of the same batch.
    """
    square = isinstance(logits, Tensor) and logits.ndim == 2 and 0 < logits.shape[0] == logits.shape[1]
    if not (square and logits.is_floating_point()):
        raise InputError(
            f"logits must be a square matrix (N, N) of floats with N >= 1, got {describe(logits)}.",
            "Pass one row an image and one column a text of the same batch.",
        )


def check_flags(name: str, flags: Tensor, logits: Tensor | None = None) -> None:
    """Accept a bool vector with one flag a pair, on the device of the logits.

    Raises:
        InputError: `flags` is not a bool vector, or does not fit `logits` (N, N).
    """
    if not (isinstance(flags, Tensor) and flags.dtype == torch.bool and flags.ndim == 1):
        raise InputError(
            f"{name} must be a bool vector (N,), got {describe(flags)}.",
            f"Pass one flag a pair; {name}.bool() turns 0 and 1 into flags.",
        )
    if logits is not None:
        _check_fit(name, flags, logits, (logits.shape[0],))


def check_identical(identical: Tensor, logits: Tensor) -> None:
    """Accept a bool matrix with one flag a cell of the logits.

    Raises:
        InputError: `identical` is not bool, or does not fit `logits` (N, N).
    """
    if not (isinstance(identical, Tensor) and identical.dtype == torch.bool):
        raise InputError(
            f"identical must be a bool matrix (N, N), got {describe(identical)}.",
            "Build it with identical_cells(sentence_ids).",
        )
    _check_fit("identical", identical, logits, tuple(logits.shape))


def check_batch(logits: Tensor, normal: Tensor, uncertain: Tensor | None, identical: Tensor | None) -> None:
    """Check the four arguments that the losses share.

    Raises:
        InputError: One of them is wrong or does not fit the others.
    """
    check_logits(logits)
    check_flags("normal", normal, logits)
    if uncertain is not None:
        check_flags("uncertain", uncertain, logits)
    if identical is not None:
        check_identical(identical, logits)


def check_weight(name: str, weight: float) -> None:
    """Accept a finite weight of zero or more.

    Raises:
        InputError: The weight is negative or not finite.
    """
    if not (math.isfinite(weight) and weight >= 0):
        raise InputError(f"{name} must be finite and at least 0, got {weight}.", "0 switches the term off.")


def check_finite(name: str, value: float) -> None:
    """Accept a finite number.

    Raises:
        InputError: The number is infinite or NaN.
    """
    if not math.isfinite(value):
        raise InputError(f"{name} must be finite, got {value}.", "0 leaves the logits as they are.")


def computable(logits: Tensor) -> Tensor:
    """The logits in the precision the losses compute in.

    Half precision becomes float32, float64 stays. Finite values beyond ±1e30 count as ±1e30 (and get no
    gradient), because a difference or a sum of two bfloat16 maxima already overflows float32. Infinities
    and NaN are kept: they must show in the loss, where a training loop or a gradient scaler looks for them.

    Example:
        >>> computable(torch.tensor([[1.0, -3e38]], dtype=torch.bfloat16))
        tensor([[ 1.0000e+00, -1.0000e+30]])
    """
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return torch.where(wide.isinf(), wide.detach(), wide.clamp(-LOGIT_LIMIT, LOGIT_LIMIT))


def _check_fit(name: str, flags: Tensor, logits: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(flags.shape) != shape or flags.device != logits.device:
        raise InputError(
            f"{name} must have shape {shape} on {logits.device} to fit logits {describe(logits)}, "
            f"got {describe(flags)}.",
            "Take the flags from the same batch as the logits, and move them to the same device.",
        )
