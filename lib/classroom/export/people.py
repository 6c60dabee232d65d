"""Who in a learning platform's table is who in the gradebook: by exact keys that all agree, and nobody is guessed."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from classroom.folder import Folder
from classroom.terminal import one_line

ID, EMAIL, NAME, NUMBER, FILE = "id", "email", "name", "number", "file"  # kinds of keys; FILE: a number in files' names


@dataclass(frozen=True)
class Found:
    """What a row's keys say: one student and by which column, or neither and, if there is one, the problem."""

    student: str = ""
    by: str = ""
    problem: str = ""


class People:
    """Everybody in the gradebook, by what a platform may call them.

    `lms_user_id` is a platform's number of a person. Where submissions came in a download from Moodle or Canvas, the
    numbers in its files' names are known too: of a person in Canvas, of a participant of one assignment in Moodle.
    """

    def __init__(self, folder: Folder, platform: str, projects: Iterable[str]) -> None:
        from classroom.intake.attempts import kept, students

        self._index: dict[str, dict[str, set[str]]] = {
            kind: defaultdict(set) for kind in (ID, EMAIL, NAME, NUMBER, FILE)
        }
        known = set()
        with folder.gradebook() as gradebook:
            for person in gradebook.students:
                known.add(person.id)
                self._add(ID, person.id, person.id)
                self._add(EMAIL, person.email, person.id)
                self._add(NUMBER, person.lms_user_id, person.id)
                first, last = person.first_name or "", person.last_name or ""
                if first and last:
                    for name in (first + last, last + first):
                        self._add(NAME, name, person.id)
        said = re.compile(rf"{platform}:.*_(\d+)", re.DOTALL)
        for project in projects:
            for student in known.intersection(students(folder, project)):
                for attempt in kept(folder, project, student):
                    if match := said.fullmatch(attempt.origin):
                        self._add(FILE, match[1], student)

    def _add(self, kind: str, value: str | None, student: str) -> None:
        if key := _key(kind, value or ""):
            self._index[kind][key].add(student)

    def who(self, claims: Iterable[tuple[str, tuple[str, ...], str]]) -> Found:
        """The one student on whom all keys of a row that say anything agree.

        Args:
            claims: the column's name, as which kinds of key its cell may be read, and the cell; best first.
        """
        hits = []
        for column, kinds, value in claims:
            found = set().union(*(self._index[kind].get(_key(kind, value), ()) for kind in kinds if _key(kind, value)))
            if found:
                hits.append((column, found))
        if not hits:
            return Found()
        agreed = set.intersection(*(found for _, found in hits))
        if len(agreed) == 1:
            return Found(agreed.pop(), hits[0][0])
        said = "; ".join(f"{column} says {' or '.join(sorted(found))}" for column, found in hits)
        return Found(problem=said)

    def match(self, rows: Iterable[Iterable[tuple[str, tuple[str, ...], str]]]) -> list[Found]:
        """`who` for each row; two rows for one student are both a problem."""
        found = [self.who(claims) for claims in rows]
        again = [one.student for one in found if one.student]
        twice = {student for student in again if again.count(student) > 1}
        return [Found(problem=f"another row is {one.student} too") if one.student in twice else one for one in found]


def bare(name: str) -> str:
    """A name without case, accents, blanks and signs: programs write names in several ways."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", name).casefold() if letter.isalnum())


def _key(kind: str, value: str) -> str:
    return bare(value) if kind == NAME else unicodedata.normalize("NFKC", value).strip().casefold()


def shown(cell: str) -> str:
    """A name in somebody else's table, for a message."""
    return one_line(cell.strip())[:60] or "a row without a name"
