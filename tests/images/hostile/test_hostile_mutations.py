"""Mutants of a file of every codec: read, refused with a reason, or the decoder is lost; never something else."""

import os
from collections import Counter

import pytest
from hostile_mutations import mutants
from hostile_specimens import specimens
from hostile_tally import LOST, OPTIONS, OTHER, SAME, tally

from offclip.images.pool import DecoderPool

FEW = int(os.environ.get("OFFCLIP_MUTANTS", "300"))
MANY = 2000
# What no check can see, as benchmarks/hostile_images.py counts it, is left to `Mutant.checked`.
NO_CHECK_SUM = {name for name, specimen in specimens().items() if not specimen.strict}


@pytest.fixture(scope="module")
def pool():
    with DecoderPool(1, OPTIONS) as decoders:
        yield decoders


def check(pool, name, count):
    specimen = specimens()[name]
    found = tally(pool, specimen, count)
    outcomes = Counter()
    for (_, outcome), number in found.counts.items():
        outcomes[outcome] += number
    print(f"\n{name}: {dict(outcomes.most_common())}, other pixels: {dict(found.by_family(OTHER))}")
    assert not found.odd
    assert [(mutant.family, mutant.what) for mutant in found.wrong] == []
    assert outcomes.total() == count
    if specimen.strict:
        assert outcomes[OTHER] == 0
    # Most files are refused by a check, not by the loss of a process.
    assert sum(outcomes[reason] for reason in LOST) <= count // 50
    assert outcomes.total() - outcomes[SAME] - outcomes[OTHER] > count // 4


@pytest.mark.parametrize("name", specimens())
def test_mutants_are_read_or_refused(pool, name):
    check(pool, name, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", specimens())
def test_many_mutants_are_read_or_refused(pool, name):
    check(pool, name, MANY)


@pytest.mark.parametrize("name", ["jpeg-ls", "native-like", "file-png"])
def test_the_same_seed_makes_the_same_mutants(name):
    specimen = specimens().get(name, specimens()["explicit"])
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


def test_the_grey_values_of_the_specimens_show_every_stored_value(pool):
    # Otherwise a changed pixel could pass for the same.
    for name in ("explicit", "jpeg-ls", "jpeg", "file-tiff"):
        specimen = specimens()[name]
        changed = bytearray(specimen.data)
        (sound,) = pool.map([_named(specimen.data)])
        assert len(set(sound.film.pixels.ravel().tolist())) > 100
        if name == "explicit":
            changed[specimen.header_end + 2000] ^= 1  # the lowest bit of one pixel
            (other,) = pool.map([_named(bytes(changed))])
            assert (other.film.pixels != sound.film.pixels).sum() == 1


def _named(data):
    from offclip.images.pool import NamedBytes

    return NamedBytes("a file", data)
