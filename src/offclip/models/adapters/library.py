"""Libraries that an extra installs."""

from __future__ import annotations

import importlib
from typing import Any

from offclip.errors import ConfigError


def library(module: str, extra: str) -> Any:
    """Imports a library that the core does not need.

    Args:
        module: Name of the module.
        extra: The extra of offclip that installs it.

    Raises:
        ConfigError: It is not installed, or cannot be imported.

    Example:
        >>> library("no_such_library", "hf")
        Traceback (most recent call last):
        ...
        offclip.errors.ConfigError: no_such_library is not installed. Install it: pip install 'offclip[hf]'.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module.partition(".")[0]:
            raise ConfigError(
                f"{module} is not installed.", f"Install it: pip install 'offclip[{extra}]'."
            ) from error
        raise ConfigError(
            f"{module} cannot be imported ({error}).", f"Repair it: pip install 'offclip[{extra}]'."
        ) from error
    except (ImportError, RuntimeError, OSError) as error:  # such as torchvision beside another build of torch
        raise ConfigError(
            f"{module} cannot be imported ({error}).", f"Repair it: pip install 'offclip[{extra}]'."
        ) from error
