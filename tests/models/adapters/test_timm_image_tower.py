"""Image towers of timm: equal to timm's own calls, whatever the layout of their features."""

from typing import Any

import pytest
import torch

timm = pytest.importorskip("timm", reason="needs 'offclip[timm]'")

from timm_small import save_image  # noqa: E402

from offclip.errors import CheckpointError, ConfigError, OffclipError  # noqa: E402
from offclip.models.adapters.last_block import last_block_cells  # noqa: E402
from offclip.models.adapters.pixels import from_timm  # noqa: E402
from offclip.models.adapters.timm import image_source  # noqa: E402
from offclip.models.adapters.timm.image_source import read_image  # noqa: E402
from offclip.models.adapters.timm.image_tower import TimmImageTower, blocks_of  # noqa: E402
from offclip.models.adapters.timm.names import ImageName  # noqa: E402

MAPS = ("test_resnet", "test_efficientnet", "test_convnext", "test_mambaout")
TOKENS = (
    "test_vit",
    "test_vit3",
    "test_vit4",
)  # class token, attention pooling, registers and rotary positions
D = 24


@pytest.fixture(scope="module", params=[*MAPS, *TOKENS])
def saved(request, tmp_path_factory):
    """Name and folder of a model, and timm's own instance of it."""
    folder = save_image(tmp_path_factory.mktemp(request.param), request.param)
    return request.param, folder, timm.create_model(f"local-dir:{folder}", pretrained=True).eval()


def pixels(n: int = 2, size: int = 160, channels: int = 3) -> torch.Tensor:
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(1))


def tower_of(source: image_source.ImageSource, local: str = "tokens") -> TimmImageTower:
    torch.manual_seed(0)
    return TimmImageTower(source.trunk, source.shape, D, local).eval()


def read(folder: object, size: int | None = None, allow_pickle: bool = False) -> image_source.ImageSource:
    return read_image(ImageName(folder=str(folder)), size, allow_pickle)


@torch.inference_mode()
def test_pooled_features_are_those_of_timm(saved):
    name, folder, own = saved
    tower = tower_of(read(folder))
    features = own.forward_features(pixels())
    if name == "test_mambaout":
        expected = features.mean(dim=(1, 2))
    elif name in MAPS:
        expected = features.mean(dim=(2, 3))
    else:
        expected = own.forward_head(features, pre_logits=True)
    found = tower(pixels())
    assert torch.allclose(found.pooled, tower.project(expected), rtol=1e-5, atol=1e-6)
    assert found.pooled.std(dim=0).max() > 1e-4


@torch.inference_mode()
def test_cells_are_on_the_grid_of_timm(saved):
    name, folder, own = saved
    tower = tower_of(read(folder))
    found = tower(pixels())
    features = own.forward_features(pixels())
    if name in MAPS:
        cells = features.flatten(1, 2) if name == "test_mambaout" else features.flatten(2).transpose(1, 2)
        assert torch.allclose(found.local.mean(dim=1), found.pooled, atol=1e-5)
    else:
        cells = features[:, own.num_prefix_tokens :]
        if name == "test_vit3":
            cells = torch.stack([own.attn_pool(cell[:, None]) for cell in cells.unbind(1)], dim=1)
        cells = own.fc_norm(cells)
    assert found.grid == (5, 5) if name in MAPS else found.grid == (10, 10)
    assert torch.allclose(found.local, tower.project(cells), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("how", ["values", "self-attention"])
def test_cells_are_read_off_the_last_block(tmp_path, how):
    source = read(save_image(tmp_path, "test_vit"))
    trunk: Any = source.trunk
    tower = tower_of(source, how)
    inputs: list[torch.Tensor] = []
    hook = trunk.blocks[-1].register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    found = tower(pixels())
    hook.remove()
    cells = trunk.norm(last_block_cells(trunk.blocks[-1], inputs[0], how))[:, 1:]
    assert torch.allclose(found.local, tower.project(cells), atol=1e-5)
    assert not torch.allclose(found.local, tower_of(source)(pixels()).local, atol=1e-3)
    assert torch.allclose(found.pooled, tower_of(source)(pixels()).pooled, atol=1e-6)


def test_every_weight_learns(saved):
    _, folder, _ = saved
    tower = tower_of(read(folder)).train()
    found = tower(pixels(4))
    (found.pooled.square().sum() + found.local.square().sum()).backward()
    silent = [name for name, p in tower.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not silent


def test_the_layers_are_named(saved):
    name, folder, own = saved
    tower = tower_of(read(folder))
    numbers = {"test_resnet": 4, "test_efficientnet": len(own.blocks) if hasattr(own, "blocks") else 0}
    expected = numbers.get(name, len(getattr(own, "blocks", getattr(own, "stages", ()))))
    assert len(tower.blocks) == expected
    inside = set(tower.trunk.modules())
    assert all(block in inside for block in tower.blocks)
    assert tower.fresh == (tower.project,)


def test_the_layers_of_other_shapes():
    for architecture, number in (("regnetx_002", 4), ("swin_tiny_patch4_window7_224", 4), ("densenet121", 8)):
        with torch.device("meta"):
            assert len(blocks_of(timm.create_model(architecture))) == number


def test_pixels_are_as_timm_makes_them(saved):
    _, folder, own = saved
    assert read(folder).preprocess == from_timm(timm.data.resolve_model_data_config(own))
    assert read(folder, 192).preprocess.size == 192


@torch.inference_mode()
@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_another_size_gives_what_timm_gives_there(tmp_path, architecture):
    folder = save_image(tmp_path, architecture)
    arguments = {"img_size": 96} if architecture == "test_vit" else {}
    own = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0, **arguments).eval()
    tower = tower_of(read(folder, 96))
    if architecture == "test_vit":
        expected = own(pixels(size=96))
    else:
        expected = own.forward_features(pixels(size=96)).mean(dim=(2, 3))
    assert torch.allclose(tower(pixels(size=96)).pooled, tower.project(expected), rtol=1e-5, atol=1e-6)


def test_a_model_of_one_channel_stays_one(tmp_path):
    source = read(
        save_image(
            tmp_path,
            "test_resnet",
            in_chans=1,
            pretrained_cfg_overlay={"input_size": (1, 160, 160), "mean": (0.5,), "std": (0.25,)},
        )
    )
    assert source.preprocess.mean == (0.5,)
    assert tower_of(source)(pixels(channels=1)).pooled.shape == (2, D)


def test_weights_from_a_file_and_from_the_hub(tmp_path, monkeypatch):
    folder = save_image(tmp_path / "folder", "test_resnet")
    asked: list[str] = []

    def fetch(source: str, *, allow_pickle: bool = False):
        del allow_pickle
        asked.append(source)
        return folder

    from_file = read_image(ImageName("test_resnet", folder / "model.safetensors"), None, False)
    monkeypatch.setattr(image_source, "fetch", fetch)
    from_tag = read_image(ImageName(tag="test_resnet.r160_in1k"), None, False)
    default = read_image(ImageName(tag="test_resnet"), None, False)
    assert asked == ["timm/test_resnet.r160_in1k"] * 2
    expected = read(folder).trunk.state_dict()
    for source in (from_file, from_tag, default):
        assert all(torch.equal(value, expected[name]) for name, value in source.trunk.state_dict().items())


def test_random_weights_need_no_file():
    torch.manual_seed(0)
    first = read_image(ImageName("test_resnet"), 64, False).trunk.state_dict()
    second = read_image(ImageName("test_resnet"), 64, False).trunk.state_dict()
    assert any(not torch.equal(value, second[name]) for name, value in first.items())


def test_a_pickle_needs_consent(tmp_path):
    folder = save_image(tmp_path / "folder", "test_resnet")
    expected = read(folder).trunk.state_dict()
    torch.save(timm.models.load_state_dict(str(folder / "model.safetensors")), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="pickle"):
        read(folder)
    found = read(folder, allow_pickle=True).trunk.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


@pytest.mark.parametrize(
    ("name", "size", "problem"),
    [
        (ImageName("resnet18q"), None, "Did you mean resnet18"),
        (ImageName(tag="test_resnet.r160_in2k"), None, "test_resnet.r160_in1k"),
        (ImageName(tag="test_nfnet.nothing"), None, "no model"),
        (ImageName("test_resnet"), 100, "multiples of 32"),
        (ImageName("test_resnet"), 0, "multiples of 32"),
        (ImageName("test_vit"), 100, "cannot take 100 x 100"),
        (ImageName("coat_tiny"), None, "no features on a grid"),
        (ImageName("volo_d1_224"), None, "no features on a grid"),
        (ImageName(tag="efficientnet_lite1"), None, "publishes no weights"),
    ],
)
def test_a_clear_error(name, size, problem):
    with pytest.raises(ConfigError) as caught:
        read_image(name, size, False)
    assert problem in str(caught.value)


def test_weights_of_another_model(tmp_path):
    folder = save_image(tmp_path / "folder", "test_resnet")
    with pytest.raises(CheckpointError, match="not the weights of timm's test_convnext"):
        read_image(ImageName("test_convnext", folder / "model.safetensors"), None, False)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no weights; looked for model\.safetensors"):
        read(folder)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="names no architecture of timm"):
        read(folder)
    with pytest.raises(OffclipError, match="no such file"):
        read_image(ImageName("test_resnet", tmp_path / "none.safetensors"), None, False)
