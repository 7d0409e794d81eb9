"""Makes the expected numbers that travel with the package. To write them anew, run this file."""

import json
import zlib
from pathlib import Path

import carzero_numpy as reference
import numpy as np

from offclip.models.carzero import parity
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import TINY_PROMPTS, make_pixels, make_prompts, make_weights

GOLDEN = Path(__file__).parent / "data/golden.npz"
SALT, IMAGE_SEEDS, STEP = "offclip-tiny", [1, 2, 3], 4
DIGITS = 9


def tiny() -> dict:
    """The small geometry, by the reference."""
    config = CarZeroConfig.tiny()
    weights, prompts = make_weights(config, SALT), make_prompts(SALT, TINY_PROMPTS)
    found = reference.run(
        weights,
        config,
        make_pixels(IMAGE_SEEDS, config, channels=3),
        prompts.input_ids,
        prompts.attention_mask,
        prompts.is_continuation,
    )
    maps = found.i2t_attention[..., 1:].mean(axis=0).reshape(*found.i2t.shape, *config.grid)
    values = {name: getattr(found, name) for name in ("sim", "i2t", "t2i", "img_g", "txt_g")}
    return {
        "salt": SALT,
        "image_seeds": IMAGE_SEEDS,
        "weights_crc": parity.weights_crc(weights),
        "channels": list(range(config.width)),
        "step": 1,
        "values": {name: rounded(value) for name, value in (values | {"heat_map": maps}).items()},
    }


def published() -> dict:
    """The published geometry, by the published code, and what its preprocessing makes of pictures."""
    golden = np.load(GOLDEN)
    channels = golden["channels"].tolist()
    values = {name: golden[f"{name}_f64"] for name in ("sim", "i2t", "t2i")}
    values |= {name: golden[f"{name}_f64"][:, channels] for name in ("img_g", "txt_g")}
    values["heat_map"] = golden["i2t_attn_mean4"][..., ::STEP, ::STEP]
    pictures = []
    for number in range(6):
        height, width, seed = golden[f"prep{number}_in_hw_seed"].tolist()
        square = np.ascontiguousarray(golden[f"prep{number}_out"][16:240, 16:240])
        pictures.append({"height": height, "width": width, "seed": seed, "crc": zlib.crc32(square.tobytes())})
    return {
        "salt": str(golden["salt"]),
        "image_seeds": golden["img_seeds"].tolist(),
        "weights_crc": int(golden["weights_crc_xor"]),
        "channels": channels,
        "step": STEP,
        "values": {name: rounded(value) for name, value in values.items()},
        "pictures": pictures,
    }


def rounded(array) -> list:
    return np.asarray(array, np.float64).round(DIGITS).tolist()


if __name__ == "__main__":
    for name, make in (("tiny", tiny), ("published", published)):
        target = Path(parity.__file__).parent / f"parity_{name}.json"
        target.write_text(json.dumps(make()) + "\n", encoding="utf-8")
