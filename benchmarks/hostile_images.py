"""Mutated files of every codec: refused for which reasons, and how many give other pixels unseen.

    python benchmarks/hostile_images.py [--mutants 2000] [--seed 0] [--codec NAME ...]

Prints two tables in Markdown, and the mutants that gave other pixels although something in the file
contradicts them (there must be none).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "images" / "hostile")]

from hostile_specimens import specimens  # noqa: E402  # pyright: ignore[reportMissingImports]
from hostile_tally import (  # noqa: E402  # pyright: ignore[reportMissingImports]
    LOST,
    OPTIONS,
    OTHER,
    SAME,
    Tally,
    tally,
)

from offclip.images.pool import DecoderPool  # noqa: E402


def main() -> None:
    """Reads the command line, the mutants, and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=2000, help="mutants of each codec")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations")
    parser.add_argument(
        "--codec", action="append", choices=list(specimens()), help="only these; all by default"
    )
    arguments = parser.parse_args()
    found: dict[str, Tally] = {}
    start = time.process_time(), time.perf_counter()
    with DecoderPool(1, OPTIONS) as pool:
        for name, specimen in specimens().items():
            if not arguments.codec or name in arguments.codec:
                found[name] = tally(pool, specimen, arguments.mutants, arguments.seed)
    seconds = time.perf_counter() - start[1]
    print(f"{arguments.mutants:,} mutants a codec, seed {arguments.seed}; {seconds:.0f} s\n")
    print(outcome_table(found))
    print()
    print(unseen_table(found))
    for name, one in found.items():
        for mutant in one.wrong:
            print(f"WRONG {name}: {mutant.family}, {mutant.what}")
        for mutant, message in one.lost:
            print(f"LOST {name}: {mutant.family}, {mutant.what}: {message}")
        for line in one.odd:
            print(f"ODD {name}: {line}")


def outcome_table(found: dict[str, Tally]) -> str:
    """Codec by outcome: refused, for the most frequent reasons, lost, same pixels, other pixels."""
    reasons = sorted(
        {outcome for one in found.values() for _, outcome in one.counts} - {SAME, OTHER},
        key=lambda reason: -sum(one.of(reason) for one in found.values()),
    )
    head = ["codec", "refused", SAME, OTHER, "lost", *reasons]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, one in found.items():
        lost = sum(one.of(reason) for reason in LOST)
        refused = sum(one.counts.values()) - one.of(SAME) - one.of(OTHER) - lost
        numbers = [refused, one.of(SAME), one.of(OTHER), lost, *(one.of(reason) for reason in reasons)]
        rows.append([name, *map(str, numbers)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def unseen_table(found: dict[str, Tally]) -> str:
    """Codec by family of the mutation: other pixels of all mutants of the family."""
    families = list(dict.fromkeys(family for one in found.values() for family, _ in one.counts))
    rows = [["other pixels", *families], ["---", *["---:"] * len(families)]]
    for name, one in found.items():
        cells = []
        for family in families:
            total = sum(count for (of, _), count in one.counts.items() if of == family)
            cells.append(f"{one.by_family(OTHER)[family]} of {total}" if total else "")
        rows.append([name, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
