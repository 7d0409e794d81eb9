"""What became of the mutants: every one goes through a pool of decoders, and its outcome is counted."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from hostile_mutations import Mutant, mutants
from hostile_specimens import Specimen

from offclip.errors import ImageError
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.pool import Decoded, DecoderPool, NamedBytes
from offclip.images.reasons import Reason

SAME, OTHER = "same pixels", "other pixels"
# A crash or a lost process is a refusal for the caller, but no check has caught the file.
LOST = (Reason.DECODER_CRASHED, Reason.TOO_SLOW, Reason.TOO_MUCH_MEMORY)
OPTIONS = ReadOptions(limits=Limits(max_pixels=4 * 10**6, seconds=20.0, memory_bytes=2 * 2**30))


@dataclass
class Tally:
    """Outcomes of the mutants of one specimen.

    Attributes:
        counts: (family, outcome) -> how many; an outcome is `SAME`, `OTHER` or a reason.
        wrong: Mutants that gave other pixels although something in the file contradicts them.
        lost: Mutants at which the process was lost, with the message.
        odd: Answers that are neither pixels nor a refusal with a reason of the list.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[Mutant] = field(default_factory=list)
    lost: list[tuple[Mutant, str]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def of(self, outcome: str) -> int:
        """How many mutants had an outcome."""
        return sum(count for (_, found), count in self.counts.items() if found == outcome)

    def by_family(self, outcome: str) -> Counter[str]:
        """How many of each family had an outcome."""
        return Counter({family: n for (family, found), n in self.counts.items() if found == outcome})


def tally(pool: DecoderPool, specimen: Specimen, count: int, seed: int = 0) -> Tally:
    """Reads `count` mutants of a specimen.

    Args:
        pool: With `OPTIONS` or others that read the specimen.
        specimen: A sound file.
        count: How many mutants.
        seed: Of the mutations.
    """
    found = Tally()
    waiting: deque[Mutant] = deque()

    def sources() -> Iterator[NamedBytes]:
        yield NamedBytes("sound", specimen.data)
        for mutant in _kept(mutants(specimen, count, seed), waiting):
            yield NamedBytes(mutant.what, mutant.data)

    results = pool.map(sources())
    sound = next(results)
    if isinstance(sound, ImageError):
        raise AssertionError(f"{specimen.name}: {sound}")
    for result in results:
        mutant = waiting.popleft()
        outcome = _outcome(result, sound.film.pixels, found, mutant)
        found.counts[mutant.family, outcome] += 1
    return found


def _kept(source: Iterable[Mutant], waiting: deque[Mutant]) -> Iterator[Mutant]:
    for mutant in source:
        waiting.append(mutant)
        yield mutant


def _outcome(result: Decoded | ImageError, sound: np.ndarray, found: Tally, mutant: Mutant) -> str:
    if isinstance(result, ImageError):
        if result.reason not in set(Reason) or not result.message or not result.remedy:
            found.odd.append(f"{mutant.family}, {mutant.what}: {result!r}")
        if result.reason in LOST:
            found.lost.append((mutant, result.message))
        return str(result.reason)
    pixels = result.film.pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        found.odd.append(f"{mutant.family}, {mutant.what}: {pixels.dtype} {pixels.shape}")
    if np.array_equal(pixels, sound):
        return SAME
    if mutant.checked:
        found.wrong.append(mutant)
    return OTHER
