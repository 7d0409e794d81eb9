"""The sentences that zero-shot classification asks about."""

from __future__ import annotations

PAPER_NORMAL_PROMPT = "There is no finding."

# Fixed before any result was seen, and never chosen on test data. A radiologist would say each of them
# of a normal film; METHOD: the baseline's failure lives in the prompts, so the worst of them is reported.
# The normal ensemble is the mean of their logits: of all five, so that there was nothing to choose.
NORMAL_PROMPTS = (
    PAPER_NORMAL_PROMPT,
    "No acute cardiopulmonary abnormality.",
    "The lungs are clear.",
    "There is no pleural effusion.",
    "There is no pneumothorax.",
)

# How reports say that something is there; the first is the paper's. Fixed beforehand like the normal prompts.
FINDING_TEMPLATES = (
    "There is {finding}.",
    "{finding} is present.",
    "Findings consistent with {finding}.",
)

# How reports say that something is not there; the first denies the paper's prompt word for word.
NEGATION_TEMPLATES = (
    "There is no {finding}.",
    "No {finding}.",
    "{finding} is absent.",
    "No evidence of {finding}.",
)


def finding_prompt(finding: str) -> str:
    """The prompt for a finding, as in the paper.

    Example:
        >>> finding_prompt("Pleural_Effusion")
        'There is pleural effusion.'
    """
    return fill_template(FINDING_TEMPLATES[0], finding)


def fill_template(template: str, finding: str) -> str:
    """A sentence about a finding; the finding's name as words in lower case, the sentence with a capital.

    Args:
        template: A sentence with the place `{finding}`.
        finding: Name of a finding, as a column of a table has it.

    Example:
        >>> fill_template("{finding} is present.", "Pleural_Effusion")
        'Pleural effusion is present.'
    """
    sentence = template.replace("{finding}", finding.replace("_", " ").lower())
    return sentence[:1].upper() + sentence[1:]
