"""From a study table to shards: in order, whole or not there, and going on where a run was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from offclip.data.files import Skipped, atomic_path, write_skipped
from offclip.data.shards.encode import EncodedImage, encoded_images
from offclip.data.shards.index import Piece, read_piece, write_piece
from offclip.data.shards.options import ShardOptions
from offclip.data.shards.sample import Sample, read_findings, samples_of
from offclip.data.shards.tar import TAR_END, Member, ShardWriter, packed_size
from offclip.data.shards.verify import CARD, INDEX, SKIPPED, check_shard, read_card
from offclip.data.study import SPLITS, read_studies
from offclip.errors import DataError
from offclip.version import __version__


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What making shards came to.

    Attributes:
        out: The folder.
        shards: Tar files, by split.
        samples: Samples, by split.
        bytes: Size of all tar files.
        skipped: Images that were left out, with the reason.
        resumed: Samples in shards that an earlier, stopped run had finished.
    """

    out: Path
    shards: dict[str, int]
    samples: dict[str, int]
    bytes: int
    skipped: tuple[Skipped, ...]
    resumed: int


def make_shards(
    studies: str | Path,
    out: str | Path,
    options: ShardOptions | None = None,
    *,
    labels: str | Path | None = None,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ShardSummary:
    """Writes `train-000000.tar` and so on, `index/train-000000.parquet`, `shards.json` and `skipped.csv`.

    Every sample has an image, its caption as `.txt` and all else as `.json`: the form of webdataset, which
    open_clip reads. The same table, options and versions give the same bytes.

    Args:
        studies: A study table.
        out: The folder; what an earlier, stopped run with the same input and options finished is kept.
        options: How they are made.
        labels: Table of findings by image id; by default `labels.csv` beside the table, if it is there.
        workers: Processes that read and check the image files; by default one a core.
        on_progress: Called with (images done, images in all).

    Raises:
        OffclipError: The table is broken, the folder holds other shards, no image is readable, or the disk
            is full. Finished shards are kept.
    """
    studies, out, options = Path(studies), Path(out), options or ShardOptions()
    table = read_studies(studies)
    beside = studies.parent / "labels.csv"
    labels = Path(labels) if labels else beside if beside.is_file() else None
    findings = read_findings(labels) if labels else {}
    key = _fingerprint(studies, labels, options)
    if (out / CARD).is_file() and read_card(out)["key"] != key:
        raise _other_shards(out)
    planned = {
        split: list(samples_of(table, split, findings, caption=options.caption, lateral=options.lateral))
        for split in SPLITS
    }
    _check_keys([sample for samples in planned.values() for sample in samples])
    run = _Run(out, options, key, workers, sum(map(len, planned.values())), on_progress)
    for split, samples in planned.items():
        run.write_split(split, samples)
    return run.finish()


class _Run:
    """The shards of a run: those that are finished, and the one that is being written."""

    def __init__(
        self,
        out: Path,
        options: ShardOptions,
        key: str,
        workers: int | None,
        total: int,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._out, self._options, self._key, self._workers = out, options, key, workers
        self._done, self._total = 0, total
        self._tell = on_progress or (lambda done, total: None)
        self._pieces: list[Piece] = []
        self._skipped: list[Skipped] = []
        self._resumed = 0

    def write_split(self, split: str, samples: Sequence[Sample]) -> None:
        """Writes what is missing of a split."""
        start = 0
        while (piece := self._finished(split)) is not None:
            self._add(piece)
            self._resumed += piece.samples
            start = piece.stop
        self._done += start
        self._tell(self._done, self._total)
        if start == len(samples):
            return
        with closing(encoded_images(samples[start:], self._options, self._workers)) as images:
            waiting = _Lookahead(zip(samples[start:], images, strict=True))
            while waiting.head:
                start += self._write_shard(split, waiting, start)

    def _add(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._skipped += piece.skipped

    def _finished(self, split: str) -> Piece | None:
        """The next shard of a split, if it and its index are whole."""
        name = self._next_name(split)
        index, tar = self._out / INDEX / f"{name}.parquet", self._out / f"{name}.tar"
        if not (index.is_file() and tar.is_file()):
            return None
        piece = read_piece(index)
        if piece.key != self._key:
            raise _other_shards(self._out)
        return piece if tar.stat().st_size == piece.bytes else None

    def _next_name(self, split: str) -> str:
        return f"{split}-{sum(piece.split == split for piece in self._pieces):06d}"

    def _write_shard(self, split: str, waiting: _Lookahead, start: int) -> int:
        """Writes one shard; returns how many samples it used up, unreadable ones included."""
        name = self._next_name(split)
        rows: list[dict[str, Any]] = []
        skipped: list[Skipped] = []
        used = 0
        with atomic_path(self._out / f"{name}.tar") as temporary:
            with temporary.open("wb") as file:
                writer = ShardWriter(file)
                while waiting.head:
                    sample, image = waiting.head
                    if isinstance(image, Skipped):
                        skipped.append(image)
                    else:
                        members = _members(sample, image)
                        room = self._options.shard_bytes - writer.bytes - TAR_END
                        if rows and packed_size(members) > room:
                            break
                        offset = writer.add(sample.key, members)[0]
                        rows.append(_row(sample, image, f"{name}.tar", offset))
                    waiting.drop()
                    used += 1
                    self._done += 1
                    self._tell(self._done, self._total)
                writer.close()
            size, digest = check_shard(temporary, rows)
        piece = Piece(f"{name}.tar", split, start + used, len(rows), size, digest, tuple(skipped), self._key)
        if rows:
            write_piece(self._out / INDEX / f"{name}.parquet", piece, rows)
            self._add(piece)
        else:  # only unreadable images were left
            (self._out / f"{name}.tar").unlink()
            self._skipped += skipped
        return used

    def finish(self) -> ShardSummary:
        """Writes the card and the list of what was left out."""
        self._out.mkdir(parents=True, exist_ok=True)
        write_skipped(self._out / SKIPPED, self._skipped)
        if not self._pieces:
            first = f" The first: {self._skipped[0].reason}" if self._skipped else ""
            raise DataError(f"{self._out}: no image could be read.{first}", "Check the paths in the table.")
        shown = ("shard", "samples", "bytes", "sha256")
        card = {
            "key": self._key,
            "offclip": __version__,
            "options": asdict(self._options),
            "shards": [{name: getattr(piece, name) for name in shown} for piece in self._pieces],
            "skipped": len(self._skipped),
        }
        with atomic_path(self._out / CARD) as temporary:
            temporary.write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        splits = [split for split in SPLITS if any(piece.split == split for piece in self._pieces)]
        return ShardSummary(
            self._out,
            {split: sum(piece.split == split for piece in self._pieces) for split in splits},
            {split: sum(p.samples for p in self._pieces if p.split == split) for split in splits},
            sum(piece.bytes for piece in self._pieces),
            tuple(self._skipped),
            self._resumed,
        )


class _Lookahead:
    """An iterator whose next item can be looked at before it is taken; None at the end."""

    def __init__(self, items: Iterator[tuple[Sample, EncodedImage | Skipped]]) -> None:
        self._items = items
        self.head = next(items, None)

    def drop(self) -> None:
        self.head = next(self._items, None)


def _members(sample: Sample, image: EncodedImage) -> list[Member]:
    return [
        Member(image.ending, image.data),
        Member("txt", sample.caption.encode()),
        Member("json", sample.to_json()),
    ]


def _row(sample: Sample, image: EncodedImage, shard: str, offset: int) -> dict[str, Any]:
    names = ("key", "image_id", "study_id", "patient_id", "split", "view", "label", "caption", "report")
    return {name: getattr(sample, name) for name in names} | {
        "shard": shard,
        "member": f"{sample.key}.{image.ending}",
        "offset": offset,
        "size": len(image.data),
        "sha256": hashlib.sha256(image.data).hexdigest(),
        "height": image.height,
        "width": image.width,
        "original_height": image.original_height,
        "original_width": image.original_width,
        "sentences": sample.sentences,
        "findings": [{"finding": name, "present": value} for name, value in sample.findings.items()],
    }


def _check_keys(samples: Sequence[Sample]) -> None:
    known: dict[str, str] = {}
    for sample in samples:
        other = known.setdefault(sample.key, sample.image_id)
        if other != sample.image_id:
            raise DataError(
                f"Images {other} and {sample.image_id} would both be {sample.key}.", "Rename one of them."
            )


def _fingerprint(studies: Path, labels: Path | None, options: ShardOptions) -> str:
    """All that the shards depend on but the image files themselves."""
    digest = hashlib.sha256(f"{__version__} {options!r}".encode())
    for path in (studies, labels):
        digest.update(hashlib.sha256(path.read_bytes()).digest() if path else b"none")
    return digest.hexdigest()


def _other_shards(out: Path) -> DataError:
    return DataError(
        f"{out}: holds shards that were made from another table or with other options.",
        "Give another folder, or remove this one.",
    )
