"""From what other libraries say of a model's pixels to our `Preprocess`, or a clear refusal."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from offclip.errors import CheckpointError, InputError
from offclip.images.preprocess import Preprocess
from offclip.images.resize import Resample

_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)
_PILLOW: tuple[Resample, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")

# What an image processor of transformers does where its file says nothing. `default_to_square`: an integer as
# size means both sides, and not the shorter one.
_CLIP = {
    "size": 224,
    "default_to_square": False,
    "do_center_crop": True,
    "crop_size": 224,
    "resample": 3,
    "image_mean": _CLIP_MEAN,
    "image_std": _CLIP_STD,
}
_VIT = {"size": 224, "default_to_square": True, "resample": 2, "image_mean": _HALF, "image_std": _HALF}
_SIGLIP = _VIT | {"size": {"height": 224, "width": 224}, "default_to_square": False, "resample": 3}
_DEIT = _VIT | {"size": 256, "do_center_crop": True, "crop_size": 224, "resample": 3}
_PROCESSORS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "CLIPImageProcessor": _CLIP,
        "ChineseCLIPImageProcessor": _CLIP,
        "BitImageProcessor": _CLIP,
        "SiglipImageProcessor": _SIGLIP,
        "ViTImageProcessor": _VIT,
        "DeiTImageProcessor": _DEIT,
    }
)


def from_hugging_face(config: Mapping[str, Any], where: str = "preprocessor_config.json") -> Preprocess:
    """What the image processor of a model on the Hugging Face hub does.

    Equal to the processors of transformers that resize with Pillow; those that resize with torchvision round
    otherwise, see docs/images.md.

    Args:
        config: Content of `preprocessor_config.json`, or of `processor_config.json`.
        where: The file, for messages.

    Raises:
        CheckpointError: The processor is not known, or does what `Preprocess` cannot; the message names the
            field.

    Example:
        >>> config = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224}}
        >>> preprocess = from_hugging_face(config)
        >>> preprocess.geometry, preprocess.size, preprocess.resample
        ('crop', 224, 'bicubic')
    """
    config = _mapping(config.get("image_processor", config), "image_processor", where)
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type"))
    kind = re.sub("(Fast|Pil)$", "", name).replace("FeatureExtractor", "ImageProcessor")
    if kind.startswith("Siglip2"):
        _refuse(where, "image_processor_type", name, "Images of any shape (NaFlex) are not supported.")
    if kind not in _PROCESSORS:
        _refuse(where, "image_processor_type", name, f"Known: {', '.join(_PROCESSORS)}.")
    said = {key: value for key, value in config.items() if value is not None}
    fields = {"do_resize": True, "do_center_crop": False, "do_rescale": True, "do_normalize": True}
    fields |= {"rescale_factor": 1 / 255, **_PROCESSORS[kind], **said}
    for field in ("do_resize", "do_rescale"):
        if fields[field] is not True:
            _refuse(where, field, fields[field], "Every image must be resized and scaled to [0, 1].")
    if not _is_number(fields["rescale_factor"]) or not math.isclose(
        fields["rescale_factor"], 1 / 255, rel_tol=1e-6
    ):
        _refuse(where, "rescale_factor", fields["rescale_factor"], "Only 1/255 is supported.")
    for field in ("do_pad", "do_flip_channel_order", "use_square_size"):
        if fields.get(field):
            _refuse(where, field, fields[field], "It is not supported.")
    resample = fields["resample"]
    if not isinstance(resample, int) or isinstance(resample, bool) or not 0 <= resample < len(_PILLOW):
        _refuse(where, "resample", resample, f"Give a filter of Pillow, 0 to {len(_PILLOW) - 1}.")
    by_edge, resized = _hugging_face_size(fields, where)
    crops = bool(fields["do_center_crop"])
    if by_edge and not crops:
        _refuse(where, "do_center_crop", False, "With the shorter side alone the image would not be square.")
    size = _square(fields.get("crop_size"), "crop_size", where) if crops else resized
    mean, std = (fields["image_mean"], fields["image_std"]) if fields["do_normalize"] else (0.0, 1.0)
    return _preprocess(
        where,
        size=size,
        resized=resized,
        geometry="crop" if by_edge else "squash",
        mean=_channels(mean),
        std=_channels(std),
        resample=_PILLOW[resample],
        crop_rounding="down",
    )


def from_open_clip(config: Mapping[str, Any], where: str = "preprocess_cfg") -> Preprocess:
    """What `open_clip.image_transform_v2` does when it evaluates.

    Args:
        config: `preprocess_cfg` of a model, or of an `open_clip_config.json` with the model's `size`.
        where: The file, for messages.

    Raises:
        CheckpointError: It does what `Preprocess` cannot; the message names the field.

    Example:
        >>> from_open_clip({"size": [256, 256], "resize_mode": "squash", "mean": 0.5, "std": 0.5}).geometry
        'squash'
    """
    said = {key: value for key, value in config.items() if value is not None}
    fields = {"size": 224, "mean": _CLIP_MEAN, "std": _CLIP_STD, "mode": "RGB", "fill_color": 0, **said}
    if fields["mode"] != "RGB":
        _refuse(where, "mode", fields["mode"], "Only 'RGB' is supported.")
    mode = fields.get("resize_mode") or "shortest"
    geometries = {"shortest": "crop", "longest": "letterbox", "squash": "squash"}
    if mode not in geometries:
        _refuse(where, "resize_mode", mode, f"Known: {', '.join(geometries)}.")
    if mode == "longest" and fields["fill_color"] != 0:
        _refuse(where, "fill_color", fields["fill_color"], "The padding can only be black (0).")
    interpolation = fields.get("interpolation") or "bicubic"
    if interpolation not in ("bicubic", "bilinear", "random"):  # "random" is bicubic when it evaluates
        _refuse(where, "interpolation", interpolation, "Known: bicubic, bilinear, random.")
    return _preprocess(
        where,
        size=_square(fields["size"], "size", where),
        geometry=geometries[mode],
        mean=_channels(fields["mean"]),
        std=_channels(fields["std"]),
        resample="bilinear" if interpolation == "bilinear" else "bicubic",
    )


def from_timm(config: Mapping[str, Any], where: str = "data configuration of timm") -> Preprocess:
    """What `timm.data.create_transform` does when it evaluates.

    Args:
        config: What `timm.data.resolve_data_config` gives.
        where: The model, for messages.

    Raises:
        CheckpointError: It does what `Preprocess` cannot; the message names the field.

    Example:
        >>> preprocess = from_timm({"input_size": (3, 224, 224), "crop_pct": 0.875})
        >>> preprocess.resized, preprocess.size
        (256, 224)
    """
    said = {key: value for key, value in config.items() if value is not None}
    fields = {"mean": _IMAGENET_MEAN, "std": _IMAGENET_STD, "interpolation": "bicubic", **said}
    input_size = fields.get("input_size")
    if not isinstance(input_size, Sequence) or len(input_size) != 3:
        _refuse(where, "input_size", input_size, "Give channels, height and width.")
    size = _square(input_size[1:], "input_size", where)
    mean, std = _channels(fields["mean"]), _channels(fields["std"])
    if input_size[0] not in (1, 3) or not len(mean) == len(std) == input_size[0]:
        _refuse(
            where, "input_size", input_size, "Give one or three channels, with a mean and a std for each."
        )
    if fields["interpolation"] not in _PILLOW:
        _refuse(where, "interpolation", fields["interpolation"], f"Known: {', '.join(_PILLOW)}.")
    share = fields.get("crop_pct") or 0.875
    if not _is_number(share) or not 0 < share <= 1:
        _refuse(where, "crop_pct", share, "Give a share of the image, above 0 and at most 1.")
    resized = math.floor(size / share)
    mode = fields.get("crop_mode") or "center"
    if mode == "border" and (resized > size or any(mean)):
        _refuse(where, "crop_mode", mode, "The padding can only be black, and nothing of it be cut off.")
    if mode not in ("center", "squash", "border"):
        _refuse(where, "crop_mode", mode, "Known: center, squash, border.")
    return _preprocess(
        where,
        size=size,
        resized=None if mode == "border" else resized,
        geometry={"center": "crop", "squash": "squash", "border": "letterbox"}[mode],
        mean=mean,
        std=std,
        resample=fields["interpolation"],
    )


def _preprocess(where: str, **fields: Any) -> Preprocess:
    if fields.get("resized") == fields["size"]:
        fields["resized"] = None
    try:
        return Preprocess(**fields)
    except InputError as error:
        raise CheckpointError(f"{where}: {error.message}", error.remedy) from error


def _hugging_face_size(fields: Mapping[str, Any], where: str) -> tuple[bool, int]:
    """Whether the shorter side alone is resized, and to what."""
    size = fields["size"]
    if isinstance(size, Mapping):
        size = {key: value for key, value in size.items() if value is not None}
        if size.keys() == {"shortest_edge"}:
            return True, size["shortest_edge"]
        return False, _square(size, "size", where)
    return not fields["default_to_square"], _square(size, "size", where)


def _square(size: Any, field: str, where: str) -> int:
    """The side of a square that is given as a number, two numbers, or height and width."""
    sides = [size]
    if isinstance(size, Mapping):
        sides = [size.get("height"), size.get("width")] if size.keys() == {"height", "width"} else []
    elif isinstance(size, Sequence) and not isinstance(size, str):
        sides = list(size)
    if len(sides) not in (1, 2) or sides[0] != sides[-1] or type(sides[0]) is not int:
        _refuse(where, field, size, "Only square images are supported.")
    return sides[0]


def _channels(value: Any) -> tuple[Any, ...]:
    """Colour models have three channels, whatever they say."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * 3


def _mapping(value: Any, field: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _refuse(where, field, value, "Give an object of JSON.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse(where: str, field: str, value: Any, remedy: str) -> NoReturn:
    raise CheckpointError(f"{where}: {field} {value!r} cannot be done by offclip.", remedy)
