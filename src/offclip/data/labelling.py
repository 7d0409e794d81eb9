"""Labels a whole archive of reports: read once, labelled in batches by several processes, written as one.

Memory does not grow with the archive. What is finished stays when the run is stopped, by whatever; the same
command goes on from there, and the table is the same to the byte for any number of processes and stops.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from offclip.cores import available_cores
from offclip.data.files import Skipped, atomic_path
from offclip.data.label_batch import ARROW_SCHEMA, BatchCounts
from offclip.data.label_parts import (
    Parts,
    contents_fingerprint,
    files_fingerprint,
    open_parts,
    read_counts,
    read_part,
    text_fingerprint,
)
from offclip.data.label_pool import BatchJob, BatchSetting, run_batches
from offclip.data.sources import ReportSource, SourceOptions, open_source
from offclip.data.sources.members import files_below
from offclip.data.staging import Staged, stage
from offclip.errors import ConfigError, DataError
from offclip.reports import SentenceLabeller
from offclip.reports.config import LabellingConfig
from offclip.version import __version__

BATCH = 500
# A language model takes long for a batch, and the display moves with the batches.
LLM_BATCH = 200
ROW_GROUP = 10_000
TOP_UNDECIDED = 20
_REMEMBERED = 20_000

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """What labelling an archive came to.

    Attributes:
        out: The study table.
        skipped_file: List of all that was left out.
        studies: Studies in the table.
        counts: From split and label to the number of studies.
        sentences: Sentences in the table.
        dropped: Sentences that filtering will leave out.
        undecided: The most frequent sentences that no rule decided, with their counts.
        skipped: Reports, rows, files and images left out.
        first_skipped: The first of them.
        notes: What the user should know about how the input was read.
        resumed: Studies whose labels came from a run that was stopped.
        labelled: Studies labelled in this run.
        seconds: Duration of reading, labelling and writing.
    """

    out: Path
    skipped_file: Path
    studies: int
    counts: Counter[tuple[str, str]]
    sentences: int
    dropped: int
    undecided: tuple[tuple[str, int], ...]
    skipped: int
    first_skipped: Skipped | None
    notes: tuple[str, ...]
    resumed: int
    labelled: int
    seconds: float


def label_archive(
    input: str | Path,
    out: str | Path,
    config: LabellingConfig | None = None,
    *,
    source: SourceOptions | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> LabelSummary:
    """Labels reports in any known form and writes the study table, and `skipped.csv` beside it.

    A script that calls this with several workers needs the usual `if __name__ == "__main__":`.

    Args:
        input: A table, a folder or archive of text files, the Open-I archive, or MIMIC-CXR reports.
        out: The Parquet file to write.
        config: The labeller and its conventions; the rules by default.
        source: What form the input has, and where the images are.
        workers: Processes; by default one a core, and one alone for a language model.
        on_progress: Called with the stage (`"reading"` or `"labelling"`), how much is done, and of how much,
            None where that is not known.

    Returns:
        The counts.

    Raises:
        OffclipError: The input cannot be read, no report is usable, a patient is in two splits, the disk is
            full, or a process was killed. What was finished is kept.
    """
    began = time.monotonic()
    config, options, out = config or LabellingConfig(), source or SourceOptions(), Path(out)
    tell = on_progress or (lambda stage, done, total: None)
    if out.is_dir():
        raise ConfigError(f"--out {out} is a folder.", "Give a file, such as studies.parquet.")
    reports = open_source(input, options)
    labeller = config.build()  # a wrong setting shows before anything is read
    with open_parts(out, _identity(reports, config, options, out)) as parts:
        if not parts.staged.is_file():
            stage(reports, parts.staged, lambda done: tell("reading", done, None))
        with closing(Staged(parts.staged)) as staged:
            run = _Run(parts, staged, config, out, str(input))
            studies = run.write(labeller, run.workers(workers), tell)
            notes = list(staged.notes())
    if parts.restarted:
        notes.insert(0, f"A stopped run was begun anew, because this had changed: {parts.restarted}.")
    return LabelSummary(
        out,
        run.skipped_file,
        studies,
        run.counts.studies,
        run.counts.sentences,
        run.counts.dropped,
        tuple(_most_common(run.counts.undecided, TOP_UNDECIDED)),
        run.skipped,
        run.first_skipped,
        tuple(notes),
        run.resumed,
        staged.studies - run.resumed,
        time.monotonic() - began,
    )


class _Run:
    """The batches of a run, and the table that their parts make."""

    def __init__(self, parts: Parts, staged: Staged, config: LabellingConfig, out: Path, name: str) -> None:
        self._parts, self._staged, self._config = parts, staged, config
        self._out, self._name = out, name
        size = LLM_BATCH if config.labeller == "llm" else BATCH
        starts = range(0, staged.studies, size)
        self._jobs = [
            BatchJob(n, start, min(start + size, staged.studies), parts.path(n))
            for n, start in enumerate(starts)
        ]
        self.counts = BatchCounts()
        self.resumed = self.skipped = 0
        self.first_skipped: Skipped | None = None
        self.skipped_file = out.parent / "skipped.csv"

    def workers(self, wanted: int | None) -> int:
        """How many processes to use, no more than there are batches."""
        if wanted is None:
            wanted = 1 if self._config.labeller == "llm" else available_cores()
        if wanted > 1 and self._config.labeller == "llm":
            raise ConfigError(
                f"--workers {wanted}: a language model is asked by one process.",
                "Set 'concurrency' in the table [llm] of the configuration instead.",
            )
        if wanted < 1:
            raise ConfigError(f"--workers {wanted} is no number of processes.", "Give 1 or more.")
        return max(1, min(wanted, len(self._jobs)))

    def write(self, labeller: SentenceLabeller, workers: int, tell: Progress) -> int:
        """Labels what is missing and writes the table; returns the number of its rows."""
        missing = []
        for job in self._jobs:
            if job.path.is_file() and read_part(job.path, self._parts.key) is not None:
                self.resumed += job.stop - job.start
            else:
                missing.append(job)
        done = self.resumed
        total = self._staged.studies
        tell("labelling", done, total)
        setting = BatchSetting(self._parts.staged, self._parts.key, str(self._out.parent.absolute()))
        ready = {job.number for job in self._jobs} - {job.number for job in missing}
        finished = run_batches(missing, setting, self._config, workers, labeller)

        def in_order() -> Iterator[BatchJob]:
            nonlocal done
            for job in self._jobs:
                while job.number not in ready:
                    other = next(finished)
                    ready.add(other.number)
                    done += other.stop - other.start
                    tell("labelling", done, total)
                ready.discard(job.number)
                yield job

        with closing(finished), atomic_path(self._parts.table) as temporary:
            rows = self._write_rows(temporary, in_order())
            for _ in finished:  # nothing is left; the processes end in order
                pass
            self._write_skipped()  # first, so that no table stands beside an older list
            if not rows:
                reason = f" The first reason: {self.first_skipped.reason}" if self.first_skipped else ""
                raise DataError(f"{self._name}: no usable row is left.{reason}", "Mend it and run again.")
        try:
            self._parts.table.replace(self._out)
        except OSError as error:
            what = error.strerror or error
            raise DataError(f"{self._out}: cannot be written ({what}).", "Check its folder.") from error
        return rows

    def _write_rows(self, path: Path, jobs: Iterator[BatchJob]) -> int:
        """Puts parts together while others are being made; a row group always has the same batches."""
        rows, held = 0, []
        with (
            path.open("wb") as file,
            parquet.ParquetWriter(file, ARROW_SCHEMA, compression="zstd", compression_level=1) as writer,
        ):
            for job in jobs:
                part = read_part(job.path, self._parts.key)
                if part is None:
                    raise DataError(
                        f"{job.path}: damaged after it was written.", "Run the same command again."
                    )
                held.append(part[0])
                rows += len(part[0])
                self._add(part[1])
                if sum(map(len, held)) >= ROW_GROUP:
                    writer.write_table(pa.concat_tables(held), 2 * ROW_GROUP)
                    held = []
            if held:
                writer.write_table(pa.concat_tables(held), 2 * ROW_GROUP)
        return rows

    def _write_skipped(self) -> None:
        with (
            atomic_path(self.skipped_file) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(field.name for field in fields(Skipped))
            for entry in self._all_skipped():
                writer.writerow(astuple(entry))
                self.skipped += 1
                self.first_skipped = self.first_skipped or entry

    def _all_skipped(self) -> Iterator[Skipped]:
        yield from self._staged.skipped()
        for job in self._jobs:
            counts = read_counts(job.path, self._parts.key)
            yield from counts.skipped if counts else ()

    def _add(self, counts: BatchCounts) -> None:
        total = self.counts
        total.studies += counts.studies
        total.sentences += counts.sentences
        total.dropped += counts.dropped
        total.undecided += counts.undecided
        if len(total.undecided) > 2 * _REMEMBERED:  # the rare ones go; what stays is a lower bound
            total.undecided = Counter(dict(_most_common(total.undecided, _REMEMBERED)))


def _most_common(counts: Counter[str], n: int) -> list[tuple[str, int]]:
    """The most frequent, equal counts in alphabetical order, so that the order of batches is not seen."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]


def _identity(
    reports: ReportSource, config: LabellingConfig, options: SourceOptions, out: Path
) -> dict[str, str]:
    """All that the labels of a run depend on, by the name that a user knows it by."""
    labeller = Path(config.labeller)
    own = [file for _, file in files_below(labeller)] if labeller.is_dir() else []
    images = [options.images] if options.images else []
    # A working copy changes without its version.
    rules = [file for _, file in files_below(Path(str(files("offclip.reports")))) if file.suffix != ".pyc"]
    return {
        "the input": files_fingerprint(reports.inputs()),
        "the options": text_fingerprint(repr(options) + files_fingerprint(images) + str(out.absolute())),
        "the configuration": text_fingerprint(repr(config) + contents_fingerprint(own)),
        "the lexicon": contents_fingerprint(config.lexicon),
        "the version of offclip": __version__ + contents_fingerprint(rules),
    }
