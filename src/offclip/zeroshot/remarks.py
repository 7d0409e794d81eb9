"""What the linter says of a prompt, and the list of what it can say."""

from __future__ import annotations

from dataclasses import dataclass

# Every code, with what it stands for. docs/prompts.md says the same at length.
CODES = {
    "empty": "no word in it",
    "unfilled": "a place of a template, such as {finding}, was not filled",
    "doubled-negation": "one statement is denied twice, as in 'There is no No Finding.'",
    "normal-as-finding": "the label of normal films stands where a finding belongs, as in 'There is Normal.'",
    "one-word": "one word",
    "no-sentence": "the name of a finding, no sentence",
    "table-label": "underscore, slash or capitals inside a word, as labels of tables have them",
    "capitals": "all in capitals",
    "abbreviation": "a short form, as PTX",
    "uncertain": "hedged, as 'possible pneumonia'",
    "question": "a question",
    "same-as": "says the same as another prompt",
    "finding-denied": "stands for a finding and denies it",
    "normal-asserts": "stands for normal and asserts a finding",
    "cut-by-the-model": "the model's own cleaning takes words away (CARZero as published)",
    "too-long": "longer than the model reads",
    "unknown-token": "characters or words that the model's tokenizer does not know",
    "unseen-words": "words that never stand in the training text",
    "only-denied": "asserts a finding that the training text only denies",
    "never-denied": "denies a finding that the training text never denies",
    "not-the-training-form": "begins and ends like no training sentence, where many are 'There is ...'",
    "unlike-training-text": "no sentence of the training text is near it",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """What one check says.

    Attributes:
        code: A key of `CODES`.
        message: What is odd.
        remedy: What to write instead.
    """

    code: str
    message: str
    remedy: str
