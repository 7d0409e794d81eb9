"""Labelling by a language model behind any OpenAI-compatible endpoint (extra `llm`): docs/llm.md.

    sentences ─► request.py (ids, JSON) ─► client.py (retry.py, pool.py) ─► answer.py (checks) ─► cache.py

The rules (`offclip.reports.rules`) label what the model does not, and such labels are marked.
"""

from offclip.reports.llm.config import LlmConfig
from offclip.reports.llm.errors import LlmError
from offclip.reports.llm.estimate import Estimate, estimate
from offclip.reports.llm.labeller import LlmLabeller
from offclip.reports.llm.prompt import PROMPT_VERSION
from offclip.reports.llm.unique import unique_sentences

__all__ = [
    "PROMPT_VERSION",
    "Estimate",
    "LlmConfig",
    "LlmError",
    "LlmLabeller",
    "estimate",
    "unique_sentences",
]
