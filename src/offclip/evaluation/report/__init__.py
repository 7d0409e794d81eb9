"""The report: one HTML page with the table, figures and heat maps of an ablation, readable offline."""

from offclip.evaluation.report.build import write_report

__all__ = ["write_report"]
