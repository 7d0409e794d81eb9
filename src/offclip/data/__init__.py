"""Data: the study table, exports, splits, pixels, sampling, the phantom."""
