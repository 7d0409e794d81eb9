"""What transformers says while it loads is not for the user of offclip: what matters becomes an error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from offclip.models.adapters.library import library


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the library's progress bars, notes and warnings off the terminal, for this block alone."""
    logging = library("transformers", "hf").utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
