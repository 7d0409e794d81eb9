"""Recognises reports in Spanish, which the rules cannot read.

A Spanish report read by English rules comes out uncertain or wrong, so it is refused. The test costs about a
microsecond a report: small words that are English alone settle the matter at once for nearly every report.
"""

import re

from offclip.errors import DataError

_HEAD = 500  # characters looked at
_ENGLISH = re.compile(r" (?:the|is|of|are|with|and|was|has|THE|IS|OF|ARE|WITH|AND|WAS|HAS) ")
# Words that stand in no English report. Those of PadChest are stems without accents: "sin hallazg patolog".
_SPANISH = re.compile(
    r"\b(?:hallazgos?|hallazg|impresi[oó]n|conclusi[oó]n|informaci[oó]n|(?:hemi)?t[oó]rax|radiograf[ií]as?"
    r"|radiografi|rx de|no se|en el|de la|de los|sin|derrames?|derram|derech[oa]s?|derech"
    r"|izquierd[oa]s?|izquierd|ambos|ambas|observan?|observ|aument(?:o|ad[oa]s?)?|silueta|siluet|pulmonar(?:es)?|pulm[oó]n(?:es)?"
    r"|patol[oó]gic[oa]s?|patolog|parenquimatos[oa]s?|par[eé]nquima|parenquim\w{0,10}"
    r"|costofr[eé]nic[oa]s?|costofren|cardiomegalia?|atelectasi|atelectasias?|infiltrados?|neumon[ií]as?|neumoni|neumot[oó]rax|marcapasos?"
    r"|marcapas|granulom|enfisema|enfisem|previ[oa]s?|previ|comparaci[oó]n|estudios?|estudi|im[aá]gen(?:es)?|imag"
    r"|elongaci[oó]n|elongacion|engrosamientos?|engros|signos|cambios|cambi|libres?|libr|agud[oa]s?|agud|pinz\w{0,9}"
    r"|aparente|aparent|intersticial(?:es)?|escoliosis|fracturas?|fractur|cr[oó]nic[oa]s?|cronic|l[oó]bulos?|lobul"
    r"|significativ[oa]s?|cl[ií]nic[oa]|t[eé]cnica|paciente|pacient)\b",
    re.IGNORECASE,
)


def is_spanish(text: str) -> bool:
    """Return whether a report is written in Spanish, or in the Spanish word stems of PadChest.

    Args:
        text: The report.

    Returns:
        `True` if two Spanish words (one, in five words or fewer) and no small English word stand at its
        beginning.

    Example:
        >>> is_spanish("HALLAZGOS: No se observan infiltrados."), is_spanish("sin hallazg patolog")
        (True, True)
        >>> is_spanish("FINDINGS: No infiltrates.")
        False
    """
    head = text[:_HEAD]
    if _ENGLISH.search(head):
        return False
    needed = 1 if head.count(" ") < 5 else 2
    words: set[str] = set()
    for match in _SPANISH.finditer(head):
        words.add(match[0].lower())
        if len(words) >= needed:
            return True
    return False


def check_supported(text: str) -> None:
    """Refuse a report in a language that cannot be labelled.

    Args:
        text: The report.

    Raises:
        DataError: The report is in Spanish.

    Example:
        >>> check_supported("The lungs are clear.")
    """
    if is_spanish(text):
        raise DataError(
            "The report seems to be written in Spanish, which is not supported; only English is.",
            "Translate the reports to English, or use the labels that came with the data set.",
        )
