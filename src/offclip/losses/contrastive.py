"""What the loss modules share: they take logits, or the features that logits are made of.

The second call is that of open_clip's losses, so that a module of ours stands where `open_clip.ClipLoss`
stood. No module makes a distributed call; one that sees the pairs of all ranks is given a function that
gathers them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import torch
from torch import Tensor, nn

from offclip.errors import InputError
from offclip.losses.features import feature_logits
from offclip.losses.targets import identical_cells

Gather = Callable[[Tensor], Tensor]
"""From the rows of this process to those of all, in the order of the ranks. Features keep their gradient."""


class ContrastiveLoss(nn.Module, ABC):
    """Base of the loss modules. They hold options and no parameters.

    A module is called in one of two ways and finds out which: as `loss(logits, normal, ...)`, see
    `of_logits`, or as open_clip calls its losses, see `of_features`.

    Args:
        gather: Brings the features and flags of all processes together, such as
            `offclip.training.gather.AllGather()`. None for a single process. It works on features only.

    Attributes:
        options: Names of the options, as the constructor takes them.
        needs_labels: Whether the normal flags change the loss.

    Example:
        >>> from offclip.losses import OffClipLoss
        >>> loss, normal = OffClipLoss(), torch.tensor([True, True, False])
        >>> image = text = torch.eye(3)
        >>> bool(loss(image, text, 10.0, normal=normal) == loss(10 * image @ text.T, normal))
        True
        >>> list(loss(image, text, 10.0, normal=normal, output_dict=True))
        ['off_diagonal_loss', 'abnormal_infonce_loss']
    """

    options: ClassVar[tuple[str, ...]] = ()
    needs_labels: ClassVar[bool] = True

    def __init__(self, *, gather: Gather | None = None) -> None:
        super().__init__()
        self.gather = gather

    @abstractmethod
    def parts(
        self,
        logits: Tensor,
        normal: Any,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """What the loss adds up, by name: scalars with their weights in them, for a loop that logs."""

    if TYPE_CHECKING:  # nn.Module calls `forward`, and says nothing of its types

        @overload
        def __call__(
            self,
            logits: Tensor,
            normal: Tensor | None = None,
            uncertain: Tensor | None = None,
            identical: Tensor | None = None,
        ) -> Tensor: ...
        @overload
        def __call__(
            self,
            image_features: Tensor,
            text_features: Tensor,
            logit_scale: Tensor | float,
            logit_bias: Tensor | float | None = None,
            output_dict: Literal[False] = False,
            **extra: Any,
        ) -> Tensor: ...
        @overload
        def __call__(
            self,
            image_features: Tensor,
            text_features: Tensor,
            logit_scale: Tensor | float,
            logit_bias: Tensor | float | None = None,
            *,
            output_dict: Literal[True],
            **extra: Any,
        ) -> dict[str, Tensor]: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """See `of_logits` and `of_features`."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor | dict[str, Tensor]:
        """The loss of logits or of features: `of_logits` or `of_features`, whose arguments it takes.

        Features they are if one of the arguments of `of_features` is named, or if the second one is a matrix
        of floats.
        """
        named = not {"image_features", "text_features", "logit_scale"}.isdisjoint(kwargs)
        second = args[1] if len(args) > 1 else None
        matrix = isinstance(second, Tensor) and second.ndim == 2 and second.is_floating_point()
        return self.of_features(*args, **kwargs) if named or matrix else self.of_logits(*args, **kwargs)

    def of_logits(
        self,
        logits: Tensor,
        normal: Tensor | None = None,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> Tensor:
        """The loss of a logit matrix.

        Args:
            logits: Scaled logits, (N, N) float; rows images, columns texts.
            normal: Normal flags, (N,) bool; the baselines do without.
            uncertain: Uncertain flags, (N,) bool.
            identical: Cells of verbatim-equal text, (N, N) bool, or the number of every pair's text, (N,)
                integer, from which `identical_cells` makes them.

        Returns:
            A scalar.

        Raises:
            InputError: An argument is wrong, the flags are missing, or the module gathers.
        """
        if self.gather is not None:
            raise InputError(
                f"{type(self).__name__} was given gather=, and logits cannot be gathered.",
                "Pass image_features, text_features and logit_scale.",
            )
        return _sum(self._parts(logits, normal, uncertain, identical))

    def of_features(
        self,
        image_features: Tensor,
        text_features: Tensor,
        logit_scale: Tensor | float,
        logit_bias: Tensor | float | None = None,
        output_dict: bool = False,
        *,
        normal: Tensor | None = None,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
        **extra: object,
    ) -> Tensor | dict[str, Tensor]:
        """The loss of features, called as open_clip calls `ClipLoss`.

        Args:
            image_features: (N, D) float, of unit length (see `feature_logits`).
            text_features: (N, D) float, of unit length.
            logit_scale: One number, the scale and not its logarithm.
            logit_bias: One number, added to the logits.
            output_dict: Return the parts by name; they add up to the loss.
            normal: Normal flags, (N,) bool; the baselines do without.
            uncertain: Uncertain flags, (N,) bool.
            identical: As in `of_logits`. Cells cannot be gathered or accumulated; numbers of texts can.
            **extra: What else a model returns in open_clip's loop. Ignored.

        Returns:
            A scalar, or a dictionary of scalars.

        Raises:
            InputError: An argument is wrong, or the flags are missing.
        """
        if self.needs_labels and normal is None:
            others = f" (it got {', '.join(sorted(extra))})" if extra else ""
            raise InputError(
                f"{type(self).__name__} needs the normal flags beside the features{others}.",
                "Pass normal=, a bool vector (N,); in open_clip's loop, let the model return it as "
                "'normal' beside 'image_features'.",
            )
        if self.gather is not None:
            if identical is not None and identical.ndim != 1:
                raise InputError(
                    "identical cells cannot be gathered from several processes.",
                    "Pass the number of every pair's text, (N,) integer, the same number for the same "
                    "text in every process.",
                )
            image_features, text_features = self.gather(image_features), self.gather(text_features)
            normal, uncertain, identical = (
                None if flags is None else self.gather(flags) for flags in (normal, uncertain, identical)
            )
        logits = feature_logits(image_features, text_features, logit_scale, logit_bias)
        parts = self._parts(logits, normal, uncertain, identical)
        return parts if output_dict else _sum(parts)

    def extra_repr(self) -> str:
        """The options, as the constructor takes them."""
        shown = {name: getattr(self, name) for name in self.options}
        if self.gather is not None:
            shown["gather"] = self.gather
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())

    def _parts(
        self, logits: Tensor, normal: Tensor | None, uncertain: Tensor | None, identical: Tensor | None
    ) -> dict[str, Tensor]:
        if isinstance(identical, Tensor) and identical.ndim == 1 and identical.dtype != torch.bool:
            identical = identical_cells(identical)
        return self.parts(logits, normal, uncertain, identical)


def _sum(parts: dict[str, Tensor]) -> Tensor:
    first, *others = parts.values()
    return sum(others, first)
