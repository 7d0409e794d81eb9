"""A vocabulary of the size of the tiny model, with the special pieces where BERT has them."""

from offclip.models.carzero.tokenizer import SPECIAL_IDS

WORDS = [
    "there",
    "is",
    "no",
    "finding",
    "effusion",
    "##s",
    "##less",
    "nod",
    "##ule",
    "5",
    "3",
    ".",
    "cm",
    "-",
]


def make_vocabulary(size: int = 1024) -> list[str]:
    pieces = [f"[unused{number}]" for number in range(size)]
    for name, number in SPECIAL_IDS.items():
        pieces[number] = name
    pieces[110 : 110 + len(WORDS)] = WORDS
    return pieces
