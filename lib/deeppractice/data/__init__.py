"""Named data sets, offline first: `load("digits")` works on a fresh machine without a network.

`load("glyphs")` and `load("photos")` do too: images with factors that are known. `load("mnist")`,
`load("fashion-mnist")` and `load("cifar10")` need a network once.

Each set comes with its card (size, source, licence): `load("digits").card`.
"""

from deeppractice.data.cards import CARDS, Card
from deeppractice.data.loading import load
from deeppractice.data.photos import Views, warped
from deeppractice.data.sets import Images, Table

__all__ = ["CARDS", "Card", "Images", "Table", "Views", "load", "warped"]
