"""Which parts of a model are trained: whole towers, their last blocks, matrices beside them, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from offclip.errors import ConfigError
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures, Tower
from offclip.training.config import TrainConfig
from offclip.training.lora import add_lora

log = logging.getLogger(__name__)

Probe = Callable[[], list[Tensor]]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What of a model is trained.

    Attributes:
        model: The model; what is frozen needs no gradient.
        asleep: Towers that are frozen in part or as a whole: they stay in evaluation mode ...
        awake: ... but for these modules.
        depths: For `layer_decay`: how many blocks stand behind a parameter, plus one; 0, or missing, for what
            stands behind all of them.
        frozen: Names of the towers in which nothing is trained.
    """

    model: ClipModel
    asleep: tuple[nn.Module, ...] = ()
    awake: tuple[nn.Module, ...] = ()
    depths: Mapping[nn.Parameter, int] | None = None
    frozen: frozenset[str] = frozenset()

    def train(self) -> None:
        """Training mode but for what is frozen: its dropout rests, its batch norm keeps its statistics."""
        self.model.train()
        for module in self.asleep:
            module.eval()
        for module in self.awake:
            module.train()


def tune(model: ClipModel, config: TrainConfig, token_ids: Tensor, token_mask: Tensor) -> Tuning:
    """Freezes what the recipe does not train, and adds what it trains instead.

    What belongs to no tower, such as the scale, and what no pretraining has seen, is always trained.

    Args:
        model: The model; it is changed.
        config: The recipe.
        token_ids: A text (1, L), to see which parts work behind which.
        token_mask: Its mask.

    Raises:
        ConfigError: The model does not say what its towers are, or has no such blocks or nothing to adapt.
    """
    wanted = {"image": config.image_layers, "text": config.text_layers}
    if set(wanted.values()) == {"all"} and config.layer_decay == 1:
        return Tuning(model)
    towers = model.towers()
    if not towers:
        raise ConfigError(
            f"{config.model}: the model does not say what its towers are.",
            "Train it as a whole: image_layers and text_layers 'all', layer_decay 1.",
        )
    probes = _probes(model, token_ids, token_mask)
    model.eval()
    asleep, awake = [], []
    for name, layers in wanted.items():
        if layers != "all":
            asleep.append(towers[name].module)
            awake += _freeze(name, towers[name], layers, config, probes[name])
    if model.untrained and asleep:
        log.warning("%s: what is random in a frozen tower is trained all the same.", config.model)
    frozen = {
        name for name, tower in towers.items() if not any(p.requires_grad for p in tower.module.parameters())
    }
    depths = None
    if config.layer_decay < 1:
        depths = {}
        for name in sorted(wanted.keys() - frozen):
            depths |= _depths(towers[name], probes[name])
    return Tuning(model, tuple(asleep), tuple(awake), depths, frozenset(frozen))


def behind(tower: Tower, last: int, probe: Probe) -> set[nn.Parameter]:
    """The trainable parameters of the last blocks and of what stands behind them.

    The order in which modules are listed is not the order in which they work. So the output of the block
    before is cut off from the graph, and what the features still depend on is behind the cut.

    Raises:
        ConfigError: The tower does not say what its blocks are, or does not call them.
    """
    cuts = 0

    def cut_output(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        nonlocal cuts
        cuts += 1
        return _detached(output)

    def cut_input(_module: nn.Module, inputs: Any, named: Any) -> Any:
        nonlocal cuts
        cuts += 1
        return _detached(inputs), _detached(named)

    first = len(tower.blocks) - last
    if first < 0:
        raise ConfigError("The tower does not say what its blocks are.", "Choose 'all', 'none' or 'lora'.")
    if first:
        hook = tower.blocks[first - 1].register_forward_hook(cut_output)
    else:
        hook = tower.blocks[0].register_forward_pre_hook(cut_input, with_kwargs=True)
    try:
        with torch.enable_grad():
            total = torch.stack([features.float().sum() for features in probe()]).sum()
    finally:
        hook.remove()
    if not cuts:
        raise ConfigError("The tower does not call its blocks one by one.", "Choose 'all', 'none' or 'lora'.")
    if not total.requires_grad:
        return set()
    candidates = [p for p in tower.module.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, candidates, allow_unused=True)
    return {p for p, gradient in zip(candidates, gradients, strict=True) if gradient is not None}


def _freeze(name: str, tower: Tower, layers: str, config: TrainConfig, probe: Probe) -> list[nn.Module]:
    """Freezes a tower but for what is trained; returns the modules that are to be in training mode."""
    fresh = _parameters(tower.fresh)
    if layers == "lora":
        add_lora(name, tower, config.lora_rank, config.lora_alpha)
        kept = {p for p in tower.module.parameters() if p.requires_grad} | fresh
    elif layers == "none":
        kept = fresh
    else:
        number = int(layers.removeprefix("last-"))
        if number > len(tower.blocks):
            raise ConfigError(
                f"{name}_layers: the {name} tower has {len(tower.blocks)} blocks, not {number}.",
                "Choose fewer, or 'all'.",
            )
        kept = (behind(tower, number, probe) | fresh) & {
            p for p in tower.module.parameters() if p.requires_grad
        }
    for parameter in tower.module.parameters():
        parameter.requires_grad_(parameter in kept)
    if not layers.startswith("last-"):
        return list(tower.fresh)
    awake = [*tower.fresh, *tower.blocks[-int(layers.removeprefix("last-")) :]]
    inside = {module for part in awake for module in part.modules()}
    # Behind the blocks: modules that hold trained parameters themselves, such as a last norm.
    single = [m for m in tower.module.modules() if m not in inside and m is not tower.module]
    return awake + [m for m in single if not list(m.children()) and any(p in kept for p in m.parameters())]


def _depths(tower: Tower, probe: Probe) -> dict[nn.Parameter, int]:
    last = behind(tower, 1, probe)
    blocks = list(tower.blocks)
    depths = dict.fromkeys(tower.module.parameters(), len(blocks) + 1)
    depths |= dict.fromkeys(last, 0)
    for number, block in enumerate(blocks):
        depths |= dict.fromkeys(block.parameters(), len(blocks) - number)
    return depths | dict.fromkeys(_parameters(tower.fresh), 0)


def _parameters(modules: Iterable[nn.Module]) -> set[nn.Parameter]:
    return {parameter for module in modules for parameter in module.parameters()}


def _probes(model: ClipModel, token_ids: Tensor, token_mask: Tensor) -> dict[str, Probe]:
    def image() -> list[Tensor]:
        size = model.preprocess.size
        grey = torch.zeros(1, size, size, dtype=torch.uint8, device=token_ids.device)
        features: ImageFeatures = model.encode_image(model.preprocess.normalise(grey))
        return [features.pooled, features.local]

    def text() -> list[Tensor]:
        length = int(token_mask.sum(dim=1).max())
        features: TextFeatures = model.encode_text(token_ids[:, :length], token_mask[:, :length])
        return [features.pooled, features.tokens]

    return {"image": image, "text": text}


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, tuple):
        return tuple(_detached(part) for part in value)
    if isinstance(value, dict):
        return {name: _detached(part) for name, part in value.items()}
    return value
