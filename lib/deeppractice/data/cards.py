"""Data cards: for each named data set its size, source and licence, in the order in which they are read.

A card says what a person has to know before they use the data. Licences are as the source states them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """One data set: what it is, how large, where it comes from, and what one may do with it."""

    name: str
    title: str
    rows: int
    features: int
    task: str  # "classification" or "regression"
    target: str
    source: str
    licence: str
    note: str = ""

    def _repr_html_(self) -> str:
        cells = [
            ("rows × features", f"{self.rows:,} × {self.features}"),
            ("task", f"{self.task}: {self.target}"),
            ("source", self.source),
            ("licence", self.licence),
            ("note", self.note),
        ]
        rows = "".join(f"<tr><th scope='row'>{key}</th><td>{value}</td></tr>" for key, value in cells if value)
        return f"<table class='dp-card'><caption>{self.name}: {self.title}</caption>{rows}</table>"


_UCI = "CC BY 4.0 (UCI Machine Learning Repository)"
_NONE = "none stated by the source; distributed with scikit-learn"

CARDS = {
    card.name: card
    for card in (
        Card(
            "digits",
            "handwritten digits, 8 × 8 pixels of 0 to 16",
            1797,
            64,
            "classification",
            "digit 0 to 9",
            "UCI, Optical Recognition of Handwritten Digits (the test part), with scikit-learn",
            _UCI,
            "the digits of 13 writers; the rows do not say whose they are, so no split by writer is possible",
        ),
        Card(
            "breast_cancer",
            "measurements of cell nuclei",
            569,
            30,
            "classification",
            "malignant or benign",
            "UCI, Breast Cancer Wisconsin (Diagnostic), with scikit-learn",
            _UCI,
            "ten measurements, each as mean, standard error and worst: strongly correlated columns",
        ),
        Card(
            "wine",
            "chemical analysis of wines",
            178,
            13,
            "classification",
            "one of three cultivars",
            "UCI, Wine, with scikit-learn",
            _UCI,
            "the columns differ in scale by a factor of a thousand",
        ),
        Card(
            "iris",
            "measurements of flowers",
            150,
            4,
            "classification",
            "one of three species",
            "UCI, Iris, with scikit-learn",
            _UCI,
        ),
        Card(
            "diabetes",
            "patients at baseline",
            442,
            10,
            "regression",
            "disease progression after a year",
            "Efron, Hastie, Johnstone, Tibshirani (2004), Least Angle Regression, with scikit-learn",
            _NONE,
            "unscaled columns: age in years, sex as 1 or 2, blood values in their own units",
        ),
        Card(
            "linnerud",
            "exercise and body measurements",
            20,
            3,
            "regression",
            "weight, waist and pulse",
            "Tenenhaus (1998), with scikit-learn",
            _NONE,
            "20 rows: for trying out, not for measuring",
        ),
    )
}
