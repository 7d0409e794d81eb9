"""Scores made anywhere, and their labels: two tables that are joined by image id."""

from offclip.evaluation.scored.join import Scored, join_tables, read_scored
from offclip.evaluation.scored.write import write_scored

__all__ = ["Scored", "join_tables", "read_scored", "write_scored"]
