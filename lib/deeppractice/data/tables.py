"""The tables that ship with scikit-learn, under one name each and in one form.

Source: scikit-learn's toy data sets; sizes, sources and licences in `cards.py`.
"""

import numpy as np
from sklearn import datasets

from deeppractice.data.cards import CARDS
from deeppractice.data.sets import Table

TABLES = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    # By default scikit-learn scales diabetes with the statistics of all rows, those of a later test part included.
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
    "linnerud": datasets.load_linnerud,
}


def table(name: str) -> Table:
    """The table called `name`, a key of `TABLES`."""
    bunch, card = TABLES[name](), CARDS[name]
    X = np.ascontiguousarray(bunch.data, dtype=np.float32)
    y = bunch.target.astype(np.int64 if card.task == "classification" else np.float32)
    classes = tuple(map(str, bunch.target_names)) if card.task == "classification" else ()
    return Table(X, y, tuple(map(str, bunch.feature_names)), classes, card)
