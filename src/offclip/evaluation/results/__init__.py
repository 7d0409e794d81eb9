"""What an evaluation leaves behind for people: tables, comparisons, a model card, checklists.

Everything is made of `results.json` (and `cases.parquet` for comparisons), so it can be made again from a
folder without its model and its images.
"""

from offclip.evaluation.results.checklists import CHECKLISTS, checklist
from offclip.evaluation.results.documents import write_documents
from offclip.evaluation.results.known import read_known
from offclip.evaluation.results.model_card import model_card
from offclip.evaluation.results.reading import read_results
from offclip.evaluation.results.tables import tables_of, write_tables

__all__ = [
    "CHECKLISTS",
    "checklist",
    "model_card",
    "read_known",
    "read_results",
    "tables_of",
    "write_documents",
    "write_tables",
]
