"""A linter of prompts: warns of sentences that a model will not understand as they were meant.

A zero-shot score is only as good as its sentence. METHOD: prompts never seen in training do badly, and a
model says nothing of it. Every code is explained in docs/prompts.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from offclip.models.interface import Tokenizer
from offclip.reports import label_sentence
from offclip.zeroshot.lint_tokens import TokenCheck
from offclip.zeroshot.lint_training import UNLIKE_BELOW, TrainingText
from offclip.zeroshot.lint_wording import wording_remarks
from offclip.zeroshot.remarks import CODES, Remark
from offclip.zeroshot.words import NORMAL_LABELS, meaning_of, plain_words, words_of

__all__ = ["CODES", "PromptWarning", "lint_prompts"]

# Forms that are no fault where the training text has the very sentence.
_KNOWN_FORMS = frozenset({"one-word", "no-sentence", "abbreviation"})


@dataclass(frozen=True, slots=True)
class PromptWarning:
    """Something odd about a prompt.

    Attributes:
        prompt: The prompt.
        code: A key of `CODES`.
        message: What is odd.
        remedy: What to write instead.
    """

    prompt: str
    code: str
    message: str
    remedy: str


def lint_prompts(
    prompts: Mapping[str, Sequence[str]] | Sequence[str],
    *,
    training_text: Iterable[str] | None = None,
    tokenizer: Tokenizer | None = None,
    unlike_below: float = UNLIKE_BELOW,
) -> list[PromptWarning]:
    """Looks for prompts that do not mean to a model what they mean to their writer.

    Args:
        prompts: From class to prompts, or prompts of which nobody knows the class. With classes, a finding
            that its prompt denies and a normal prompt that asserts a finding are found too.
        training_text: The sentences the model was trained on.
        tokenizer: Of the model.
        unlike_below: Similarity to the nearest training sentence below which a prompt is unlike all of them.

    Returns:
        Warnings in the order of the prompts; none for a prompt that is fine.

    Raises:
        InputError: The training text is empty.
        CheckpointError: The model of the tokenizer has none.

    Example:
        >>> asked = {"edema": ["Edema", "There is no edema."], "normal": ["Clear lungs."]}
        >>> for warning in lint_prompts(asked):
        ...     print(f"{warning.prompt} {warning.code}: {warning.message}")
        Edema one-word: it is one word
        There is no edema. finding-denied: it stands for 'edema' and is read as normal (negated:edema)
    """
    pairs = _pairs(prompts)
    remarks = [list(_of_one(name, prompt)) for name, prompt in pairs]
    for row, remark in _same(pairs):
        remarks[row].append(remark)
    worded = [row for row, (_, prompt) in enumerate(pairs) if words_of(prompt)]
    if tokenizer is not None:
        check = TokenCheck(tokenizer)
        for row in worded:
            remarks[row] += check(pairs[row][1])
    if training_text is not None:
        text = TrainingText(training_text)
        found = text.remarks([pairs[row][1] for row in worded], unlike_below)
        for row, of_text in zip(worded, found, strict=True):
            if text.has(pairs[row][1]):
                remarks[row] = [remark for remark in remarks[row] if remark.code not in _KNOWN_FORMS]
            remarks[row] += of_text
    return [
        PromptWarning(prompt, remark.code, remark.message, remark.remedy)
        for (_, prompt), of_prompt in zip(pairs, remarks, strict=True)
        for remark in of_prompt
    ]


def _pairs(prompts: Mapping[str, Sequence[str]] | Sequence[str]) -> list[tuple[str | None, str]]:
    if isinstance(prompts, Mapping):
        return [(name, prompt) for name, own in prompts.items() for prompt in own]
    return [(None, prompt) for prompt in prompts]


def _of_one(name: str | None, prompt: str) -> Iterator[Remark]:
    yield from wording_remarks(prompt)
    if name is None or not words_of(prompt):
        return
    read = label_sentence(prompt)
    normal = plain_words(name) in NORMAL_LABELS
    if normal and read.label == "abnormal":
        yield Remark(
            "normal-asserts",
            f"it stands for {name!r} and is read as abnormal ({read.reason})",
            "Ask 'There is no finding.'.",
        )
    if not normal and read.label == "normal":
        yield Remark(
            "finding-denied",
            f"it stands for {name!r} and is read as normal ({read.reason})",
            "Say that the finding is there.",
        )


def _same(pairs: Sequence[tuple[str | None, str]]) -> Iterator[tuple[int, Remark]]:
    first: dict[tuple[str, ...], int] = {}
    for row, (name, prompt) in enumerate(pairs):
        meaning = meaning_of(prompt)
        if not meaning:
            continue
        other = first.setdefault(meaning, row)
        if other != row:
            of_class = f" of {pairs[other][0]!r}" if pairs[other][0] not in (None, name) else ""
            yield (
                row,
                Remark("same-as", f"it says the same as {pairs[other][1]!r}{of_class}", "Keep one of them."),
            )
