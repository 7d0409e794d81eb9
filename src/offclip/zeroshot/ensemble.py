"""Prompt ensembles: several prompts a class, whose logits are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from offclip.errors import DataError, InputError
from offclip.zeroshot.prompt_file import read_prompt_file
from offclip.zeroshot.prompts import FINDING_TEMPLATES, NORMAL_PROMPTS, fill_template
from offclip.zeroshot.score import Scores
from offclip.zeroshot.words import NORMAL_CLASS, NORMAL_LABELS, plain_words


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Which sentences are asked for each class.

    A name of a class is compared as words: `Pleural_Effusion` and `pleural effusion` are one class. Prompts
    are compared as a tokenizer reads them, without case and final full stop.

    Attributes:
        prompts: From class to its prompts, in the order of the columns of the scores. The class `"normal"`,
            if there is one, says that a film is normal; every other class is a finding.
        templates: Sentences with the place `{finding}`, for the findings that have no prompts of their own.

    Raises:
        InputError: A prompt or a class is empty, a prompt is doubled or belongs to two classes, a template
            has no place for the finding, or a class is another word for normal.

    Example:
        >>> asked = PromptSet.of(["edema"], templates=["There is {finding}.", "{finding} is present."])
        >>> asked.prompts["edema"]
        ('There is edema.', 'Edema is present.')
        >>> asked.classes, len(asked.texts)
        (('normal', 'edema'), 7)
    """

    prompts: Mapping[str, tuple[str, ...]]
    templates: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for template in self.templates:
            if "{finding}" not in template:
                raise InputError(
                    f"The template {template!r} has no place for the finding.",
                    "Write {finding} there, as in 'There is {finding}.'.",
                )
        _check_classes(self.prompts)
        _check_prompts(self.prompts)
        if not self.prompts and not self.templates:
            raise InputError("There is neither a prompt nor a template.", "Give one prompt a class.")

    @classmethod
    def of(
        cls,
        findings: Sequence[str],
        *,
        templates: Sequence[str] = FINDING_TEMPLATES,
        normal: Sequence[str] = NORMAL_PROMPTS,
    ) -> PromptSet:
        """The documented ensemble: the fixed normal prompts, and every template for every finding."""
        prompts = {NORMAL_CLASS: tuple(normal)} if normal else {}
        prompts |= {finding: tuple(fill_template(t, finding) for t in templates) for finding in findings}
        return cls(prompts, tuple(templates))

    @classmethod
    def read(cls, path: str | Path) -> PromptSet:
        """Reads a user's file: TOML, JSON, or CSV with the columns `class` and `prompt`. See docs/prompts.md.

        Raises:
            DataError: The file is missing or malformed, a key is unknown, or the prompts break a rule of the
                class.
        """
        prompts, templates = read_prompt_file(path)
        try:
            return cls(prompts, templates)
        except InputError as error:
            raise DataError(f"{path}: {error.message}", error.remedy) from error

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in order."""
        return tuple(self.prompts)

    @property
    def findings(self) -> tuple[str, ...]:
        """The classes but for `"normal"`."""
        return tuple(name for name in self.prompts if name != NORMAL_CLASS)

    @property
    def normal(self) -> tuple[str, ...]:
        """The prompts of the class `"normal"`; empty without one."""
        return self.prompts.get(NORMAL_CLASS, ())

    @property
    def texts(self) -> tuple[str, ...]:
        """All prompts: what `score_images` is given."""
        return tuple(prompt for prompts in self.prompts.values() for prompt in prompts)

    def for_findings(self, findings: Sequence[str]) -> PromptSet:
        """The set for the findings of a data set, under their names there, after the class `"normal"`.

        Args:
            findings: Names such as the columns of labels.csv; "normal" is not among them.

        Raises:
            DataError: A finding has no prompts, and there is no template for it.
        """
        own = {plain_words(name): prompts for name, prompts in self.prompts.items()}
        chosen = {NORMAL_CLASS: self.normal} if self.normal else {}
        missing = []
        for finding in findings:
            made = tuple(fill_template(template, finding) for template in self.templates)
            chosen[finding] = own.get(plain_words(finding), made)
            if not chosen[finding]:
                missing.append(finding)
        if missing:
            raise DataError(
                f"{len(missing)} class(es) have no prompt: {', '.join(missing[:10])}.",
                "Add a prompt for each to the file, or a line 'templates = [\"There is {finding}.\"]'.",
            )
        try:
            return PromptSet(chosen, self.templates)
        except InputError as error:
            raise DataError(error.message, error.remedy) from error


def score_prompt_set(scores: Scores, prompt_set: PromptSet) -> np.ndarray:
    """Averages the logits of the prompts of each class.

    A mean of logits, not of ranks or probabilities: a prompt whose logits spread wider weighs more.

    Args:
        scores: Logits that hold every prompt of the set.
        prompt_set: C classes.

    Returns:
        (N, C) float64, in the order of `prompt_set.classes`.

    Raises:
        InputError: A prompt was not scored.

    Example:
        >>> scores = Scores(("a",), ("Edema.", "Wet lungs."), np.array([[1.0, 3.0]]), np.zeros((1, 1)))
        >>> score_prompt_set(scores, PromptSet({"edema": ("Edema.", "Wet lungs.")})).tolist()
        [[2.0]]
    """
    position = {prompt: column for column, prompt in enumerate(scores.prompts)}
    missing = [prompt for prompt in prompt_set.texts if prompt not in position]
    if missing:
        raise InputError(
            f"{len(missing)} prompt(s) were not scored, such as {missing[0]!r}.",
            "Give prompt_set.texts to score_images.",
        )
    logits = np.asarray(scores.logits, np.float64)
    means = [
        logits[:, [position[prompt] for prompt in prompts]].mean(axis=1)
        for prompts in prompt_set.prompts.values()
    ]
    return np.stack(means, axis=1) if means else np.empty((len(scores.image_ids), 0))


def _check_classes(prompts: Mapping[str, Sequence[str]]) -> None:
    seen: dict[str, str] = {}
    for name, own in prompts.items():
        words = plain_words(name)
        if not words:
            raise InputError("A class has no name.", "Name every class.")
        if words in NORMAL_LABELS and name != NORMAL_CLASS:
            raise InputError(f"The class {name!r} is another word for normal.", f"Call it {NORMAL_CLASS!r}.")
        if words in seen:
            raise InputError(
                f"The classes {seen[words]!r} and {name!r} are one.", "Put their prompts under one name."
            )
        if not own:
            raise InputError(f"The class {name!r} has no prompt.", "Give at least one, or leave it out.")
        seen[words] = name


def _check_prompts(prompts: Mapping[str, Sequence[str]]) -> None:
    seen: dict[str, str] = {}
    for name, own in prompts.items():
        for prompt in own:
            words = plain_words(prompt)
            if not words:
                raise InputError(f"A prompt of the class {name!r} is empty.", "Fill it or leave it out.")
            if words in seen and seen[words] == name:
                raise InputError(
                    f"The prompt {prompt!r} stands twice in the class {name!r}.", "Give every prompt once."
                )
            if words in seen:
                raise InputError(
                    f"The prompt {prompt!r} belongs to {seen[words]!r} and to {name!r}.",
                    "One sentence cannot tell two classes apart; keep it in one of them.",
                )
            seen[words] = name
