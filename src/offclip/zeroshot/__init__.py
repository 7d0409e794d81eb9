"""Zero-shot classification: prompts, scores."""

from offclip.zeroshot.prompts import NORMAL_PROMPTS, PAPER_NORMAL_PROMPT, finding_prompt
from offclip.zeroshot.score import Scores, score_images

__all__ = ["NORMAL_PROMPTS", "PAPER_NORMAL_PROMPT", "Scores", "finding_prompt", "score_images"]
