"""Where the linter's threshold for "unlike the training text" comes from.

    offclip label NLMCXR_reports.tgz --out openi.parquet
    python benchmarks/prompt_likeness.py openi.parquet

Takes the train split for what a model was trained on, and prints how near to it are the sentences of the test
split, the prompts of all label maps, and sentences that no chest report holds. Then says how often the linter
warns of real sentences for their wording alone.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offclip.data.datasets.label_map import label_table
from offclip.data.study import read_studies
from offclip.zeroshot.lint_training import TrainingText, training_text
from offclip.zeroshot.linter import lint_prompts
from offclip.zeroshot.prompts import NORMAL_PROMPTS, finding_prompt

CUTS = (0.3, 0.4, 0.5, 0.6)
FOREIGN = (
    "a photo of a cat", "A bus is driving down the street.", "The cat sat on the mat.",
    "a picture of a healthy person", "The patient was given 20 mg of furosemide.",
    "Please call the office to schedule an appointment.", "a blurry photograph of an airplane",
    "pneumonia x-ray image", "this is a photo of pneumonia", "chest x-ray showing disease",
    "image of lungs with disease", "Colonoscopy shows a polyp in the ascending colon.",
    "There is a fracture of the distal radius.", "MRI of the brain shows white matter lesions.",
    "There is a knee joint effusion.", "Stock prices fell on Monday.",
)  # fmt: skip
REMOVED = "XXXX"  # stands in Open-I for words that could name a person


def main() -> None:
    """Prints the two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", type=Path)
    arguments = parser.parse_args()
    studies = read_studies(arguments.studies)
    text = TrainingText(training_text(studies, filter_sentences=False))
    words = dict.fromkeys(w for names in label_table().values() for w in names.values() if w[0] != "=")
    held_out = list(dict.fromkeys(training_text(studies, filter_sentences=False, split="test")))
    print("| sentences | n | 1 % | 5 % | median |", " | ".join(f"below {cut}" for cut in CUTS), "|")
    print("|---|---|---|---|---|" + "---|" * len(CUTS))
    print_row("test split", text, held_out)
    print_row("shipped normal prompts", text, NORMAL_PROMPTS)
    print_row("'There is X.' of all label maps", text, [finding_prompt(word) for word in words])
    print_row("no chest report", text, FOREIGN)

    every = dict.fromkeys(s["text"] for row in studies["sentences"].to_list() for s in row)
    real = [sentence for sentence in every if REMOVED not in sentence.upper()]
    codes = Counter(code for sentence in real for code in {w.code for w in lint_prompts([sentence])})
    print(f"\nof {len(real):,} different sentences, warned of for their wording:")
    for code, n in codes.most_common():
        print(f"  {code}: {n:,} ({n / len(real):.2%})")


def print_row(name: str, text: TrainingText, sentences: Sequence[str]) -> None:
    """Quantiles of the similarity to the nearest training sentence."""
    near = np.array([similarity for _, similarity in text.nearest(sentences)])
    quantiles = " | ".join(f"{np.quantile(near, q):.2f}" for q in (0.01, 0.05, 0.5))
    below = " | ".join(f"{(near < cut).mean():.1%}" for cut in CUTS)
    print(f"| {name} | {len(near):,} | {quantiles} | {below} |")


if __name__ == "__main__":
    main()
