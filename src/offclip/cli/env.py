"""`offclip env`."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from importlib.util import find_spec

import torch

from offclip.version import __version__

CORE = ("torch", "numpy", "safetensors", "pillow", "opencv-python-headless", "tokenizers", "kornia", "polars")
EXTRAS = {
    "hf": ("transformers",),
    "openclip": ("open_clip",),
    "timm": ("timm",),
    "llm": ("openai",),
    "dicom": ("pydicom", "gdcm", "jpeg_ls", "openjpeg"),
    "serve": ("fastapi", "uvicorn"),
    "pacs": ("dicomweb_client", "pynetdicom"),
    "archive": ("ray",),
}


def print_environment() -> None:
    """Prints plain `name: value` lines; no path and no user name is among them."""
    lines = {"offclip": __version__, "python": platform.python_version(), "system": platform.platform()}
    lines |= {name: metadata.version(name) for name in CORE}
    lines["cpu cores"] = str(os.cpu_count())
    lines["torch threads"] = str(torch.get_num_threads())
    lines["bf16 matrix units"] = "yes" if torch.cpu._is_amx_tile_supported() else "no"
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    lines["cuda devices"] = ", ".join(devices) or "none"
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        lines[f"extra {extra}"] = "present" if not missing else f"missing {', '.join(missing)}"
    for name, value in lines.items():
        print(f"{name}: {value}")
