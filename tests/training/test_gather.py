"""Two processes that gather are one process with the whole batch."""

from __future__ import annotations

import copy
from datetime import timedelta

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from offclip.losses import InfoNceLoss, MultiPositiveLoss, OffClipLoss, SigLipLoss
from offclip.training.gather import AllGather

PAIRS, WIDTH = 7, 5
LOSSES = {
    "off-clip": OffClipLoss,
    "multi-positive": MultiPositiveLoss,
    "infonce": InfoNceLoss,
    "siglip": SigLipLoss,
}


class TwoTowers(nn.Module):
    """The smallest CLIP, in open_clip's manners."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(WIDTH, 4), nn.Linear(WIDTH, 4)
        self.logit_scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, images: torch.Tensor, texts: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "image_features": nn.functional.normalize(self.image(images), dim=-1),
            "text_features": nn.functional.normalize(self.text(texts), dim=-1),
            "logit_scale": self.logit_scale.exp(),
        }


def batch() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    images, texts = torch.randn(2, PAIRS, WIDTH, generator=generator, dtype=torch.float64)
    # Normal pairs, and pairs with the same text, stand on both sides of every cut between the processes.
    normal = torch.tensor([True, False, True, False, True, False, False])
    uncertain = torch.tensor([False, False, False, False, False, True, False])
    return images, texts, normal, uncertain, torch.tensor([1, 2, 1, 3, 4, 5, 2])


def step(model: nn.Module, loss: nn.Module, part: slice) -> list[torch.Tensor]:
    """The loss and the gradients of all parameters."""
    images, texts, normal, uncertain, text_ids = (rows[part] for rows in batch())
    out = model(images, texts)
    value = loss(**out, normal=normal, uncertain=uncertain, identical=text_ids)
    value.backward()
    return [value.detach(), *(p.grad for p in model.parameters())]


CUTS = {"equal": slice(3, 6), "uneven": slice(5, PAIRS)}  # the pairs of the second process
CASES = [(cut, name) for cut in CUTS for name in LOSSES]


def work(rank: int, world: int, folder: str, start: dict[str, torch.Tensor]) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", world)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=timedelta(seconds=60))
    results = {}
    for cut, name in CASES:
        model = TwoTowers().double()
        model.load_state_dict(start)
        loss = LOSSES[name](gather=AllGather(equal=cut == "equal"))
        part = CUTS[cut] if rank else slice(0, CUTS[cut].start)
        results[f"{cut} {name}"] = step(DistributedDataParallel(model), loss, part)
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def start() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return TwoTowers().double().state_dict()


@pytest.fixture(scope="module")
def of_ranks(start, tmp_path_factory) -> list[dict[str, list[torch.Tensor]]]:
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(work, (2, str(folder), start), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize(("cut", "name"), CASES)
def test_two_processes_are_one(start, of_ranks, cut, name):
    model = TwoTowers().double()
    model.load_state_dict(start)
    alone = step(copy.deepcopy(model), LOSSES[name](), slice(0, CUTS[cut].stop))
    local = step(copy.deepcopy(model), LOSSES[name](), slice(0, CUTS[cut].start))
    assert not torch.allclose(alone[1], local[1], rtol=1e-3)  # the other process matters
    for found in of_ranks:
        torch.testing.assert_close(found[f"{cut} {name}"], alone, rtol=1e-12, atol=1e-14)


def test_a_process_alone_keeps_its_rows():
    rows = torch.ones(2, 3, requires_grad=True)
    assert AllGather()(rows) is rows
