"""Spanish reports are recognised, English ones are not taken for Spanish."""

import csv
from pathlib import Path

import pytest

from offclip.errors import DataError
from offclip.reports.language import check_supported, is_spanish

OPENI = Path(__file__).parents[3] / "shared" / "data" / "openi_reports" / "metadata.csv"


@pytest.mark.parametrize(
    "report",
    [
        "HALLAZGOS: Silueta cardíaca de tamaño normal. Senos costofrénicos libres.",
        "INFORMACION CLINICA: tos. IMPRESION/CONCLUSION: estudio normal.",
        "sin hallazg patolog signific",
        "torax normal",
        "cambi pulmonar cronic sever . no se observ infiltrat pleuroparenquimatos",
        "aument de densid en lobul inferior derech sugest de neumoni",
        "cardiomegali . elongacion aortic",
    ],
)
def test_spanish(report: str) -> None:
    with pytest.raises(DataError, match="Spanish, which is not supported"):
        check_supported(report)


@pytest.mark.parametrize(
    "report",
    [
        "",
        "Normal chest.",
        "NO ACUTE DISEASE.",
        "Cardiomegaly. Atelectasis. No infiltrate.",
        "Seen by Dr. de la Rosa. Clear lungs, sin of omission.",
        "The report of the clinic in Torax reads: sin hallazgos.",
        "\x00\u0639\u0631\u0628\u064a",
    ],
)
def test_not_spanish(report: str) -> None:
    check_supported(report)


def test_no_openi_report_is_taken_for_spanish() -> None:
    if not OPENI.is_file():
        pytest.skip(f"{OPENI} is not there")
    with OPENI.open(newline="", encoding="utf-8") as file:
        texts = [
            row[name] for row in csv.DictReader(file) for name in ("findings", "impression", "indication")
        ]
    assert len(texts) > 10_000
    assert not [text for text in texts if is_spanish(text)]
