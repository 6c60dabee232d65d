"""Named data sets, offline first: `load("digits")` works on a fresh machine without a network.

Each set comes with its card (size, source, licence): `load("digits").card`.
"""

from deeppractice.data.cards import CARDS, Card
from deeppractice.data.tables import Table, load

__all__ = ["CARDS", "Card", "Table", "load"]
