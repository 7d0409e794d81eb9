"""The page of one run, or of several side by side: numbers with intervals, curves, films; read offline."""

from offclip.evaluation.result_page.build import write_result_page
from offclip.evaluation.result_page.comparison import write_comparison_page
from offclip.evaluation.result_page.gallery import FilmMap

__all__ = ["FilmMap", "write_comparison_page", "write_result_page"]
