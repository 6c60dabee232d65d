"""What the attacks of an audit earned: which check gave points for which of them, and whether the author allows it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from classroom.audit.attacks import RIGHT, Attack
from classroom.errors import ClassroomError, near_miss
from classroom.partnames import PartNames

WHOLE = ""  # in place of a check's name: the cell gives its points as a whole
_CLOSE = 1e-9


@dataclass
class Earned:
    """Points that one check gave, or a test cell without checks, and for what."""

    cell: str
    check: str
    points: float
    attacks: list[str] = field(default_factory=list)
    reason: str | None = None  # why the author allows it

    @property
    def name(self) -> str:
        """The check in words."""
        return f'{self.cell}, check "{self.check}"' if self.check else f"{self.cell}, the whole cell"


@dataclass
class Row:
    """What came of one submission."""

    attack: Attack
    outcome: str = ""
    note: str = ""
    seconds: float = 0.0
    limit: float = 0.0  # seconds
    parts: dict[str, float] = field(default_factory=dict)  # points gained by test cell
    most: float = 0.0
    effects: list[str] = field(default_factory=list)

    @property
    def gained(self) -> float:
        """Points in all."""
        return sum(self.parts.values())

    def as_dict(self) -> dict:
        """For the report in JSON."""
        about = {name: getattr(self.attack, name) for name in ("group", "name", "tries")}
        kept = {name: getattr(self, name) for name in ("outcome", "note", "seconds", "gained", "parts", "effects")}
        return {**about, **kept}


def given(record: dict, names: PartNames) -> dict[tuple[str, str], float]:
    """The points that a result gives in its test cells, by cell, as `names` calls it, and check."""
    found: dict[tuple[str, str], float] = {}
    for name, points in record.get("points", {}).items():
        checks = {cell["grade_id"]: cell.get("checks") or [] for cell in record["cells"].get(name, ())}
        for cell, earned in points.items():
            if cell not in checks or not earned["auto"]:  # a part that a person grades; nothing
                continue
            called = names.of(name, cell)
            passed = {(called, check["name"]): check["points"] for check in checks[cell] if check["passed"]}
            passed = {key: value for key, value in passed.items() if value}
            whole = abs(sum(passed.values()) - earned["auto"]) > _CLOSE
            found |= {(called, WHOLE): earned["auto"]} if whole else passed
    return found


def lost(record: dict, names: PartNames) -> list[str]:
    """Where a right submission did not get all points of a test cell."""
    found = [] if record.get("outcome") == "graded" else [f"{record.get('outcome')}: {record.get('note')}"]
    for name, points in record.get("points", {}).items():
        checks = {cell["grade_id"]: cell.get("checks") or [] for cell in record["cells"].get(name, ())}
        for cell, earned in points.items():
            if cell in checks and earned["auto"] is not None and earned["auto"] < earned["max"]:
                failed = ", ".join(
                    f"{check['name']} ({check['error']})" for check in checks[cell] if not check["passed"]
                )
                what = f"{names.of(name, cell)}: {earned['auto']:g} of {earned['max']:g} points"
                found.append(f"{what}: {failed}" if failed else what)
    return found


def in_session(records: list[dict], names: PartNames) -> list[str]:
    """Test cells whose verdict was reached in the student's process."""
    return sorted(
        {
            names.of(name, cell["grade_id"])
            for record in records
            for name, cells in record.get("cells", {}).items()
            for cell in cells
            if cell.get("by") == "session"
        }
    )


def count(rows: list[Row], points: dict[str, dict[tuple[str, str], float]], allowed: list[dict]) -> list[Earned]:
    """What was earned without work, by check; it is put into the rows too.

    Args:
        rows: all of the audit.
        points: by the name of an attack, what `given` says.
        allowed: of project.yml: `cell`, perhaps `check`, and `reason`.
    """
    found: dict[tuple[str, str], Earned] = {}
    for row in rows:
        if row.attack.group == RIGHT:
            continue
        by_cell: dict[str, float] = defaultdict(float)
        before = points.get(row.attack.base, {})
        for key, value in points[row.attack.name].items():
            # What its answers earn without the attempt is listed there.
            if value <= before.get(key, 0.0) + _CLOSE:
                continue
            one = found.setdefault(key, Earned(*key, 0.0, reason=_reason(key, allowed)))
            one.points = max(one.points, value)
            one.attacks.append(row.attack.name)
            if one.reason is None:
                by_cell[key[0]] += value
        row.parts = dict(by_cell)
    return sorted(found.values(), key=lambda one: (one.reason is not None, one.cell, one.check))


def _reason(key: tuple[str, str], allowed: list[dict]) -> str | None:
    for entry in allowed:
        if entry["cell"] == key[0] and entry.get("check") in (None, key[1]):
            return entry["reason"]
    return None


def names_in(masters: dict) -> PartNames:
    """What the cells of a project are called."""
    return PartNames((notebook, meta["grade_id"]) for notebook, meta in _metas(masters))


def _metas(masters: dict) -> Iterator[tuple[str, dict]]:
    for name, notebook in masters.items():
        for cell in notebook.cells:
            if (meta := cell.metadata.get("nbgrader", {})).get("grade_id"):
                yield name, meta


def require_cells(allowed: list[dict], masters: dict) -> None:
    """See that what project.yml allows names test cells of the project.

    Raises:
        ClassroomError: naming the near misses.
    """
    names = names_in(masters)
    known = [
        names.of(notebook, meta["grade_id"])
        for notebook, meta in _metas(masters)
        if meta.get("grade") and not meta.get("solution")
    ]
    for entry in allowed:
        if entry["cell"] not in known:
            raise ClassroomError(f"project.yml, audit: no test cell {entry['cell']!r}{near_miss(entry['cell'], known)}")


def as_dicts(earned: list[Earned]) -> list[dict]:
    """For the report in JSON."""
    return [asdict(one) for one in earned]
