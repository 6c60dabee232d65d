"""What was not taken and why: a line of JSON each in intake/PROJECT.jsonl, for the instructor and the student."""

import json
from datetime import UTC, datetime

from classroom.folder import Folder
from classroom.intake import attempts
from classroom.intake.patterns import Arrival
from classroom.results import write_atomically

_SAME = ("student", "origin", "file", "reason")


class Log:
    """The refusals of one project; `save` writes the file whole, and only if something is new."""

    def __init__(self, folder: Folder, project: str) -> None:
        self.path = folder.home / "intake" / f"{project}.jsonl"
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        self.records = [json.loads(line) for line in text.split("\n") if line]
        self._known = {tuple(record[key] for key in _SAME) for record in self.records}
        self._new = False

    def add(self, arrival: Arrival, file: str, reason: str, attempt: str | None) -> None:
        """Note a refusal: of a file of an attempt that was taken, or of a whole submission, with an empty `file`."""
        student, origin = arrival.student, arrival.origin
        if (student, origin, file, reason) in self._known:
            return
        self._known.add((student, origin, file, reason))
        record = {"student": student, "file": file, "reason": reason, "origin": origin, "attempt": attempt}
        record["time"] = str(arrival.time) if arrival.time else None
        if arrival.stray:
            record["stray"] = True
        self.records.append({**record, "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"})
        self._new = True

    def save(self) -> None:
        """Write what is new."""
        if self._new:
            lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in self.records]
            write_atomically(self.path, "".join(lines), mode=0o600)
            self._new = False


def refusals(folder: Folder, project: str, student: str | None = None) -> list[dict]:
    """What was not taken and still matters: files of the attempts that count, and submissions refused since.

    Args:
        student: one student's only; by default everybody's.

    Returns:
        Records with `student`, `file` (empty: the whole submission), `reason`, `origin`, `attempt`, `time` and `when`;
        `stray` where the file is nobody's and `student` only its name.
    """
    found = []
    counts: dict[str, attempts.Attempt | None] = {}
    for record in Log(folder, project).records:
        who = record["student"]
        if student is not None and who != student:
            continue
        if who not in counts:
            counts[who] = attempts.chosen(folder, project, who)[0]
        chosen = counts[who]
        if chosen is None or record["attempt"] == chosen.name or (record["attempt"] is None and _later(record, chosen)):
            found.append(record)
    return found


def _later(record: dict, chosen: attempts.Attempt) -> bool:
    """Whether a submission was refused that came after the one that counts."""
    if record["time"] and chosen.time:
        return record["time"] > str(chosen.time)
    return record["when"] > chosen.collected
