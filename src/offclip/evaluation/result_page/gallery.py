"""Films of the gallery, with scores and truth beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from offclip.errors import InputError, OffclipError
from offclip.evaluation.cases import Cases
from offclip.evaluation.drawing.films import data_uri, shrink, under_heat
from offclip.evaluation.result_page.choosing import choose, ranks
from offclip.evaluation.result_page.curves import NormalScored
from offclip.evaluation.result_page.words import plain, setting
from offclip.grounding.pointing import Box
from offclip.images.reading import read

MOST_SCORES = 3


@dataclass(frozen=True, slots=True)
class FilmMap:
    """A heat map of one film.

    Attributes:
        finding: What it is for.
        heat: (h, w) finite values over the whole film, of any resolution.
        boxes: Ground truth of this finding, in pixels of the original film.
    """

    finding: str
    heat: np.ndarray
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A film, or a film under a heat map.

    Attributes:
        uri: Data URI.
        width, height: Of the original film in pixels; the boxes are in these.
        alt, caption: For those who cannot see it, and below it.
        boxes: Ground truth.
    """

    uri: str
    width: int
    height: int
    alt: str
    caption: str
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreShown:
    """One score of a case: its value and the share of the cases that score lower."""

    name: str
    value: str
    place: int
    present: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One case.

    Attributes:
        case_id: As the user gave it.
        truth: In words.
        normal: The normal score; None where there is none.
        scores: The findings whose scores rank highest among the cases.
        pictures: The film and its heat maps; empty without a film.
        problem: Why there is no film, where one was given.
    """

    case_id: str
    truth: str
    normal: ScoreShown | None
    scores: tuple[ScoreShown, ...]
    pictures: tuple[Picture, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Three groups of cards; see `choosing.Chosen`."""

    best: list[Card]
    worst: list[Card]
    cleared: list[Card]
    cleared_total: int | None
    by_normal_score: bool

    @property
    def films(self) -> int:
        """Number of different films on the page."""
        return len({c.case_id for c in (*self.best, *self.worst, *self.cleared) if c.pictures})

    @property
    def maps(self) -> bool:
        """Whether a film has a heat map."""
        return any(len(c.pictures) > 1 for c in (*self.best, *self.worst, *self.cleared))


def gallery(
    cases: Cases,
    scored: NormalScored | None,
    missed: int | None,
    images: Mapping[str, Path],
    overlays: Mapping[str, Sequence[FilmMap]],
) -> Gallery:
    """The cases to look at, as cards.

    A film that cannot be read costs its picture only.

    Args:
        cases: N cases.
        scored: The reported normal score.
        missed: Number of abnormal cases that are wrongly cleared; see `choosing.choose`.
        threshold: Of the normal score; see `choosing.choose`.
        images: From case id to a film.
        overlays: From case id to heat maps of that film.

    Raises:
        InputError: A heat map is no matrix of finite values.
    """
    chosen = choose(cases, scored, missed)
    places = [ranks(column) for column in cases.scores.T]
    normal_places = ranks(scored.score) if scored else None
    cards: dict[int, Card] = {}
    for row in dict.fromkeys((*chosen.best, *chosen.worst, *chosen.cleared)):
        case_id = cases.ids[row]
        pictures, problem = _pictures(case_id, images.get(case_id), overlays.get(case_id, ()))
        normal = None
        if scored is not None and normal_places is not None:
            where = int(np.flatnonzero(scored.rows == row)[0])
            place = int(100 * float(normal_places[where]))
            normal = ScoreShown(
                "normal", setting(float(scored.score[where])), place, bool(scored.normal[where])
            )
        cards[row] = Card(
            case_id, truth_of(cases, row), normal, _scores(cases, places, row), pictures, problem
        )
    return Gallery(
        _cards(cards, chosen.best),
        _cards(cards, chosen.worst),
        _cards(cards, chosen.cleared),
        chosen.cleared_total,
        chosen.by_normal_score,
    )


def truth_of(cases: Cases, row: int) -> str:
    """What is known of a case, in words.

    Example:
        >>> cases = Cases.of(["a", "b"], ["Mass", "Pleural_Thickening"], [[1, 0], [0, 1]], [[0, 0], [1, 1]])
        >>> truth_of(cases, 0), truth_of(cases, 1)
        ('normal', 'Mass, Pleural Thickening')
    """
    present = [plain(f) for f, t in zip(cases.findings, cases.truth[row], strict=True) if t == 1]
    if present:
        return ", ".join(present)
    if cases.normal[row] == 1:
        return "normal"
    return "abnormal, by none of the findings here" if cases.normal[row] == 0 else "not known"


def _cards(cards: Mapping[int, Card], rows: Iterable[int]) -> list[Card]:
    return [cards[row] for row in rows]


def _scores(cases: Cases, places: Sequence[np.ndarray], row: int) -> tuple[ScoreShown, ...]:
    """The findings that rank highest; scores of two findings share no scale, their ranks do."""
    order = sorted(range(len(places)), key=lambda c: (-places[c][row], c))[:MOST_SCORES]
    return tuple(
        ScoreShown(
            plain(cases.findings[c]),
            setting(float(cases.scores[row, c])),
            int(100 * float(places[c][row])),
            bool(cases.truth[row, c] == 1),
        )
        for c in order
    )


def _pictures(case_id: str, path: Path | None, maps: Sequence[FilmMap]) -> tuple[tuple[Picture, ...], str]:
    if path is None:
        return (), ""
    try:
        pixels = read(path).pixels
    except OffclipError as error:
        return (), f"The film is not readable: {error.message}"
    height, width = pixels.shape
    film = shrink(pixels) if max(pixels.shape) > 256 else pixels
    boxes = tuple(dict.fromkeys(box for found in maps for box in found.boxes))
    result = [Picture(data_uri(film), width, height, f"Film of {case_id}", "film", boxes)]
    for found in maps:
        if found.heat.ndim != 2 or not found.heat.size or not np.isfinite(found.heat).all():
            raise InputError(
                f"The heat map of {case_id} for {found.finding} is no matrix of finite values.",
                "Give (height, width) of the whole film.",
            )
        heat = cv2.resize(
            found.heat.astype(np.float32), (film.shape[1], film.shape[0]), interpolation=cv2.INTER_LINEAR
        )
        name = plain(found.finding)
        alt = f"Heat map of {case_id} for {name}"
        result.append(Picture(data_uri(under_heat(film, heat)), width, height, alt, name, found.boxes))
    return tuple(result), ""
