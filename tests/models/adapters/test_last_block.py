"""Cells of the last block: every layout against sums written out in float64, head by head."""

import copy
import logging

import pytest
import torch
from torch import nn

from offclip.errors import ConfigError
from offclip.models.adapters.last_block import LOCAL, last_block_cells
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.model import CarZero

WIDTH, HEADS, TOKENS = 16, 2, 7

# Every maker returns a block, and what names its weights: norm, q, k, v, output, second norm, and the rest.


def carzero():
    block = CarZero(CarZeroConfig.tiny()).image_tower.blocks[-1]
    return block, lambda b: (b.norm1, *thirds(b.attn.qkv), b.attn.proj, b.norm2, {})


def transformers_clip():
    module = pytest.importorskip("transformers.models.clip.modeling_clip")
    config = module.CLIPVisionConfig(hidden_size=WIDTH, intermediate_size=24, num_attention_heads=HEADS)
    config._attn_implementation = "sdpa"
    block = module.CLIPEncoderLayer(config)
    return block, lambda b: (b.layer_norm1, *linears(b.self_attn), b.self_attn.out_proj, b.layer_norm2, {})


def transformers_siglip():
    module = pytest.importorskip("transformers.models.siglip.modeling_siglip")
    config = module.SiglipVisionConfig(hidden_size=WIDTH, intermediate_size=24, num_attention_heads=HEADS)
    config._attn_implementation = "sdpa"
    block = module.SiglipEncoderLayer(config)
    return block, lambda b: (b.layer_norm1, *linears(b.self_attn), b.self_attn.out_proj, b.layer_norm2, {})


def transformers_vit():
    module = pytest.importorskip("transformers.models.vit.modeling_vit")
    config = module.ViTConfig(hidden_size=WIDTH, intermediate_size=24, num_attention_heads=HEADS)
    config._attn_implementation = "sdpa"
    block = module.ViTLayer(config)
    return block, lambda b: (
        b.layernorm_before,
        *linears(b.attention),
        b.attention.o_proj,
        b.layernorm_after,
        {},
    )


def transformers_dinov2():
    module = pytest.importorskip("transformers.models.dinov2.modeling_dinov2")
    config = module.Dinov2Config(hidden_size=WIDTH, mlp_ratio=2, num_attention_heads=HEADS)
    config._attn_implementation = "sdpa"
    block = module.Dinov2Layer(config)
    return block, lambda b: (
        b.norm1,
        *linears(b.attention),
        b.attention.o_proj,
        b.norm2,
        {"scale1": b.layer_scale1.lambda1, "scale2": b.layer_scale2.lambda1},
    )


def open_clip():
    module = pytest.importorskip("open_clip.transformer", reason="needs 'offclip[openclip]'")

    def weights(b):
        fused = fused_of(b.attn.in_proj_weight, b.attn.in_proj_bias)
        return b.ln_1, *fused, b.attn.out_proj, b.ln_2, {"scale1": b.ls_1.gamma, "scale2": b.ls_2.gamma}

    return module.ResidualAttentionBlock(WIDTH, HEADS, mlp_ratio=2.0, ls_init_value=0.3), weights


def timm_plain(**options):
    module = pytest.importorskip("timm.models.vision_transformer", reason="needs 'offclip[timm]'")
    block = module.Block(WIDTH, HEADS, mlp_ratio=2.0, qkv_bias=True, **options)
    return block, lambda b: (b.norm1, *thirds(b.attn.qkv), b.attn.proj, b.norm2, {})


def timm_with_everything():
    block, plain = timm_plain(qk_norm=True, init_values=0.3, scale_attn_norm=True, drop_path=0.5)
    return block, lambda b: (
        *plain(b)[:-1],
        {"query_norm": b.attn.q_norm, "key_norm": b.attn.k_norm, "inner": b.attn.norm}
        | {"scale1": b.ls1.gamma, "scale2": b.ls2.gamma},
    )


def timm_eva():
    module = pytest.importorskip("timm.models.eva", reason="needs 'offclip[timm]'")

    def weights(b):
        bias = torch.cat([b.attn.q_bias, b.attn.k_bias, b.attn.v_bias])
        fused = fused_of(b.attn.qkv.weight, bias)
        return b.norm1, *fused, b.attn.proj, b.norm2, {"scale1": b.gamma_1, "scale2": b.gamma_2}

    return module.EvaBlock(WIDTH, HEADS, mlp_ratio=2.0, swiglu_mlp=True, init_values=0.3), weights


MAKERS = [
    carzero,
    transformers_clip,
    transformers_siglip,
    transformers_vit,
    transformers_dinov2,
    open_clip,
    timm_plain,
    timm_with_everything,
    timm_eva,
]


def fused_of(weight, bias):
    return tuple(zip(weight.chunk(3), bias.chunk(3), strict=True))


def thirds(qkv):
    return fused_of(qkv.weight, qkv.bias)


def linears(attention):
    return tuple((one.weight, one.bias) for one in (attention.q_proj, attention.k_proj, attention.v_proj))


def normed(norm, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


def reference(block, weights, how, x):
    """One image (N, C) in float64."""
    norm1, query, key, value, out, norm2, extra = weights
    heads = HEADS if x.shape[-1] == WIDTH else CarZeroConfig.tiny().image_heads
    y = normed(norm1, x)
    q, k, v = ((y @ weight.T + bias).chunk(heads, dim=-1) for weight, bias in (query, key, value))
    if "query_norm" in extra:
        q, k = [normed(extra["query_norm"], a) for a in q], [normed(extra["key_norm"], a) for a in k]
    found = []
    for head in range(heads):
        other = q[head] if how == "self-attention" else k[head]
        attention = torch.stack([torch.exp(row @ other.T / q[head].shape[-1] ** 0.5) for row in q[head]])
        attention = attention / attention.sum(dim=1, keepdim=True)
        found.append(v[head] if how == "values" else attention @ v[head])
    joined = torch.cat(found, dim=-1)
    joined = normed(extra["inner"], joined) if "inner" in extra else joined
    added = (joined @ out.weight.T + out.bias) * extra.get("scale1", 1)
    if how == "self-attention":
        return added
    return x + added + block.mlp(normed(norm2, x + added)) * extra.get("scale2", 1)


def own_output(block, hidden):
    """The block, called as its library calls it."""
    named = type(block).__name__
    return block(hidden, None) if named in ("CLIPEncoderLayer", "SiglipEncoderLayer") else block(hidden)


@pytest.fixture(scope="module", params=MAKERS, ids=lambda maker: maker.__name__)
def made(request):
    """A block with weights that all matter, what names them, and the input of two images."""
    torch.manual_seed(0)
    block, weights = request.param()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    width = weights(block)[0].weight.shape[0]
    return block.eval(), weights, torch.randn(2, TOKENS, width)


@pytest.mark.parametrize("how", LOCAL)
def test_every_way_is_the_sum_written_out(made, how, caplog):
    block, weights, hidden = made
    with torch.no_grad():
        found = last_block_cells(block, hidden, how)
        exact = copy.deepcopy(block).double()
        expected = torch.stack([reference(exact, weights(exact), how, x) for x in hidden.double()])
        double = last_block_cells(exact, hidden.double(), how)
    assert not caplog.records  # recognised, not replaced by its tokens
    assert torch.allclose(found.double(), expected, atol=2e-5)
    assert torch.allclose(double, expected, rtol=0, atol=1e-10)


def test_the_ways_differ_and_tokens_are_the_block_itself(made):
    block, _, hidden = made
    with torch.inference_mode():
        tokens, values, attention = (last_block_cells(block, hidden, how) for how in LOCAL)
        assert torch.allclose(tokens, own_output(block, hidden), atol=1e-6)
    assert (tokens - values).abs().max() > 1e-3
    assert (values - attention).abs().max() > 1e-3


def test_one_token_can_attend_to_itself_only(made):
    block, _, hidden = made
    with torch.no_grad():
        tokens, values, attention = (last_block_cells(block, hidden[:, :1], how) for how in LOCAL)
        none = last_block_cells(block, hidden[:, :0], "values")
    assert torch.allclose(tokens, values, atol=1e-5)
    assert not torch.allclose(tokens, attention, atol=1e-2)  # no residual, no feed-forward part
    assert none.shape == (2, 0, hidden.shape[-1])


def test_with_values_a_cell_depends_on_its_own_token_alone(made):
    block, _, hidden = made
    changed = hidden.clone()
    changed[:, 3] += torch.linspace(-1, 1, hidden.shape[-1])  # no shift of all channels: a norm takes it off
    with torch.no_grad():
        for how, others in (("tokens", True), ("values", False), ("self-attention", True)):
            one, other = (last_block_cells(block, x, how) for x in (hidden, changed))
            moved = (one - other).abs().amax(dim=-1) > 1e-6
            assert moved[:, 3].all()
            assert moved[:, [0, 1, 2, 4, 5, 6]].any() == others, how


@pytest.mark.parametrize("how", LOCAL)
def test_gradients_agree_with_differences(made, how):
    block, _, hidden = made
    block = copy.deepcopy(block).double()
    x = hidden[:1].double().requires_grad_()
    weights = torch.linspace(-1, 1, x.numel(), dtype=torch.float64).view_as(x)
    (gradient,) = torch.autograd.grad((last_block_cells(block, x, how) * weights).sum(), x)
    step = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 1e-5
    with torch.no_grad():
        up, down = ((last_block_cells(block, x + s * step, how) * weights).sum() for s in (1, -1))
    assert float(up - down) == pytest.approx(float(2 * (gradient * step).sum()), rel=1e-4)
    assert any(p.grad is None for p in block.parameters())


def test_dropped_paths_do_not_touch_cells_in_training(made):
    block, _, hidden = made
    trained = copy.deepcopy(block).train()
    with torch.no_grad():
        for how in ("values", "self-attention"):
            expected = last_block_cells(block, hidden, how)
            assert torch.allclose(last_block_cells(trained, hidden, how), expected, atol=1e-6)


def test_half_precision_is_recognised_as_well(made, caplog):
    block, _, hidden = made
    half = copy.deepcopy(block).bfloat16()
    with torch.no_grad():
        found = last_block_cells(half, hidden.bfloat16(), "values")
        with torch.autocast("cpu", torch.bfloat16):
            cast = last_block_cells(copy.deepcopy(block), hidden, "values")
        expected = last_block_cells(block, hidden, "values")
    assert not caplog.records
    size = expected.abs().max()
    assert (found.float() - expected).abs().max() < 0.05 * size
    assert (cast.float() - expected).abs().max() < 0.05 * size


class PostNorm(nn.Module):
    """The names of a known block, and other sums: its norms stand behind."""

    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        x = x + self.ln_1(self.attn(x, x, x, need_weights=False)[0])
        return x + self.ln_2(self.mlp(x))


class Windowed(nn.Module):
    """No part has a known name, and it returns more than the tokens."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(WIDTH, WIDTH)

    def forward(self, x, shift=0.0):
        return self.mix(x) + shift, None


@pytest.mark.parametrize("kind", [PostNorm, Windowed])
def test_an_unknown_block_gives_its_tokens_with_one_warning(kind, caplog, monkeypatch):
    monkeypatch.setattr("offclip.models.adapters.last_block._unknown", set())
    torch.manual_seed(0)
    block, hidden = kind().eval(), torch.randn(2, TOKENS, WIDTH)
    with torch.no_grad():
        output = block(hidden)
    expected = output[0] if isinstance(output, tuple) else output
    with caplog.at_level(logging.WARNING), torch.no_grad():
        assert torch.equal(last_block_cells(block, hidden, "tokens"), expected)
        assert not caplog.records  # that is what was asked for
        for how in ("values", "self-attention", "values"):
            assert torch.equal(last_block_cells(block, hidden, how), expected)
    (record,) = caplog.records
    assert kind.__name__ in record.message


def test_what_a_block_needs_beside_the_tokens_is_passed_on():
    block, hidden = Windowed().eval(), torch.zeros(1, 2, WIDTH)
    with torch.no_grad():
        shifted = last_block_cells(block, hidden, "tokens", shift=1.0)
        assert torch.allclose(shifted, last_block_cells(block, hidden, "tokens") + 1)


def test_grouped_keys_are_not_taken_for_others(caplog):
    module = pytest.importorskip("timm.models.eva", reason="needs 'offclip[timm]'")

    block = module.EvaBlock(WIDTH, 4, attn_type="rope", qkv_fused=False, num_kv_heads=2).eval()
    with torch.no_grad():
        found = last_block_cells(block, torch.ones(1, TOKENS, WIDTH), "values")
    assert found.shape == (1, TOKENS, WIDTH)
    assert len(caplog.records) == 1


def test_another_way_is_refused(made):
    block, _, hidden = made
    with pytest.raises(ConfigError, match=r"'keys'.*tokens, values, self-attention"):
        last_block_cells(block, hidden, "keys")
