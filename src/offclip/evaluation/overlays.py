"""Heat maps for the gallery of a page, made when a case is shown and not before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from offclip.data.stream import ImageRef
from offclip.errors import OffclipError
from offclip.evaluation.cases import Cases
from offclip.evaluation.result_page import FilmMap
from offclip.grounding.maps import maps_of_image
from offclip.grounding.regions import Box
from offclip.images.reading import read
from offclip.models.interface import ClipModel

_MOST = 2
_SIDE = 256


class ModelMaps(Mapping[str, Sequence[FilmMap]]):
    """From case id to heat maps of its film, by the map that the model is known for.

    Shown are the findings that the case has, two at most; of a case without one the finding whose score ranks
    highest among the cases: what the model would call.

    Args:
        model: In evaluation mode.
        cases: Images, not studies.
        images: From case id to a film.
        prompts: From finding to what was asked.
        boxes: From case id to ground truth.
    """

    def __init__(
        self,
        model: ClipModel,
        cases: Cases,
        images: Mapping[str, Path],
        prompts: Mapping[str, Sequence[str]],
        boxes: Mapping[str, Sequence[Box]],
    ) -> None:
        self._model, self._cases, self._images = model, cases, images
        self._prompts, self._boxes = prompts, boxes
        self._row = {case_id: row for row, case_id in enumerate(cases.ids) if case_id in images}
        self._places = cases.scores.argsort(axis=0).argsort(axis=0)

    def __len__(self) -> int:
        return len(self._row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __getitem__(self, case_id: str) -> Sequence[FilmMap]:
        findings = self._findings(self._row[case_id])
        try:
            film = read(self._images[case_id], self._model.preprocess.read_options())
        except OffclipError:
            return ()  # the gallery says why there is no picture
        asked = [self._prompts[finding][0] for finding in findings]
        maps = maps_of_image(self._model, film.pixels, asked, aspect=film.grid.aspect)
        return [
            FilmMap(finding, _small(heat), self._of(case_id, finding))
            for finding, heat in zip(findings, maps, strict=True)
        ]

    def _findings(self, row: int) -> list[str]:
        names = self._cases.findings
        present = [
            name for name, is_there in zip(names, self._cases.truth[row], strict=True) if is_there == 1
        ]
        return present[:_MOST] or [names[int(self._places[row].argmax())]]

    def _of(self, case_id: str, finding: str) -> tuple[Box, ...]:
        return tuple(b for b in self._boxes.get(case_id, ()) if b.finding.lower() == finding.lower())


def films_of(images: Sequence[ImageRef], studies: Mapping[str, str]) -> dict[str, Path]:
    """From case id to a film: of an image its own, of a study its first."""
    first = {studies[image.image_id]: image.path for image in reversed(images)}
    return first | {image.image_id: image.path for image in images}


def _small(heat: np.ndarray) -> np.ndarray:
    """A map of the film at the size of the page; what the model was not shown is as cold as can be."""
    filled = np.where(np.isfinite(heat), heat, np.nanmin(heat)).astype(np.float32)
    scale = min(1.0, _SIDE / max(filled.shape))
    size = (max(1, round(filled.shape[1] * scale)), max(1, round(filled.shape[0] * scale)))
    return cv2.resize(filled, size, interpolation=cv2.INTER_AREA)
