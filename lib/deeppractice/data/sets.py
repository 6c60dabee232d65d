"""What `load` returns: a table, or images with the factors that are known of them."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from deeppractice.data.cards import Card


class _Labelled:
    """What a table and a set of images have in common: rows `X` with targets `y`, and a `card`."""

    X: np.ndarray
    y: np.ndarray
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
            ValueError: if `test` is not a fraction between 0 and 1, or a class has fewer than two rows.
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

    def _repr_html_(self) -> str:
        return self.card._repr_html_()


@dataclass(frozen=True, repr=False)
class Table(_Labelled):
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

    def __repr__(self) -> str:
        kind = f"{len(self.classes)} classes" if self.classes else "regression"
        return f"Table({self.card.name!r}: {len(self)} rows, {self.X.shape[1]} features, {kind})"


@dataclass(frozen=True, repr=False)
class Images(_Labelled):
    """Images with their classes, and what else is known of each.

    `images[rows]` takes some of them, by a slice, by numbers or by a mask, with their classes and factors:
    `images[images.factors["font"] != "STIX"]`.

    Attributes:
        X: float32 of 0 to 1, shape (N, C, H, W).
        y: int64 class numbers, shape (N,).
        factors: name -> array of shape (N,), in the order in which the card explains them.
        classes: the classes, in the order of their numbers.
        card: what it is, where it comes from, what one may do with it.
    """

    X: np.ndarray
    y: np.ndarray
    factors: dict[str, np.ndarray]
    classes: tuple[str, ...]
    card: Card

    def __getitem__(self, rows: slice | np.ndarray | list[int]) -> "Images":
        if np.ndim(np.arange(len(self))[rows]) != 1:
            raise IndexError(f"expected a slice, a mask or a list of numbers, got {rows!r}")
        factors = {name: values[rows] for name, values in self.factors.items()}
        return Images(self.X[rows], self.y[rows], factors, self.classes, self.card)

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.X.shape[1:]))
        known = f", factors {', '.join(self.factors)}" if self.factors else ""
        return f"Images({self.card.name!r}: {len(self)} of {shape}, {len(self.classes)} classes{known})"
