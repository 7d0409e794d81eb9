"""Scores and labels become cases: joined by id, by class name, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offclip.errors import DataError
from offclip.evaluation.cases import ATTRIBUTES, Cases, normal_of
from offclip.evaluation.scored.columns import ClassTable, canonical, listed, read_class_table
from offclip.zeroshot.prompts import NORMAL_PROMPTS, finding_prompt
from offclip.zeroshot.words import NORMAL_CLASS

ALL = "all"


@dataclass(frozen=True, slots=True)
class Scored:
    """Two tables, joined.

    Attributes:
        cases: Of the split that is reported.
        validation: Of the split `validate`; None where there are no such rows or none of them is scored.
        left_out: What was left out because the user allowed it, in words.
        notes: What the user should know, in words.
        studies_known: Whether either file has a column study_id.
    """

    cases: Cases
    validation: Cases | None
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    studies_known: bool


def read_scored(
    scores: str | Path, labels: str | Path, *, split: str | None = None, allow_missing: bool = False
) -> Scored:
    """Reads and joins two tables; see `join_tables`.

    Raises:
        DataError: A file is unusable, or they do not fit each other.
    """
    return join_tables(
        read_class_table(scores), read_class_table(labels), split=split, allow_missing=allow_missing
    )


def join_tables(
    scores: ClassTable, labels: ClassTable, *, split: str | None = None, allow_missing: bool = False
) -> Scored:
    """Joins scores and labels by image id and class name.

    A score column fits a label column of the same name, of another spelling of it ("Pleural_Effusion",
    "pleural effusion"), or that holds the prompt of it ("There is pleural effusion."). Columns named normal
    or No Finding, and the fixed normal prompts, are scores of the normal class; they need no label column,
    because an image is normal where all findings are known to be absent.

    Args:
        scores: Finite numbers, higher where the class is likelier.
        labels: 1, 0 or blank; optionally the columns split, view, age, sex, source.
        split: What is reported, where the labels have a column `split`; `"all"` for every row; None is
            `"test"` where there is such a column. Rows of the split `validate` set the thresholds.
        allow_missing: Leave out ids and classes that only one file has, instead of refusing.

    Raises:
        DataError: Ids or classes do not match (both lists are in the message); a score is missing or not
            finite, or a column of scores constant; a label is not 0, 1 or blank; ids contradict each other.
    """
    _check_scores(scores)
    _check_labels(labels)
    fits, normal_columns, dropped = _match_classes(scores, labels, allow_missing=allow_missing)
    wanted = _rows_of_split(labels, split)
    score_row = {image_id: row for row, image_id in enumerate(scores.image_ids)}
    reported, lacking = _match_ids(scores, labels, wanted["reported"], score_row, allow_missing=allow_missing)
    validated = [row for row in wanted["validate"] if labels.image_ids[row] in score_row]
    notes = []
    if wanted["validate"] and not validated:
        notes.append(
            f"{len(wanted['validate'])} validation images have no score: "
            "thresholds come from nested cross-validation."
        )
    elif len(validated) < len(wanted["validate"]):
        notes.append(f"{len(validated)} of {len(wanted['validate'])} validation images have a score.")
    make = _Maker(scores, labels, score_row, fits, normal_columns)
    cases = make.cases(reported)
    contradictions = int(((cases.normal == 1) & (cases.truth == 1).any(axis=1)).sum())
    if contradictions:
        notes.append(f"{contradictions} image(s) are labelled normal and have a finding as well.")
    validation = make.cases(validated) if validated else None
    if validation is not None:
        _check_patients(cases, validation, labels.path)
    return Scored(
        cases,
        validation,
        (*dropped, *lacking),
        tuple(notes),
        any("study_id" in table.keys for table in (scores, labels)),
    )


class _Maker:
    """Makes cases of rows of the labels."""

    def __init__(
        self,
        scores: ClassTable,
        labels: ClassTable,
        score_row: Mapping[str, int],
        fits: Mapping[str, str],
        normal_columns: Sequence[str],
    ) -> None:
        self.scores, self.labels, self.score_row = scores, labels, score_row
        self.fits, self.normal_columns = fits, normal_columns

    def cases(self, rows: Sequence[int]) -> Cases:
        scored = [self.score_row[self.labels.image_ids[row]] for row in rows]
        ids = [self.labels.image_ids[row] for row in rows]
        studies = self._ids("study_id", rows, scored, ids)
        truth = np.stack([self.labels.classes[label][list(rows)] for label in self.fits.values()], axis=1)
        named = next((name for name in self.labels.classes if canonical(name) == NORMAL_CLASS), None)
        return Cases.of(
            ids,
            list(self.fits.values()),
            np.stack([self.scores.classes[name][scored] for name in self.fits], axis=1),
            truth,
            normal=normal_of(truth) if named is None else self.labels.classes[named][list(rows)],
            study_ids=studies,
            patient_ids=self._ids("patient_id", rows, scored, studies),
            normal_scores={name: self.scores.classes[name][scored] for name in self.normal_columns},
            attributes={
                name: [self.labels.keys[name][row] for row in rows]
                for name in ATTRIBUTES
                if name in self.labels.keys
            },
        )

    def _ids(
        self, key: str, rows: Sequence[int], scored: Sequence[int], without: Sequence[str]
    ) -> Sequence[str]:
        """Ids of the labels, else of the scores, else `without`; both files must agree."""
        ours, theirs = self.labels.keys.get(key), self.scores.keys.get(key)
        found = []
        for row, score_row, other in zip(rows, scored, without, strict=True):
            here, there = ours[row] if ours else None, theirs[score_row] if theirs else None
            if here is not None and there is not None and here != there:
                raise DataError(
                    f"{self.labels.path} and {self.scores.path} contradict each other: image "
                    f"{self.labels.image_ids[row]} has the {key} {here} in the one and {there} in the other.",
                    "Mend one of them, or drop its column.",
                )
            if here is None and there is None and (ours or theirs):
                raise DataError(
                    f"{self.labels.path}: row {row + 2} has no {key}, and others have one.",
                    f"Fill it in, or drop the column {key}.",
                )
            found.append(here or there or other)
        return found


def _check_patients(cases: Cases, validation: Cases, path: Path) -> None:
    shared = sorted(set(cases.patient_ids) & set(validation.patient_ids))
    if shared:
        raise DataError(
            f"{path}: {len(shared)} patient(s) are in the reported split and in validate: {listed(shared)}.",
            "Split by patient: thresholds would be set on the patients that they are tested on.",
        )


def _check_scores(scores: ClassTable) -> None:
    for name, values in scores.classes.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            ids = [scores.image_ids[row] for row in bad]
            raise DataError(
                f"{scores.path}: column {name!r}: {len(bad)} score(s) are missing or not finite: "
                f"{listed(ids)}.",
                "Score these images again, or leave their rows out of the scores and use --allow-missing.",
            )
    constant = [name for name, v in scores.classes.items() if len(v) > 1 and np.ptp(v) == 0]
    if constant:
        raise DataError(
            f"{scores.path}: {len(constant)} column(s) hold one value for all images: {listed(constant)}.",
            "Such scores say nothing; find out how they were made, or drop the columns.",
        )


def _check_labels(labels: ClassTable) -> None:
    for name, values in labels.classes.items():
        wrong = np.flatnonzero(~(np.isnan(values) | (values == 0) | (values == 1)))
        if len(wrong):
            raise DataError(
                f"{labels.path}: row {wrong[0] + 2}, column {name!r}: {values[wrong[0]]:g} is not 0, 1 or "
                f"blank ({len(wrong)} such cells in the column).",
                "Give 1 for present, 0 for absent, nothing for unknown.",
            )


def _match_classes(
    scores: ClassTable, labels: ClassTable, *, allow_missing: bool
) -> tuple[dict[str, str], list[str], list[str]]:
    """From score column to label column; the columns with normal scores; what was left out."""
    findings = [name for name in labels.classes if canonical(name) != NORMAL_CLASS]
    by_key = {canonical(name): name for name in findings}
    by_key |= {finding_prompt(name): name for name in findings}
    asks_normal = {n for n in scores.classes if canonical(n) == NORMAL_CLASS or n in NORMAL_PROMPTS}
    fits: dict[str, str] = {}
    for name in scores.classes:
        label = by_key.get(canonical(name)) or by_key.get(name)
        if label is None or name in asks_normal:
            continue
        if label in fits.values():
            raise DataError(f"{scores.path}: two columns score {label!r}.", "Keep one of them.")
        fits[name] = label
    unlabelled = [n for n in scores.classes if n not in fits and n not in asks_normal]
    unscored = [name for name in findings if name not in fits.values()]
    if not fits or ((unlabelled or unscored) and not allow_missing):
        raise DataError(
            f"The classes of {scores.path} and {labels.path} do not match. "
            f"Scores without labels: {listed(unlabelled) or 'none'}. "
            f"Labels without scores: {listed(unscored) or 'none'}.",
            "Give both files the same class columns, or use --allow-missing to leave these out."
            if fits
            else "Give both files the same class columns.",
        )
    left_out = [f"class {name!r} has scores and no labels" for name in unlabelled]
    left_out += [f"class {name!r} has labels and no scores" for name in unscored]
    normal = [name for name in scores.classes if name in asks_normal]
    in_order = sorted(fits.items(), key=lambda fit: findings.index(fit[1]))
    return dict(in_order), normal, left_out


def _match_ids(
    scores: ClassTable,
    labels: ClassTable,
    rows: Sequence[int],
    score_row: Mapping[str, int],
    *,
    allow_missing: bool,
) -> tuple[list[int], list[str]]:
    """The rows of the labels that have scores, and what was left out."""
    labelled = set(labels.image_ids)
    unscored = [labels.image_ids[row] for row in rows if labels.image_ids[row] not in score_row]
    unlabelled = [image_id for image_id in scores.image_ids if image_id not in labelled]
    both = [row for row in rows if labels.image_ids[row] in score_row]
    if not both or ((unscored or unlabelled) and not allow_missing):
        raise DataError(
            f"The images of {scores.path} and {labels.path} do not match; {len(both)} are in both. "
            f"{len(unlabelled)} with scores and no labels: {listed(unlabelled) or 'none'}. "
            f"{len(unscored)} with labels and no scores: {listed(unscored) or 'none'}.",
            "Compare the ids, or use --allow-missing to evaluate those that are in both."
            if both
            else "Compare the column image_id of both files.",
        )
    left_out = [f"image {image_id} has scores and no labels" for image_id in unlabelled]
    return both, left_out + [f"image {image_id} has labels and no scores" for image_id in unscored]


def _rows_of_split(labels: ClassTable, split: str | None) -> dict[str, list[int]]:
    column = labels.keys.get("split")
    everything = list(range(len(labels.image_ids)))
    if column is None:
        if split not in (None, ALL):
            raise DataError(
                f"{labels.path}: no column split, and the split {split!r} was asked for.",
                "Add the column, or leave the option out.",
            )
        return {"reported": everything, "validate": []}
    if split == ALL:
        return {"reported": everything, "validate": []}
    wanted = split or "test"
    reported = [row for row in everything if column[row] == wanted]
    if not reported:
        found = sorted({value or "(blank)" for value in column})
        raise DataError(
            f"{labels.path}: no row of the split {wanted!r}; there are {listed(found)}.",
            "Name one of them, or 'all'.",
        )
    validate = [row for row in everything if column[row] == "validate"] if wanted != "validate" else []
    return {"reported": reported, "validate": validate}
