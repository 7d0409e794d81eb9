"""A virtual environment for each package that labellers.py compares with, and the worker inside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labellers_lists import WordList
from offclip.errors import OffclipError

WORKER = Path(__file__).with_name("labellers_worker.py")
# Arguments of pip, one call after the other. negspacy and medspacy ask for different versions of spaCy.
# medspacy goes in without its dependencies, because its UMLS look-up brings C++ parts that are not used here.
INSTALLS: dict[str, tuple[tuple[str, ...], ...]] = {
    "negspacy": (("spacy>=3.8,<4", "negspacy==1.1.0", "click"),),
    "medspacy": (
        ("spacy>=3.7,<3.8", "PyRuSH>=1.0.13", "quicksectx", "pysbd==0.3.4", "jsonschema", "loguru", "click"),
        ("--no-deps", "medspacy==1.3.1"),
    ),
}


class PackageError(OffclipError):
    """A package could not be installed or run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a package says.

    Attributes:
        reports: Whether each report names a finding that is present.
        sentences: The same for the sentences.
        seconds: For the reports.
        versions: Of the package and of spaCy.
    """

    reports: list[bool]
    sentences: list[bool]
    seconds: float
    versions: dict[str, str]


def install(package: str, folder: Path) -> Path:
    """Makes the environment of a package unless it is there, and returns its Python.

    Raises:
        PackageError: pip failed; the message is the last thing it said.
    """
    home = folder / package
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    marker = home / "installed.json"
    wanted = json.dumps(INSTALLS[package])
    if marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
        return python
    venv.create(home, with_pip=True, clear=True)
    for arguments in INSTALLS[package]:
        _call([str(python), "-m", "pip", "install", "--quiet", *arguments], "not installed")
    marker.write_text(wanted, encoding="utf-8")
    return python


def ask(
    package: str,
    python: Path,
    words: WordList,
    reports: Sequence[str],
    sentences: Sequence[str],
    folder: Path,
) -> Answer:
    """Runs a package with a word list over reports and sentences, on one core.

    Raises:
        PackageError: The package fails on this Python.
    """
    job = {
        "package": package,
        "findings": words.findings,
        "neutral": words.neutral,
        "reports": list(reports),
        "sentences": list(sentences),
    }
    question, answer = folder / f"{package}-job.json", folder / f"{package}-result.json"
    try:
        question.write_text(json.dumps(job), encoding="utf-8")
        _call([str(python), str(WORKER), str(question), str(answer)], "does not run")
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    finally:
        # The job holds the texts of reports; it is not left lying about.
        question.unlink(missing_ok=True)
        answer.unlink(missing_ok=True)
    return Answer(found["reports"], found["sentences"], found["seconds"], found["versions"])


def _call(command: list[str], what: str) -> None:
    one_core = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | one_core
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no message"]
        version = ".".join(map(str, sys.version_info[:2]))
        raise PackageError(
            f"{what} on Python {version} ({errors[-1].strip()[:160]})",
            "Look into the environment, or remove it and run again.",
        )
