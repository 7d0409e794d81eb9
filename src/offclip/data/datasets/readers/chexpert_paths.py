"""The paths of CheXpert and its kin, such as `CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_PATH = re.compile(
    r"(?:.*/)?(train|valid|test)/(patient\d{1,9})/(study\d{1,9})/(view\d{1,9}_(frontal|lateral))\.\w{3,5}"
)
_STUDY = re.compile(r"(?:.*/)?(train|valid|test)/(patient\d{1,9})/(study\d{1,9})/?")
_SPLITS = {"train": "train", "valid": "validate", "test": "test"}
# The full-size images come in four archives that unpack to folders of these names.
BATCHES = {
    "valid": ("CheXpert-v1.0 batch 1 (validate & csv)",),
    "train": tuple(f"CheXpert-v1.0 batch {n + 1} (train {n})" for n in (1, 2, 3)),
    "test": (),
}


@dataclass(frozen=True, slots=True)
class ChexpertPath:
    """What a path says.

    Attributes:
        part: `"train"`, `"valid"` or `"test"`.
        patient: Such as `"patient00001"`.
        study: Such as `"study1"`.
        view: Such as `"view1_frontal"`; empty where the path is that of a study.
    """

    part: str
    patient: str
    study: str
    view: str = ""

    @property
    def split(self) -> str:
        """The split by the names that offclip uses."""
        return _SPLITS[self.part]

    @property
    def study_id(self) -> str:
        """Unique in the set: study1 exists once a patient."""
        return f"{self.patient}_{self.study}"

    @property
    def image_id(self) -> str:
        """As in the keys of CheXlocalize."""
        return f"{self.patient}_{self.study}_{self.view}"


def parse_path(cell: str) -> ChexpertPath | None:
    r"""The path of an image, None where it has another form; it cannot lead out of the tree.

    Example:
        >>> parse_path("CheXpert-v1.0-small\\valid\\patient64541\\study1\\view1_frontal.jpg").image_id
        'patient64541_study1_view1_frontal'
    """
    place = _PATH.fullmatch(cell.replace("\\", "/"))
    return ChexpertPath(*place.groups()[:4]) if place else None


def parse_study(cell: str) -> ChexpertPath | None:
    """The path of a study, None where it has another form.

    Example:
        >>> parse_study("CheXpert-v1.0/test/patient64741/study1").study_id
        'patient64741_study1'
    """
    place = _STUDY.fullmatch(cell.replace("\\", "/"))
    return ChexpertPath(*place.groups()) if place else None


def view_from(path: ChexpertPath, frontal_lateral: str = "", ap_pa: str = "") -> str:
    """The view, from the columns where they are filled and from the name of the file otherwise.

    Example:
        >>> view_from(ChexpertPath("train", "patient1", "study1", "view1_frontal"), "Frontal", "LL")
        'frontal'
    """
    side = frontal_lateral.lower() or path.view.rpartition("_")[2]
    if side != "frontal":
        return "lateral" if side == "lateral" else "unknown"
    # LL and RL stand in a few rows of frontal films, which cannot be.
    return {"ap": "AP", "pa": "PA"}.get(ap_pa.lower(), "frontal")


class ChexpertImages:
    """Where the images lie: in one tree, or in the folders of the four archives.

    Args:
        *roots: Folders that may hold `train`, `valid`, `test` or the folders of the archives.
        ending: Of the files.
    """

    def __init__(self, *roots: Path, ending: str = ".jpg") -> None:
        self.ending = ending
        self._folders: dict[str, list[Path]] = {}
        for part, names in BATCHES.items():
            trees = [root.absolute() / part for root in roots]
            archives = [
                [root.absolute() / name / inside for name in names for inside in (part, "")] for root in roots
            ]
            # One tree or one set of archives: two sizes of the films are never mixed.
            choices = [*([tree] for tree in trees), *archives]
            found = ([folder for folder in folders if folder.is_dir()] for folders in choices)
            self._folders[part] = next(filter(None, found), trees[:1])
        self._folder_of = lru_cache(maxsize=64)(self._find)  # the images of a patient follow each other

    def path(self, image: ChexpertPath) -> Path:
        """The absolute path, whether or not the file is there."""
        folder = self._folder_of(image.part, image.patient)
        return folder / image.patient / image.study / f"{image.view}{self.ending}"

    def views(self, study: ChexpertPath) -> list[ChexpertPath]:
        """The images of a study that lie there, in the order of their names."""
        folder = self._folder_of(study.part, study.patient) / study.patient / study.study
        files = sorted(folder.glob(f"view*{self.ending}"))
        images = (parse_path(f"{study.part}/{study.patient}/{study.study}/{file.name}") for file in files)
        return [image for image in images if image]

    def _find(self, part: str, patient: str) -> Path:
        folders = self._folders[part]
        if len(folders) == 1:  # the usual case, in which the disk need not be asked
            return folders[0]
        return next((folder for folder in folders if (folder / patient).is_dir()), folders[0])
