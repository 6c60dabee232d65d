"""Other terms' submissions: which folders are some, and what to call them."""

from collections.abc import Sequence
from pathlib import Path

from classroom.errors import ClassroomError


def terms(places: Sequence[Path], own: Path, project: str) -> dict[str, str]:
    """By folder, as text, what it is called: by what tells it from the others, and from this class's.

    Args:
        places: laid out as submitted/: STUDENT/PROJECT/NAME.ipynb.
        own: this class's.

    Raises:
        ClassroomError: a folder is not there, is this class's own, is named twice, or has nobody's work in it.
    """
    parts: dict[str, tuple[str, ...]] = {}
    for place in places:
        _require_submissions(place, own, project)
        if place.resolve().parts in parts.values():
            raise ClassroomError(f"--past {place}: that folder is named twice")
        parts[str(place)] = place.resolve().parts
    everything = [own.resolve().parts, *parts.values()]
    while all(everything) and len({one[-1] for one in everything}) == 1:  # `course/submitted` says nothing
        everything = [one[:-1] for one in everything]
    called = {}
    for place, one in zip(parts, everything[1:], strict=True):
        others = [other for other in everything if other is not one]
        enough = (n for n in range(1, len(one) + 1) if all(one[-n:] != other[-n:] for other in others))
        called[place] = "/".join(one[-next(enough, len(one)) :]) or place
    return called


def _require_submissions(place: Path, own: Path, project: str) -> None:
    expected = f"expected a folder laid out as submitted/, with STUDENT/{project}/ in it"
    if not place.is_dir():
        raise ClassroomError(f"--past {place}: there is no such folder; {expected}")
    if place.resolve() == own.resolve():
        raise ClassroomError(f"--past {place}: that is this class's own, in which everybody is compared anyway")
    if not _has_work(place, project):
        below = [place / name for name in ("submitted", "course/submitted") if _has_work(place / name, project)]
        hint = f"; did you mean {below[0]}?" if below else ""
        raise ClassroomError(f"--past {place}: nobody's {project} is in it; {expected}{hint}")


def _has_work(place: Path, project: str) -> bool:
    return place.is_dir() and any((one / project).is_dir() for one in place.iterdir() if not one.name.startswith("."))
