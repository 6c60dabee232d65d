"""deeppractice: the small library that the notebooks of Deep Learning in Practice import.

Nothing is imported here, so that `import deeppractice` costs nothing; a notebook names the room that it needs, for
example `from deeppractice.training import fit`.
"""

__version__ = "0.1.0"
