"""The tables that ship with scikit-learn, under one name each and in one form.

Source: scikit-learn's toy data sets; sizes, sources and licences in `cards.py`.
"""

import difflib
from dataclasses import dataclass

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

from deeppractice.data.cards import CARDS, Card

LOADERS = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    # By default scikit-learn scales diabetes with the statistics of all rows, those of a later test part included.
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
    "linnerud": datasets.load_linnerud,
}


@dataclass(frozen=True, repr=False)
class Table:
    """A data set as a table, with unscaled columns.

    Attributes:
        X: float32, shape (rows, features).
        y: int64 class numbers of shape (rows,), or float32 values of shape (rows,) or (rows, targets).
        names: the features, in the order of the columns.
        classes: the classes, in the order of their numbers; empty for regression.
        card: what it is, where it comes from, what one may do with it.
    """

    X: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    classes: tuple[str, ...]
    card: Card

    @property
    def task(self) -> str:
        """ "classification" or "regression"."""
        return self.card.task

    def split(self, seed: int, test: float = 0.25) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Draw a random split, the same for the same seed; classes keep their shares.

        Returns:
            X_train, y_train, X_test, y_test.

        Raises:
            ValueError: if `test` is not a fraction between 0 and 1.
        """
        if not 0 < test < 1:
            raise ValueError(f"expected the fraction of test rows, between 0 and 1, got {test}")
        stratify = self.y if self.task == "classification" else None
        X_train, X_test, y_train, y_test = train_test_split(
            self.X, self.y, test_size=test, random_state=seed, stratify=stratify
        )
        return X_train, y_train, X_test, y_test

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        kind = f"{len(self.classes)} classes" if self.classes else "regression"
        return f"Table({self.card.name!r}: {len(self)} rows, {self.X.shape[1]} features, {kind})"

    def _repr_html_(self) -> str:
        return self.card._repr_html_()


def load(name: str) -> Table:
    """Load a data set by its name; `CARDS` lists them.

    Raises:
        ValueError: for a name that is not there; the message names the near misses.
    """
    if name not in LOADERS:
        near = difflib.get_close_matches(str(name), LOADERS)
        raise ValueError(
            f"no data set is called {name!r}"
            + (f"; did you mean {' or '.join(map(repr, near))}?" if near else "")
            + f" There are: {', '.join(LOADERS)}"
        )
    bunch, card = LOADERS[name](), CARDS[name]
    X = np.ascontiguousarray(bunch.data, dtype=np.float32)
    y = bunch.target.astype(np.int64 if card.task == "classification" else np.float32)
    classes = tuple(map(str, bunch.target_names)) if card.task == "classification" else ()
    return Table(X, y, tuple(map(str, bunch.feature_names)), classes, card)
