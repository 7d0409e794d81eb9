"""Measures `offclip label` on large tables: reports per second, and peak memory, by number of processes.

    python benchmarks/label_archive.py --data ../shared/data --reports 100000 1000000 --workers 1 2

The Open-I reports (`openi_reports/NLMCXR_reports.tgz`) are repeated with new ids until there are enough. With
`--vary` every sentence gets a number of its own, so that nothing that was read before helps. See
docs/data.md for the results.
"""

import argparse
import csv
import hashlib
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from offclip.data.labelling import label_archive
from offclip.data.sources import FoundStudy, open_source

ARCHIVE = Path("openi_reports", "NLMCXR_reports.tgz")
_SENTENCE_END = re.compile(r"\.(?=\s|$)")


def write_table(archive: Path, out: Path, reports: int, *, vary: bool) -> None:
    """Writes a table of `reports` rows by repeating the reports of an archive."""
    texts = [found.report for found in open_source(archive).read() if isinstance(found, FoundStudy)]
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("study_id", "patient_id", "report"))
        for n, text in enumerate(islice(cycle(texts), reports)):
            varied = _SENTENCE_END.sub(f" {n}.", text) if vary else text
            writer.writerow((f"s{n:07d}", f"p{n // 2:07d}", varied))


def measure(table: Path, out: Path, workers: int) -> dict[str, float]:
    """Labels a table in this process and its workers; times in seconds, memory in MiB."""
    began, read = time.perf_counter(), 0.0

    def tell(stage: str, done: int, total: int | None) -> None:
        nonlocal read
        if stage == "labelling" and not read:
            read = time.perf_counter() - began

    summary = label_archive(table, out, workers=workers, on_progress=tell)
    usage = {name: resource.getrusage(getattr(resource, f"RUSAGE_{name}")) for name in ("SELF", "CHILDREN")}
    return {
        "studies": summary.studies,
        "seconds": time.perf_counter() - began,
        "reading": read,
        "cpu": sum(u.ru_utime + u.ru_stime for u in usage.values()),
        "parent": usage["SELF"].ru_maxrss / 1024,  # kB on Linux
        "worker": usage["CHILDREN"].ru_maxrss / 1024,  # the largest of them
    }


def measure_apart(table: Path, out: Path, workers: int) -> dict[str, float]:
    """`measure` in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "--measure", str(table), str(out), str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def main() -> int:
    """Runs the benchmark; exit status 2 where the data is absent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the data sets")
    parser.add_argument(
        "--reports", type=int, nargs="+", default=[100_000, 1_000_000], help="rows of the tables"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of processes")
    parser.add_argument("--vary", action="store_true", help="make every sentence different")
    parser.add_argument(
        "--folder", type=Path, help="where the tables go for the time being; needs 2 kB a report"
    )
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        table, out, workers = options.measure
        print(json.dumps(measure(Path(table), Path(out), int(workers))))
        return 0
    archive = options.data / ARCHIVE
    if not archive.is_file():
        print(f"{archive} is not there. Give the folder that holds it with --data PATH.", file=sys.stderr)
        return 2
    print(f"{'reports':>9} {'workers':>7} {'reports/s':>9} {'s':>7} {'reading s':>9} {'CPU s':>7} "
          f"{'parent MiB':>10} {'worker MiB':>10} {'table MB':>9}")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for reports in options.reports:
            table = Path(folder, "reports.csv")
            write_table(archive, table, reports, vary=options.vary)
            tables = set()
            for workers in options.workers:
                out = Path(folder, "studies.parquet")
                result = measure_apart(table, out, workers)
                memory = f"{result['parent']:>10,.0f} {result['worker']:>10,.0f}"
                print(
                    f"{reports:>9,} {workers:>7} {reports / result['seconds']:>9,.0f} "
                    f"{result['seconds']:>7.1f} {result['reading']:>9.1f} {result['cpu']:>7.1f} "
                    f"{memory} {out.stat().st_size / 1e6:>9,.1f}",
                    flush=True,
                )
                tables.add(hashlib.sha256(out.read_bytes()).hexdigest())
                out.unlink()
            print(f"{reports:>9,} the tables are equal to the byte: {len(tables) == 1}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
