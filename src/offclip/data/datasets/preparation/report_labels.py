"""The reports of a set are labelled as those of any archive: in batches, by several processes, resumably."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

import pyarrow as pa

from offclip.cores import available_cores
from offclip.data.datasets.preparation.collection import Collection
from offclip.data.files import Skipped
from offclip.data.label_parts import contents_fingerprint, open_parts, read_part, text_fingerprint
from offclip.data.label_pool import BatchJob, BatchSetting, run_batches
from offclip.data.labelling import BATCH, LLM_BATCH
from offclip.data.sources.members import files_below
from offclip.errors import ConfigError, DataError
from offclip.reports.config import LabellingConfig
from offclip.version import __version__

Batch = tuple[range, pa.Table | None, tuple[Skipped, ...]]


def batches_without_reports(studies: int) -> Iterator[Batch]:
    """The numbers of the studies in batches, none of them with labelled sentences."""
    for start in range(0, studies, BATCH):
        yield range(start, min(start + BATCH, studies)), None, ()


@contextmanager
def labelled_batches(
    collection: Collection,
    key: str,
    out: Path,
    config: LabellingConfig,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[Iterator[Batch]]:
    """Yields the batches of studies in order, each with the rows of those whose reports could be labelled.

    What is finished is kept beside `out` when the block fails, and used by the next call with the same key.

    Args:
        collection: The studies.
        key: Hash of everything in the collection.
        out: The study table that is to be written; paths inside its folder become relative to it.
        config: The labeller and its conventions.
        workers: Processes; by default one a core, and one alone for a language model.
        on_progress: Called with the number of studies done, and of how many.

    Raises:
        OffclipError: The configuration is wrong, the disk is full, or a process was killed.
    """
    tell = on_progress or (lambda done, total: None)
    studies = collection.number("SELECT COUNT(*) FROM studies")
    labeller = config.build()  # a wrong setting shows before anything is labelled
    size = LLM_BATCH if config.labeller == "llm" else BATCH
    starts = range(0, studies, size)
    workers = max(1, min(_workers(workers, config), len(starts)))
    with open_parts(out, _identity(key, config)) as parts:
        jobs = [
            BatchJob(n, start, min(start + size, studies), parts.path(n)) for n, start in enumerate(starts)
        ]
        missing = [job for job in jobs if read_part(job.path, parts.key) is None]
        ready = {job.number for job in jobs} - {job.number for job in missing}
        setting = BatchSetting(collection.path, parts.key, str(out.parent.absolute()))
        done = studies - sum(job.stop - job.start for job in missing)
        tell(done, studies)

        def in_order() -> Iterator[Batch]:
            nonlocal done
            for job in jobs:
                while job.number not in ready:
                    other = next(finished)
                    ready.add(other.number)
                    done += other.stop - other.start
                    tell(done, studies)
                part = read_part(job.path, parts.key)
                if part is None:
                    raise DataError(
                        f"{job.path}: damaged after it was written.", "Run the same command again."
                    )
                yield range(job.start, job.stop), part[0], tuple(part[1].skipped)
            for _ in finished:  # nothing is left; the processes end in order
                pass

        with closing(run_batches(missing, setting, config, workers, labeller)) as finished:
            yield in_order()


def _workers(wanted: int | None, config: LabellingConfig) -> int:
    if wanted is None:
        return 1 if config.labeller == "llm" else available_cores()
    if wanted > 1 and config.labeller == "llm":
        raise ConfigError(
            f"--workers {wanted}: a language model is asked by one process.",
            "Set 'concurrency' in the table [llm] of the configuration instead.",
        )
    if wanted < 1:
        raise ConfigError(f"--workers {wanted} is no number of processes.", "Give 1 or more.")
    return wanted


def _identity(key: str, config: LabellingConfig) -> dict[str, str]:
    labeller = Path(config.labeller)
    own = [file for _, file in files_below(labeller)] if labeller.is_dir() else []
    # A working copy changes without its version.
    rules = [file for _, file in files_below(Path(str(files("offclip.reports")))) if file.suffix != ".pyc"]
    return {
        "the set": key,
        "the configuration": text_fingerprint(repr(config) + contents_fingerprint(own)),
        "the lexicon": contents_fingerprint(config.lexicon),
        "the version of offclip": __version__ + contents_fingerprint(rules),
    }
