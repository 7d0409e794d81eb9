"""The published model in plain float64 NumPy, straight from its description: slow, and nothing is left out.

All slots of a text are encoded and attended to, keys and values are made anew for every memory, and tensors
bear the names of the file. It shares no code with the package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf


@dataclass(frozen=True)
class Reference:
    """Outputs in float64, named as in the golden file; `*_attention` is (layers, B, T, entries)."""

    img_g: np.ndarray
    img_l: np.ndarray
    txt_g: np.ndarray
    txt_l: np.ndarray
    i2t: np.ndarray
    t2i: np.ndarray
    i2t_attention: np.ndarray
    t2i_attention: np.ndarray

    @property
    def sim(self):
        return (self.i2t + self.t2i) / 2


def run(state, config, pixels, input_ids, attention_mask, is_continuation) -> Reference:
    """Everything, from tensors by their names in the file; `pixels` is (B, 3, S, S)."""
    w = {name: np.asarray(tensor, dtype=np.float64) for name, tensor in state.items()}
    images = [encode_image(w, config, np.asarray(p, np.float64)) for p in pixels]
    texts = [
        encode_text(w, config, *(np.asarray(part) for part in row))
        for row in zip(input_ids, attention_mask, is_continuation, strict=True)
    ]
    img_g, img_l = (np.stack(part) for part in zip(*images, strict=True))
    txt_g, txt_l = (np.stack(part) for part in zip(*texts, strict=True))
    i2t, i2t_attention = grid(w, config, txt_g, np.concatenate([img_g[:, None], img_l], axis=1))
    t2i, t2i_attention = grid(w, config, img_g, np.concatenate([txt_g[:, None], txt_l], axis=1))
    return Reference(
        img_g, img_l, txt_g, txt_l, i2t, t2i.T, i2t_attention, t2i_attention.transpose(0, 2, 1, 3)
    )


def encode_image(w, config, pixels):
    """Global vector (D) and patches (P, D) of one image (3, S, S)."""
    p, size = config.patch_size, config.image_size
    side = size // p
    patches = pixels.reshape(3, side, p, side, p).transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
    name = "img_encoder.model"
    kernel = w[f"{name}.patch_embed.proj.weight"].reshape(config.width, -1)
    x = patches @ kernel.T + w[f"{name}.patch_embed.proj.bias"]
    x = np.concatenate([w[f"{name}.cls_token"][0], x]) + w[f"{name}.pos_embed"][0]
    for n in range(config.image_layers):
        block = f"{name}.blocks.{n}"
        q, k, v = np.split(linear(w, f"{block}.attn.qkv", norm(w, f"{block}.norm1", x, 1e-6)), 3, axis=1)
        x = x + linear(w, f"{block}.attn.proj", attend(q, k, v, config.image_heads)[0])
        hidden = gelu(linear(w, f"{block}.mlp.fc1", norm(w, f"{block}.norm2", x, 1e-6)))
        x = x + linear(w, f"{block}.mlp.fc2", hidden)
    x = norm(w, f"{name}.norm", x, 1e-6)
    return x[0], x[1:]


def encode_text(w, config, ids, mask, continuation):
    """Global vector (D) and word slots (slots, D) of one text; piece by piece, as the description says."""
    name = "text_encoder.model"
    x = (
        w[f"{name}.embeddings.word_embeddings.weight"][ids]
        + w[f"{name}.embeddings.position_embeddings.weight"][: len(ids)]
        + w[f"{name}.embeddings.token_type_embeddings.weight"][0]
    )
    x = norm(w, f"{name}.embeddings.LayerNorm", x, 1e-12)
    states = []
    for n in range(config.text_layers):
        layer = f"{name}.encoder.layer.{n}"
        q, k, v = (linear(w, f"{layer}.attention.self.{part}", x) for part in ("query", "key", "value"))
        found, _ = attend(q, k, v, config.text_heads, np.where(mask, 0.0, -np.inf))
        mixed = linear(w, f"{layer}.attention.output.dense", found)
        x = norm(w, f"{layer}.attention.output.LayerNorm", mixed + x, 1e-12)
        hidden = gelu(linear(w, f"{layer}.intermediate.dense", x))
        x = norm(w, f"{layer}.output.LayerNorm", linear(w, f"{layer}.output.dense", hidden) + x, 1e-12)
        states.append(x)
    pooled, slots = 0.0, 0.0
    for state in states[-config.summed_layers :]:
        words = []
        for piece, goes_on, real in zip(state, continuation, mask, strict=True):
            if not real:
                break
            if goes_on:
                words[-1] = words[-1] + piece
            else:
                words.append(piece)
        filled = np.zeros((config.slots, config.width))
        filled[: len(words)] = words
        slots, pooled = slots + filled, pooled + filled.mean(axis=0)
    return pooled, slots


def grid(w, config, queries, memories):
    """Logits (M, Q), and head-averaged attention (layers, M, Q, N), one memory after the other."""
    logits, maps = [], []
    for memory in memories:
        memory = norm(w, "fusion_module.decoder_norm", memory, 1e-5)
        x, weights = norm(w, "fusion_module.decoder_norm", queries, 1e-5), []
        for n in range(config.fusion_layers):
            layer = f"fusion_module.decoder.layers.{n}"
            part = f"{layer}.multihead_attn"
            wq, wk, wv = np.split(w[f"{part}.in_proj_weight"], 3)
            bq, bk, bv = np.split(w[f"{part}.in_proj_bias"], 3)
            asked = norm(w, f"{layer}.norm2", x, 1e-5)
            found, attention = attend(
                asked @ wq.T + bq, memory @ wk.T + bk, memory @ wv.T + bv, config.fusion_heads
            )
            weights.append(attention.mean(axis=0))
            x = x + linear(w, f"{part}.out_proj", found)
            hidden = np.maximum(linear(w, f"{layer}.linear1", norm(w, f"{layer}.norm3", x, 1e-5)), 0)
            x = x + linear(w, f"{layer}.linear2", hidden)
        x = norm(w, "fusion_module.decoder_norm", x, 1e-5)
        for n in range(len(config.head_widths)):
            x = np.maximum(linear(w, f"fusion_module.mlp_head.{3 * n}", x), 0)
        logits.append(linear(w, f"fusion_module.mlp_head.{3 * len(config.head_widths)}", x)[:, 0])
        maps.append(weights)
    return np.stack(logits), np.asarray(maps).swapaxes(0, 1)


def attend(q, k, v, heads, bias=0.0):
    """Attention of (Q, D) over (N, D); also the weights (heads, Q, N)."""
    q, k, v = (x.reshape(len(x), heads, -1).transpose(1, 0, 2) for x in (q, k, v))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]) + bias
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return (weights @ v).transpose(1, 0, 2).reshape(q.shape[1], -1), weights


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(w, name, x, eps):
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2
