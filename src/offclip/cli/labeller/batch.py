"""`offclip labeller batch-export` and `batch-import`: the LLM labeller by way of files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# What the services of this form take in one file, at the most.
_MOST_REQUESTS = 50_000
_SHOWN = 10

Config = Annotated[Path | None, typer.Option(help="TOML file with \\[llm] and \\[conventions].")]
Model = Annotated[str | None, typer.Option(help="Name of the model; wins over the file.")]
Cache = Annotated[Path | None, typer.Option(help="File that keeps the answers; wins over the file.")]


def batch_export(
    reports: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Reports in any form that 'offclip label' reads.")
    ],
    out: Annotated[Path, typer.Option(help="Requests to write, one a line.")] = Path("requests.jsonl"),
    config: Config = None,
    model: Model = None,
    cache: Cache = None,
) -> None:
    """Write the questions to a language model as a batch file. Nothing is sent.

    Example: [bold]offclip labeller batch-export reports.csv --out requests.jsonl --config label.toml[/bold]
    """
    from offclip.cli.labelling_options import make_config
    from offclip.data.files import atomic_path
    from offclip.data.sentence_corpus import read_sentences
    from offclip.reports.llm.batch import batch_line, batch_requests
    from offclip.reports.llm.unique import one_line

    settings = make_config(config, server={"model": model, "cache": str(cache) if cache else None})
    sentences = list(dict.fromkeys(map(one_line, read_sentences(reports))))
    requests = batch_requests(sentences, settings.llm, settings.conventions)
    with atomic_path(out) as temporary:
        temporary.touch(mode=0o600)  # report text: for its owner alone
        with temporary.open("w", encoding="utf-8", newline="\n") as handle:
            handle.writelines(f"{batch_line(request)}\n" for request in requests)
    asked = sum(len(request.questions) for request in requests)
    print(f"{len(sentences):,} different sentences; {asked:,} of them in {len(requests):,} requests.")
    if len(requests) > _MOST_REQUESTS:
        print(f"A service may take {_MOST_REQUESTS:,} requests a file: cut it with 'split --lines'.")
    print(f"{out} holds report text. Read 'Privacy' in docs/llm.md before it leaves this machine.")
    print(f"Wrote {out}")


def batch_import(
    results: Annotated[Path, typer.Argument(help="Results of the service, JSONL.")],
    requests: Annotated[Path, typer.Option(help="The requests as exported.")] = Path("requests.jsonl"),
    config: Config = None,
    model: Model = None,
    cache: Cache = None,
) -> None:
    """Check the results of a batch and put the good answers into the cache.

    Example: [bold]offclip labeller batch-import results.jsonl --config label.toml[/bold]
    """
    from offclip.cli.labelling_options import make_config
    from offclip.reports.llm.batch import import_results

    settings = make_config(config, server={"model": model, "cache": str(cache) if cache else None})
    done = import_results(results, requests, settings.llm, settings.conventions)
    print(f"{done.added:,} answers added to {settings.llm.cache_path}; {done.known:,} were there before.")
    for bad in done.bad[:_SHOWN]:
        print(f"{results}, line {bad.line}: {bad.reason}")
    if len(done.bad) > _SHOWN:
        print(f"... and {len(done.bad) - _SHOWN:,} more.")
    if done.missing:
        print(f"{done.missing:,} sentences are without an answer: export again to ask them alone.")
