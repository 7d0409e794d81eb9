"""The family `timm`: towers that were never trained together, joined by new projections."""

from __future__ import annotations

import dataclasses
import math

from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig
from offclip.models.adapters.families import Family, LoadOptions
from offclip.models.adapters.last_block import LOCAL
from offclip.models.adapters.timm.image_source import ImageSource, read_image
from offclip.models.adapters.timm.image_tower import Shape, TimmImageTower, make_trunk, reads_last_block
from offclip.models.adapters.timm.names import split_names
from offclip.models.adapters.timm.text_source import TextSource, read_text
from offclip.models.adapters.timm.text_tokenizer import EncoderTokenizer
from offclip.models.adapters.timm.text_tower import EncoderTextTower, make_encoder, make_text_tower

# Of the joint space, as in the compact towers; 64 to 512 score alike. Each projection is one linear layer,
# without a norm: on 1,265 phantoms, with EfficientNet-Lite0 and MiniLM frozen, batch norm before them cost
# .03 to .04 of normal AUC by the worst prompt, and layer norm changed nothing.
EMBED_DIM = 128
UNTRAINED = "the projections that join its towers are random until it is trained"
LOGIT_SCALE = 10.0


def load(name: str, options: LoadOptions) -> AdaptedClip:
    """The pair that a name means, in evaluation mode.

    Args:
        name: What stands behind `timm:`.
        options: How it is loaded.

    Raises:
        CheckpointError: Files are missing, damaged, or do not belong together.
        ConfigError: The name, the image size or `local` means nothing.
    """
    image_name, text_name = split_names(name)
    image = read_image(image_name, options.image_size, options.allow_pickle)
    text = read_text(text_name, options.allow_pickle)
    return join(f"timm:{name}", image, text, options.local)


def join(source: str, image: ImageSource, text: TextSource, local: str) -> AdaptedClip:
    """Two towers that were read, under new projections, in evaluation mode.

    Args:
        source: The name that they were loaded by.
        image: The image tower.
        text: The text tower.
        local: How cells are read off the last block of a vision transformer; its tokens where that cannot be.
    """
    own = local if image.shape.layout == "tokens" and reads_last_block(image.trunk) else LOCAL[0]
    stored = {
        "architecture": image.architecture,
        "arguments": image.arguments,
        "shape": dataclasses.asdict(image.shape),
    }
    config = AdaptedConfig("timm", source, EMBED_DIM, stored, text.stored, own)
    towers = (
        TimmImageTower(image.trunk, image.shape, EMBED_DIM, own),
        make_text_tower(text.encoder, EMBED_DIM, text.stored["pooling"]),
    )
    model = AdaptedClip(config, *towers, image.preprocess, text.tokenizer, math.log(LOGIT_SCALE))
    model.untrained = UNTRAINED
    model.licence = "; ".join(
        f"{part}: {licence}"
        for part, licence in (("image", image.licence), ("text", text.licence))
        if licence
    )
    return model.eval()


def build(config: AdaptedConfig) -> tuple[TimmImageTower, EncoderTextTower]:
    """The towers of a stored configuration, with random weights."""
    image, text = config.image, config.text
    trunk = make_trunk(image["architecture"], image["arguments"])
    return (
        TimmImageTower(trunk, Shape(**image["shape"]), config.embed_dim, config.local),
        make_text_tower(make_encoder(text["config"]), config.embed_dim, text["pooling"]),
    )


FAMILY = Family(load, build, EncoderTokenizer.from_json)
