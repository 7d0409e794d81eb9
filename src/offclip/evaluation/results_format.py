"""What `results.json` says of itself, and the names of its means."""

from __future__ import annotations

FORMAT = "offclip results 1"
MEANS = ("macro_auc", "micro_auc", "weighted_auc", "macro_auprc", "micro_auprc")
