"""Mutants of a file of every codec: read, or refused for a reason, or the decoder is lost; nothing else."""

from collections import Counter

import pytest
from hostile_mutations import mutants
from hostile_specimens import specimens
from hostile_tally import LOST, OPTIONS, OTHER, SAME, tally

from offclip.images.pool import DecoderPool, NamedBytes

# All of them: pytest -m slow; with counts: pytest -s.
FEW, MANY = 300, 2000


@pytest.fixture(scope="module")
def pool():
    with DecoderPool(1, OPTIONS) as decoders:
        yield decoders


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", specimens())
def test_mutants_are_read_or_refused(pool, name, count):
    specimen = specimens()[name]
    found = tally(pool, specimen, count)
    outcomes = Counter()
    for (_, outcome), number in found.counts.items():
        outcomes[outcome] += number
    print(f"\n{name}: {dict(outcomes.most_common())}, other pixels: {dict(found.by_family(OTHER))}")
    assert not found.odd
    assert [(mutant.family, mutant.what) for mutant in found.wrong] == []
    assert outcomes.total() == count
    # Most files are refused by a check, not by the loss of a process.
    assert sum(outcomes[reason] for reason in LOST) <= count // 50
    assert outcomes.total() - outcomes[SAME] - outcomes[OTHER] > count // 4


def test_no_mutation_of_a_file_with_check_sums_gives_other_pixels():
    # `Mutant.checked` says it of every mutant, so that the test above fails.
    strict = {name for name, specimen in specimens().items() if specimen.strict}
    assert strict == {"file-png", "file-png-16", "file-png-colour"}
    assert all(mutant.checked for name in strict for mutant in mutants(specimens()[name], 100))
    # And of every cut and every lost end, of whatever codec.
    for name in ("explicit", "rle", "jpeg-ls", "jpeg-2000", "file-jpeg", "file-bmp"):
        kinds = {m.family: m.checked for m in mutants(specimens()[name], 100)}
        assert all(kinds.get(family, True) for family in ("truncated", "no end", "item lies"))


@pytest.mark.parametrize("name", ["jpeg-ls", "explicit", "file-png"])
def test_the_same_seed_makes_the_same_mutants(name):
    specimen = specimens()[name]
    first, again, other = (list(mutants(specimen, 40, seed)) for seed in (1, 1, 2))
    assert first == again
    assert [mutant.data for mutant in first] != [mutant.data for mutant in other]


def test_every_family_occurs():
    families = {mutant.family for name in ("jpeg", "file-tiff") for mutant in mutants(specimens()[name], 60)}
    assert families == {
        "flip",
        "flip header",
        "truncated",
        "splice",
        "no end",
        "codestream lies",
        "codestream cut",
        "header lies",
        "both lie",
        "item lies",
    }


def test_a_changed_stored_value_is_a_changed_grey_value(pool):
    # Otherwise a changed pixel could pass for the same.
    specimen = specimens()["explicit"]
    changed = bytearray(specimen.data)
    changed[specimen.header[1] + 2000] ^= 1  # the lowest bit of one pixel
    files = [NamedBytes("sound", specimen.data), NamedBytes("changed", bytes(changed))]
    sound, other = (result.film.pixels for result in pool.map(files))
    assert (sound != other).sum() == 1
    assert len(set(sound.ravel().tolist())) > 100
