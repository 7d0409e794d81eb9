"""What a labeller has to beat: keywords, one phrase, and a linear model on word counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from offclip.reports import load_lexicon
from offclip.reports.lexicon import Term
from offclip.reports.phrases import tokenize

NO_ACUTE = re.compile(r"\bno\s+(?:evidence\s+of\s+)?(?:acute|active)\b", re.IGNORECASE)


def keyword() -> Callable[[str], bool]:
    """Abnormal where offclip's lexicon finds anything, denied or not.

    Example:
        >>> keyword()("No pneumothorax.")
        True
    """
    index = load_lexicon().index
    return lambda text: any(isinstance(match.payload, Term) for match in index.scan(tokenize(text)))


def not_called_normal(text: str) -> bool:
    """Abnormal unless it says "no acute ..." somewhere.

    Example:
        >>> not_called_normal("No acute cardiopulmonary abnormality.")
        False
    """
    return NO_ACUTE.search(text) is None


def fit_tfidf(texts: Sequence[str], abnormal: Sequence[bool]) -> Callable[[Sequence[str]], list[bool]]:
    """Logistic regression on TF-IDF of words and pairs of words; its C from 5 folds of the given reports.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"[^\W\d_]+")
    model = make_pipeline(words, LogisticRegression(max_iter=2000))
    search = GridSearchCV(model, {"logisticregression__C": [1.0, 10.0, 100.0]}, cv=5)
    search.fit(list(texts), list(abnormal))
    return lambda others: [bool(label) for label in search.predict(list(others))]
