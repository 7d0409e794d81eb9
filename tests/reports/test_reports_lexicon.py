"""The phrase language, the checks on a lexicon file, and a user's own file."""

from pathlib import Path

import pytest

from offclip.errors import ConfigError
from offclip.reports import RuleLabeller, load_lexicon
from offclip.reports.phrases import PhraseError, PhraseIndex, expand, spans, tokenize

REQUIRED = (
    "cardiomegaly, pleural effusion, pneumothorax, consolidation, nodule, mass, edema, atelectasis, "
    "pacemaker, hernia, pneumonia, infiltration, emphysema, fibrosis, pleural thickening, fracture, opacity, "
    "granuloma"
)


def test_the_vocabulary_holds_the_names_that_prompts_use() -> None:
    assert set(REQUIRED.split(", ")) <= set(load_lexicon().findings)


def test_the_lexicon_is_compiled_once() -> None:
    assert load_lexicon() is load_lexicon()


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("no", "no", True),
        ("no", "nodule", False),
        ("opaci*", "opacities", True),
        ("*ectomy", "lobectomy", True),
        ("*ectomy", "ectomy", False),
        ("a|b c", "b c", True),
        ("a [b] c", "a c", True),
        ("a [b] c", "a b c", True),
        ("a ~2 c", "a x y c", True),
        ("a ~2 c", "a x y z c", False),
        ("a ~2 c", "a , c", False),
        ("a ~2 c", "a no c", False),
    ],
)
def test_phrases(phrase: str, text: str, found: bool) -> None:
    index = PhraseIndex([(phrase, 1)], gap_stops=["no"])
    assert bool(index.scan(tokenize(text))) is found


@pytest.mark.parametrize("phrase", ["", "~2 a", "~9", "a ~x b", "[a", "*", "a*b", "Upper", "[a]"])
def test_malformed_phrases_are_refused(phrase: str) -> None:
    with pytest.raises(PhraseError):
        list(expand(phrase))


def test_the_longest_phrase_wins_and_the_first_of_equals() -> None:
    index = PhraseIndex([("no", "short"), ("no change", "first"), ("no change*", "second")])
    assert [m.payload for m in index.scan(("no", "change", "no"))] == ["first", "short"]


def test_a_phrase_is_found_after_the_automaton_forgot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offclip.reports.phrases._MEMO_SIZE", 3)
    index = PhraseIndex([("a ~2 b", "gap"), ("c*", "prefix")])
    words = ["a", "x", "b", "cat", "dog", "c" * 90, "a", "y", "z", "b"] * 3
    assert [m.payload for m in index.scan(words)] == ["gap", "prefix", "prefix", "gap"] * 3


@pytest.mark.parametrize(
    "text", ["No mass.", "a .. b . <br> br c", "İstanbul İ mass", "w/o s/p x/y 1.5", "__ _ ___"]
)
def test_spans_are_those_of_the_words(text: str) -> None:
    words = tokenize(text)
    found = spans(text, words)
    assert len(found) == len(words)
    for word, (start, end) in zip(words, found, strict=True):
        assert word == "." or text[start:end].lower() == word or "İ" in text[start:end]


def test_a_user_extends_the_lexicon_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('schema = 1\n[[finding]]\nname = "flump"\nphrases = ["flump*"]\n', encoding="utf-8")
    labeller = RuleLabeller(load_lexicon(path))
    assert labeller("Two flumps.").reason == "asserted:flump"
    assert labeller("No effusion.").reason == "negated:pleural effusion"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = 2", "schema"),
        ("schema = 1\nword = 1", "unknown key"),
        ("schema = 1\n[cues]\nmaybe = ['x']", "unknown key"),
        ("schema = 1\n[cues]\nhedge = 'x'", "list of strings"),
        ("schema = 1\n[[finding]]\nphrases = ['x']", "name"),
        ("schema = 1\n[[finding]]\nname = 'x'\ngroup = 'y'", "group"),
        ("schema = 1\n[[finding]]\nname = 'x'\nweak = 'y'", "weak"),
        ("schema = 1\n[[finding]]\nname = 'x'\ndetail = 'y'", "detail"),
        ("schema = 1\n[[finding]]\nname = 'x'\nphrases = ['~2 x']", "malformed"),
        ("schema = 1\n[places]\n'over there' = ['x']", "place"),
        ("schema = 1\n[severity]\nawful = ['x']", "severity"),
        ("schema = 1\n[[refine]]\nfinding = 'x'\nnear = ['y']\nto = 'z'", "names no finding"),
        ("schema = ", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_lexicon(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_lexicon(tmp_path / "none.toml")
