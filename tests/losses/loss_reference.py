"""The losses written out cell by cell in plain Python floats, from the equations and without torch.

Slow and obvious on purpose. Labels are the strings "normal", "abnormal" and "uncertain"; `identical` is a
set of (row, column) cells. Gradients are central differences of these functions.
"""

import math
from collections.abc import Callable

Matrix = list[list[float]]
Cells = frozenset[tuple[int, int]]
NO_CELLS: Cells = frozenset()


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def log_sum_exp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def is_positive(labels: list[str], i: int, j: int) -> bool:
    return i == j or (labels[i] == "normal" and labels[j] == "normal")


def info_nce(logits: Matrix, identical: Cells = NO_CELLS) -> float:
    n = len(logits)
    total = 0.0
    for i in range(n):
        row = [logits[i][j] for j in range(n) if i == j or (i, j) not in identical]
        column = [logits[j][i] for j in range(n) if i == j or (j, i) not in identical]
        total += (log_sum_exp(row) - logits[i][i]) / 2 + (log_sum_exp(column) - logits[i][i]) / 2
    return total / n


def siglip(logits: Matrix, identical: Cells = NO_CELLS) -> float:
    n = len(logits)
    total = 0.0
    for i in range(n):
        for j in range(n):
            if i == j:
                total += softplus(-logits[i][j])
            elif (i, j) not in identical:
                total += softplus(logits[i][j])
    return total / n


def off_diagonal(
    logits: Matrix,
    labels: list[str],
    identical: Cells = NO_CELLS,
    weighting: str = "blocks",
    bias: float = -1.0,
) -> float:
    n = len(logits)
    block, lone, negatives = [], [], []
    for i in range(n):
        for j in range(n):
            x = logits[i][j] + bias
            if labels[i] == labels[j] == "normal":
                block.append(softplus(-x))
            elif i == j:
                lone.append(softplus(-x))
            elif "uncertain" not in (labels[i], labels[j]) and (i, j) not in identical:
                negatives.append(softplus(x))
    positives = block + lone
    if weighting == "blocks":
        return sum(
            share * sum(kind) / max(len(kind), 1)
            for share, kind in ((0.25, block), (0.25, lone), (0.5, negatives))
        )
    if weighting == "mean":
        return (sum(positives) + sum(negatives)) / (len(positives) + len(negatives))
    if weighting == "sum":
        return (sum(positives) + sum(negatives)) / n
    return sum(positives) / len(positives) / 2 + (sum(negatives) / len(negatives) / 2 if negatives else 0.0)


def abnormal_infonce(logits: Matrix, labels: list[str], identical: Cells = NO_CELLS) -> float:
    kept = [i for i, label in enumerate(labels) if label == "abnormal"]
    if len(kept) < 2:
        return 0.0
    sub = [[logits[i][j] for j in kept] for i in kept]
    cells = frozenset((a, b) for a, i in enumerate(kept) for b, j in enumerate(kept) if (i, j) in identical)
    return info_nce(sub, cells)


def multi_positive(logits: Matrix, labels: list[str], identical: Cells = NO_CELLS) -> float:
    n = len(logits)

    def competes(i: int, j: int) -> bool:
        if is_positive(labels, i, j):
            return True
        pair = {labels[i], labels[j]}
        return not (pair in ({"uncertain"}, {"uncertain", "normal"}) or (i, j) in identical)

    total = 0.0
    for i in range(n):
        row = log_sum_exp([logits[i][j] for j in range(n) if competes(i, j)])
        column = log_sum_exp([logits[j][i] for j in range(n) if competes(j, i)])
        hits = [j for j in range(n) if is_positive(labels, i, j)]
        total += sum(row - logits[i][j] for j in hits) / len(hits) / 2
        total += sum(column - logits[j][i] for j in hits) / len(hits) / 2
    return total / n


def off_clip(
    logits: Matrix,
    labels: list[str],
    identical: Cells = NO_CELLS,
    w_off: float = 4.0,
    w_abn: float = 0.5,
    bias: float = -1.0,
    weighting: str = "blocks",
) -> float:
    return w_off * off_diagonal(logits, labels, identical, weighting, bias) + w_abn * abnormal_infonce(
        logits, labels, identical
    )


def gradient(function: Callable[[Matrix], float], logits: Matrix, step: float = 1e-5) -> Matrix:
    """Central differences, one cell at a time."""

    def moved(i: int, j: int, by: float) -> float:
        changed = [row.copy() for row in logits]
        changed[i][j] += by
        return function(changed)

    cells = range(len(logits))
    return [[(moved(i, j, step) - moved(i, j, -step)) / (2 * step) for j in cells] for i in cells]
