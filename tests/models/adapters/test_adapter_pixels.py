"""What other libraries say of pixels becomes a `Preprocess`, or a message that names the field.

That the pixels are then theirs is in tests/images/test_preprocess_libraries.py.
"""

import pytest

from offclip.errors import CheckpointError
from offclip.images.preprocess import Preprocess
from offclip.models.adapters.pixels import from_hugging_face, from_open_clip, from_timm

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
CLIP = Preprocess(224, CLIP_MEAN, CLIP_STD, "crop", resample="bicubic", crop_rounding="down")
HALF = (0.5, 0.5, 0.5)
SIGLIP = Preprocess(448, HALF, HALF, "squash", resample="bilinear", crop_rounding="down")


def clip_config(**fields):
    """The file of openai/clip-vit-base-patch32, as transformers writes it."""
    return {
        "image_processor_type": "CLIPImageProcessor",
        "crop_size": {"height": 224, "width": 224},
        "size": {"shortest_edge": 224},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(CLIP_MEAN),
        "image_std": list(CLIP_STD),
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
    } | fields


def test_the_file_of_a_clip():
    assert from_hugging_face(clip_config()) == CLIP


@pytest.mark.parametrize(
    "name", ["CLIPImageProcessorFast", "CLIPImageProcessorPil", "ChineseCLIPImageProcessor"]
)
def test_names_of_the_same_processor(name):
    assert from_hugging_face(clip_config(image_processor_type=name)) == CLIP


def test_an_old_file():
    config = {
        "crop_size": 224,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": list(CLIP_MEAN),
        "image_std": list(CLIP_STD),
        "resample": 3,
        "size": 224,
    }
    assert from_hugging_face(config) == CLIP


def test_the_file_of_a_processor_with_its_image_processor_inside():
    inside = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": 448, "width": 448},
        "resample": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_center_crop": None,
        "do_pad": None,
    }
    assert from_hugging_face({"processor_class": "SiglipProcessor", "image_processor": inside}) == SIGLIP


def test_without_normalisation_pixels_are_0_to_1():
    preprocess = from_hugging_face(clip_config(do_normalize=False))
    assert (preprocess.mean, preprocess.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"image_processor_type": "Siglip2ImageProcessor"}, r"image_processor_type.*NaFlex"),
        (
            {"image_processor_type": "OwlViTImageProcessor"},
            r"image_processor_type.*Known: CLIPImageProcessor",
        ),
        ({"image_processor_type": None}, "image_processor_type"),
        ({"do_resize": False}, "do_resize False"),
        ({"do_rescale": False}, "do_rescale False"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor"),
        ({"rescale_factor": "1/255"}, "rescale_factor"),
        ({"do_pad": True}, "do_pad"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order"),
        ({"resample": 7}, "resample 7"),
        ({"resample": "bicubic"}, "resample 'bicubic'"),
        ({"do_center_crop": False}, "do_center_crop"),
        ({"crop_size": {"height": 224, "width": 336}}, "crop_size"),
        ({"crop_size": {"shortest_edge": 224}}, "crop_size"),
        ({"crop_size": 256}, "size 256, resized 224"),
        ({"size": {"shortest_edge": 224, "longest_edge": 448}}, "size"),
        ({"size": {"shortest_edge": "224"}}, "resized '224'"),
        ({"size": {"height": 224, "width": 336}}, "size"),
        ({"size": "224"}, "size"),
        ({"size": 224.0}, "size"),
        ({"image_mean": [0.5, 0.5]}, "mean"),
        ({"image_mean": "grey"}, "mean"),
        ({"image_std": [0.5, 0.5, 0.0]}, "std"),
        ({"image_processor": []}, "image_processor"),
    ],
)
def test_what_a_processor_of_hugging_face_does_and_ours_cannot(fields, field):
    with pytest.raises(CheckpointError, match=rf"^folder/preprocessor_config.json: .*{field}"):
        from_hugging_face(clip_config(**fields), "folder/preprocessor_config.json")


def test_open_clip():
    config = {"size": 224, "mean": CLIP_MEAN, "std": list(CLIP_STD), "interpolation": "bicubic"}
    crop = Preprocess(224, CLIP_MEAN, CLIP_STD, "crop", resample="bicubic")
    assert from_open_clip(config) == crop
    assert from_open_clip(config | {"size": [224, 224], "interpolation": "random"}) == crop
    longest = from_open_clip(config | {"resize_mode": "longest", "fill_color": 0})
    assert longest == Preprocess(224, CLIP_MEAN, CLIP_STD, resample="bicubic")
    squash = from_open_clip(config | {"resize_mode": "squash", "fill_color": 127, "mean": 0.5, "std": 0.5})
    assert squash == Preprocess(224, HALF, HALF, "squash", resample="bicubic")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"size": (224, 336)}, "size"),
        ({"size": "224"}, "size"),
        ({"size": 0}, "size 0"),
        ({"mode": "L"}, "mode 'L'"),
        ({"resize_mode": "pad"}, "resize_mode 'pad'"),
        ({"resize_mode": "longest", "fill_color": 127}, "fill_color 127"),
        ({"interpolation": "lanczos"}, "interpolation 'lanczos'"),
        ({"mean": [0.5] * 4}, "mean"),
        ({"std": [0, 0, 0]}, "std"),
    ],
)
def test_what_open_clip_does_and_ours_cannot(fields, field):
    with pytest.raises(CheckpointError, match=rf"^open_clip_config.json: .*{field}"):
        from_open_clip({"size": 224} | fields, "open_clip_config.json")


def test_timm():
    config = {
        "input_size": (3, 224, 224),
        "interpolation": "bicubic",
        "mean": HALF,
        "std": HALF,
        "crop_pct": 0.9,
        "crop_mode": "center",
    }
    crop = Preprocess(224, HALF, HALF, "crop", resample="bicubic", resized=248)
    assert from_timm(config) == crop
    assert from_timm(config | {"crop_mode": "squash", "crop_pct": 1.0}).resized is None
    grey = from_timm(config | {"input_size": [1, 224, 224], "mean": [0.5], "std": [0.5]})
    assert grey.channel_means == (0.5,)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"input_size": (3, 224, 256)}, "input_size"),
        ({"input_size": (4, 224, 224)}, "input_size"),
        ({"input_size": (1, 224, 224)}, "input_size"),
        ({"input_size": 224}, "input_size"),
        ({"input_size": None}, "input_size"),
        ({"interpolation": "random"}, "interpolation 'random'"),
        ({"crop_pct": 1.1}, "crop_pct 1.1"),
        ({"crop_pct": "all"}, "crop_pct 'all'"),
        ({"crop_mode": "border", "crop_pct": 1.0}, "crop_mode 'border'"),
        ({"crop_mode": "border", "mean": (0.0,) * 3, "crop_pct": 0.9}, "crop_mode 'border'"),
        ({"crop_mode": "corner"}, "crop_mode 'corner'"),
        ({"std": (0.5, 0.5, None)}, "std"),
    ],
)
def test_what_timm_does_and_ours_cannot(fields, field):
    with pytest.raises(CheckpointError, match=rf"^vit_tiny: .*{field}"):
        from_timm({"input_size": (3, 224, 224)} | fields, "vit_tiny")
