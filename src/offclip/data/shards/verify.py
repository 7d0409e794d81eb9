"""Whether shards hold what their index says."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from offclip.data.shards.index import read_piece, read_rows
from offclip.data.shards.tar import read_at
from offclip.errors import DataError

INDEX, CARD, SKIPPED = "index", "shards.json", "skipped.csv"
_MEMBERS = 3  # of a sample: image, text, json


def is_shard_folder(folder: Path) -> bool:
    """Whether a folder holds shards that were finished."""
    return (folder / CARD).is_file() and (folder / INDEX).is_dir()


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a folder of shards.

    Raises:
        DataError: There is none, or it is damaged.
    """
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        return {"key": str(card["key"]), **card, "shards": list(card["shards"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not the card of a folder of shards ({error}).", "Make the shards again."
        ) from error


def check_shard(path: Path, rows: Iterable[Mapping[str, Any]]) -> tuple[int, str]:
    """Compares a shard with the rows of its index.

    Args:
        path: The tar file.
        rows: With `member`, `offset`, `size` and `sha256`.

    Returns:
        Its size in bytes and its sha256.

    Raises:
        DataError: A member is missing, elsewhere, or other than the index says.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with tarfile.open(path, "r:") as tar:
            places = {info.name: (info.offset_data, info.size) for info in tar}
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{path}: not a whole tar file ({error}).", "Remove it and run again.") from error
    count = 0
    for row in rows:
        count += 1
        name, place = row["member"], (row["offset"], row["size"])
        if places.get(name) != place or hashlib.sha256(read_at(path, *place)).hexdigest() != row["sha256"]:
            raise DataError(f"{path}: {name} is not what the index says.", "Remove the shard and run again.")
    if len(places) != _MEMBERS * count:
        raise DataError(
            f"{path}: {len(places)} files for {count} samples of the index.", "Remove it and run again."
        )
    return path.stat().st_size, digest


def verify_shards(
    folder: str | Path, on_progress: Callable[[int, int], None] | None = None
) -> list[tuple[str, str]]:
    """Reads every shard of a folder again and compares it with its index and with the card.

    Args:
        folder: Made by `offclip data shard`.
        on_progress: Called with (shards done, shards in all).

    Returns:
        For each shard that is not as it should be, its name and what is wrong.

    Raises:
        DataError: The folder holds no finished shards.
    """
    folder = Path(folder)
    card = read_card(folder)
    problems = []
    for done, entry in enumerate(card["shards"], start=1):
        name = str(entry["shard"])
        index = folder / INDEX / f"{Path(name).stem}.parquet"
        try:
            if not (folder / name).is_file():
                raise DataError("the file is missing")
            piece = read_piece(index)
            size, digest = check_shard(
                folder / name, read_rows(index, ("member", "offset", "size", "sha256"))
            )
            if (size, digest) != (piece.bytes, piece.sha256) or digest != entry["sha256"]:
                raise DataError("other bytes than when it was made")
        except DataError as error:
            problems.append((name, error.message))
        if on_progress:
            on_progress(done, len(card["shards"]))
    return problems
