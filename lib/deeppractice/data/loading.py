"""`load`: every data set by its name."""

import difflib
import functools
import inspect

from deeppractice.data.downloads import downloaded
from deeppractice.data.glyphs import glyphs
from deeppractice.data.photos import patches
from deeppractice.data.sets import Images, Table
from deeppractice.data.tables import TABLES, table

LOADERS = {
    **{name: functools.partial(table, name) for name in TABLES},
    "glyphs": glyphs,
    "photos": patches,
    **{name: functools.partial(downloaded, name) for name in ("mnist", "fashion-mnist", "cifar10")},
}


def load(name: str, **settings: object) -> Table | Images:
    """Load a data set by its name; `CARDS` lists them.

    Args:
        settings: those of the set, for example `load("glyphs", n=5000, size=32)`: see `glyphs.glyphs`,
            `photos.patches` and, for what is downloaded, `downloads.downloaded`. The tables have none.

    Raises:
        ValueError: for a name that is not there, or a setting outside its domain.
        FileNotFoundError: for a set that has to be downloaded and cannot be; the message says what to do.
        TypeError: for a setting that the set does not have.
    """
    if name not in LOADERS:
        raise ValueError(f"no data set is called {name!r}{_near(name, LOADERS)} There are: {', '.join(LOADERS)}")
    loader = LOADERS[name]
    known = inspect.signature(loader).parameters
    for setting in settings:
        if setting not in known:
            there = f"It takes {', '.join(known)}" if known else "It takes none"
            raise TypeError(f"the set {name!r} has no setting {setting!r}{_near(setting, known)} {there}")
    return loader(**settings)


def _near(name: str, known: object) -> str:
    near = difflib.get_close_matches(str(name), known)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
