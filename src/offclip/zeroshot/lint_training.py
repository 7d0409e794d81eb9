"""How far a prompt is from what a model was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from offclip.errors import InputError
from offclip.reports import label_sentence
from offclip.zeroshot.remarks import Remark
from offclip.zeroshot.words import words_of

# Measured; see docs/prompts.md.
UNLIKE_BELOW = 0.5
# Of more different sentences only the most frequent are compared: rare ones teach little.
_MOST_SENTENCES = 50_000
_PROMPT_FORM = "there is"
_FORM_SHARE = 0.2
_PROMPTS_AT_A_TIME = 64


class TrainingText:
    """The sentences of a training set, ready to be compared with prompts.

    The nearest sentence is the one with the largest cosine of TF-IDF weights of 2 to 4 letters within words,
    so that "effusions" is near "effusion", and "there is" counts for little.

    Args:
        sentences: What the model was shown, repetitions included.

    Raises:
        InputError: There is no sentence.

    Example:
        >>> text = TrainingText(["There is pleural effusion.", "There is edema.", "There is no finding."])
        >>> text.nearest(["There is a pleural effusion."])[0][0]
        'there is pleural effusion'
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        # Here: it takes longer to load than all other checks take, and most prompts are linted without it.
        from sklearn.feature_extraction.text import TfidfVectorizer

        counts: Counter[str] = Counter()
        self._written: dict[str, str] = {}  # a sentence as written, by its words: the rules need its marks
        for sentence in sentences:
            plain = " ".join(words_of(sentence))
            counts[plain] += 1
            self._written.setdefault(plain, sentence)
        counts.pop("", None)
        if not counts:
            raise InputError("The training text holds no sentence.", "Give the sentences of the studies.")
        self.words = frozenset(word for sentence in counts for word in sentence.split())
        self._known = frozenset(counts)
        prompt_shaped = sum(n for sentence, n in counts.items() if sentence.startswith(_PROMPT_FORM))
        rows = [tuple(sentence.split()) for sentence in counts]
        self._beginnings = frozenset(row[:n] for row in rows for n in (1, 2))
        self._endings = frozenset(row[-2:] for row in rows)
        self._stated: tuple[frozenset[str], frozenset[str]] | None = None
        self._prompt_share = prompt_shaped / counts.total()
        self._sentences = [sentence for sentence, _ in counts.most_common(_MOST_SENTENCES)]
        self._vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))
        self._matrix = self._vectors.fit_transform(self._sentences)

    def has(self, prompt: str) -> bool:
        """Whether the training text has the sentence, but for case and punctuation."""
        return " ".join(words_of(prompt)) in self._known

    def nearest(self, prompts: Sequence[str]) -> list[tuple[str, float]]:
        """For each prompt the nearest sentence, as words, and its similarity from 0 to 1."""
        found = []
        for start in range(0, len(prompts), _PROMPTS_AT_A_TIME):
            some = [" ".join(words_of(prompt)) for prompt in prompts[start : start + _PROMPTS_AT_A_TIME]]
            cosines = (self._vectors.transform(some) @ self._matrix.T).toarray()
            best = cosines.argmax(axis=1)
            found += [
                (self._sentences[column], min(float(row[column]), 1.0))
                for row, column in zip(cosines, best, strict=True)
            ]
        return found

    def remarks(self, prompts: Sequence[str], unlike_below: float = UNLIKE_BELOW) -> list[list[Remark]]:
        """For each prompt what there is to say.

        Args:
            prompts: Each with a word at least.
            unlike_below: Similarity below which a prompt is unlike all of the training text.
        """
        return [
            list(self._of(prompt, *nearest, unlike_below))
            for prompt, nearest in zip(prompts, self.nearest(prompts), strict=True)
        ]

    def stated(self) -> tuple[frozenset[str], frozenset[str]]:
        """The findings that the training text asserts, and those that it denies, by the rules of reports."""
        if self._stated is None:
            mentions = [
                mention
                for sentence in self._sentences
                for mention in label_sentence(self._written[sentence]).mentions
            ]
            asserted = frozenset(m.finding for m in mentions if m.status in ("asserted", "hedged"))
            self._stated = asserted, frozenset(m.finding for m in mentions if m.status == "negated")
        return self._stated

    def _has_form(self, words: tuple[str, ...]) -> bool:
        """Whether some sentence begins or ends like the prompt: by two words, or by a "no" before a name."""
        first = words[:1] if words[0] == "no" else words[:2]
        return first in self._beginnings or words[-2:] in self._endings

    def _one_sided(self, prompt: str) -> Iterator[Remark]:
        asserted, denied = self.stated()
        for mention in label_sentence(prompt).mentions:
            finding = mention.finding
            if mention.detail == "generic":
                continue
            if mention.status == "asserted" and finding in denied - asserted:
                yield Remark(
                    "only-denied",
                    f"the training text denies {finding!r} and never asserts it",
                    "Do not trust this score: the model may take the word for a sign of normal films.",
                )
            if mention.status == "negated" and finding in asserted - denied:
                yield Remark(
                    "never-denied",
                    f"the training text asserts {finding!r} and never denies it",
                    "Do not trust this score: the model may take the denial for the finding.",
                )

    def _of(self, prompt: str, nearest: str, similarity: float, unlike_below: float) -> Iterator[Remark]:
        words = words_of(prompt)
        plain = " ".join(words)
        if plain in self._known:
            return
        yield from self._one_sided(prompt)
        unseen = [word for word in dict.fromkeys(words) if word not in self.words]
        if unseen:
            yield Remark(
                "unseen-words",
                f"the training text never has {', '.join(map(repr, unseen[:5]))}",
                "Use a word that the reports use, or do not trust this score.",
            )
        if self._prompt_share >= _FORM_SHARE and not self._has_form(words):
            yield Remark(
                "not-the-training-form",
                f"{self._prompt_share:.0%} of the training text begins with 'There is', none has this form",
                "Write 'There is ...'.",
            )
        if similarity < unlike_below:
            yield Remark(
                "unlike-training-text",
                f"the nearest sentence of the training text is {nearest!r} (similarity {similarity:.2f})",
                "Word it as the reports do.",
            )


def training_text(studies: pl.DataFrame, *, filter_sentences: bool, split: str = "train") -> list[str]:
    """What training on a study table shows a model: the sentences, and their prompt forms.

    Args:
        studies: The study table.
        filter_sentences: Whether the normal sentences of abnormal reports were dropped.
        split: Which studies.
    """
    pairs = (
        (row["label"], sentence)
        for row in studies.filter(pl.col("split") == split).iter_rows(named=True)
        for sentence in row["sentences"]
    )
    kept = [sentence for label, sentence in pairs if not filter_sentences or sentence["label"] == label]
    return [sentence[part] for sentence in kept for part in ("text", "prompt")]
