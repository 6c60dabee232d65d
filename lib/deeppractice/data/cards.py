"""Data cards: for each named data set its size, source and licence, in the order in which they are read.

A card says what a person has to know before they use the data. Licences are as the source states them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """One data set: what it is, how large, where it comes from, and what one may do with it."""

    name: str
    title: str
    rows: int | None  # None: as many as are asked for
    features: int | str  # of a table, the number of columns; of images, "channels × height × width"
    task: str  # "classification" or "regression"
    target: str
    source: str
    licence: str
    note: str = ""

    def _repr_html_(self) -> str:
        rows = "any number" if self.rows is None else f"{self.rows:,}"
        cells = [
            ("images" if isinstance(self.features, str) else "rows × features", f"{rows} × {self.features}"),
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
        Card(
            "glyphs",
            "characters drawn from fonts, every factor known",
            None,
            "1 × 28 × 28, or any size from 8",
            "classification",
            "character, by default a digit 0 to 9",
            "drawn by this course from ten fonts that ship with matplotlib: DejaVu, STIX and Computer Modern (BaKoMa)",
            "the images, that of the course; the fonts: Bitstream Vera and public domain (DejaVu), SIL Open Font "
            "Licence 1.1 (STIX), BaKoMa Fonts Licence (Computer Modern)",
            "print, not handwriting: what works here still has to be shown on real data",
        ),
        Card(
            "photos",
            "patches of twelve photographs",
            None,
            "3 × 32 × 32, or any size up to 300",
            "classification",
            "the photograph that it is cut from",
            "the photographs that ship with scikit-image (astronaut, brick, camera, chelsea, coffee, grass, gravel, "
            "hubble_deep_field, retina, rocket) and scikit-learn (china, flower)",
            "CC0 or public domain as scikit-image states; china and flower CC BY 2.0 (danielbuechele, vultilion)",
            "twelve scenes are no sample of the world; patches of one photograph may overlap; brick, camera, grass and "
            "gravel are grey",
        ),
        Card(
            "mnist",
            "handwritten digits",
            70_000,
            "1 × 28 × 28",
            "classification",
            "digit 0 to 9",
            "LeCun, Cortes, Burges, from the archives that torchvision names: 60,000 to train and 10,000 to test",
            "none stated with the files",
            "needs a network once (12 MB); the writers of the training and the test part are not the same",
        ),
        Card(
            "fashion-mnist",
            "articles of clothing",
            70_000,
            "1 × 28 × 28",
            "classification",
            "one of ten kinds of article",
            "Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: 60,000 to train and 10,000 to test",
            "MIT (Zalando SE)",
            "needs a network once (31 MB)",
        ),
        Card(
            "cifar10",
            "photographs of objects and animals",
            60_000,
            "3 × 32 × 32",
            "classification",
            "one of ten kinds of object or animal",
            "Krizhevsky (2009), Learning multiple layers of features from tiny images: 50,000 to train, 10,000 to test",
            "none stated by the source",
            "needs a network once (170 MB); taken from 80 Million Tiny Images, which its authors have since withdrawn",
        ),
    )
}
