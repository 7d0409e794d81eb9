"""The sentences that zero-shot classification asks about."""

from __future__ import annotations

PAPER_NORMAL_PROMPT = "There is no finding."

# Fixed before any result was seen, and never chosen on test data. A radiologist would say each of them
# of a normal film; METHOD: the baseline's failure lives in the prompts, so the worst of them is reported.
NORMAL_PROMPTS = (
    PAPER_NORMAL_PROMPT,
    "No acute cardiopulmonary abnormality.",
    "The lungs are clear.",
    "There is no pleural effusion.",
    "There is no pneumothorax.",
)


def finding_prompt(finding: str) -> str:
    """The prompt for a finding, as in the paper.

    Example:
        >>> finding_prompt("Pleural_Effusion")
        'There is pleural effusion.'
    """
    return f"There is {finding.replace('_', ' ').lower()}."
