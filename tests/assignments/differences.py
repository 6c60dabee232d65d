"""Where grading and stock nbgrader come to different verdicts on a bank's members, and why: makes stock.md.

    python tests/assignments/differences.py

The banks say it, member by member (`stock`, with `why`); test_banks_examined.py holds that against stock nbgrader with
--full, and the table against the banks always.
"""

from collections import Counter
from pathlib import Path

from banked import BANKS, batches

HEAD = """\
# Where the banks fare differently in stock nbgrader

Made by `python tests/assignments/differences.py`; a test compares. Each member of a bank is graded in the examiner by
`make test`, and by `nbgrader autograde` too with `--full`, in {notebooks} notebooks of several members each.
Of {members} members ({kinds}) the two differ on {different}.

| project | member | kind | test cell | examiner | stock nbgrader | why |
| --- | --- | --- | --- | --- | --- | --- |
"""


def table() -> str:
    """The text of stock.md."""
    kinds = Counter(member["kind"] for bank in BANKS.values() for member in bank)
    rows = []
    for project, bank in BANKS.items():
        for member in bank:
            if "stock" not in member:
                continue
            said = member["stock"]
            for cell, points in said["points"].items():
                ours = _shown(member["points"][cell], member.get("fails"))
                theirs = _shown(points, said.get("fails"))
                words = (project, member["id"], member["kind"], cell, ours, theirs, said["why"])
                rows.append(f"| {' | '.join(words)} |\n")
    head = HEAD.format(
        notebooks=sum(len(batches(project)) for project in BANKS),
        members=sum(kinds.values()),
        kinds=", ".join(f"{count} {kind}" for kind, count in kinds.items()),
        different=len({row.split(" | ")[1] for row in rows}),
    )
    return head + "".join(rows)


def _shown(points: float | list, fails: list[str] | None) -> str:
    text = f"{points[0]:g} to {points[1]:g}" if isinstance(points, list) else f"{points:g}"
    return text + (f", fails {', '.join(fails)}" if fails else "")


if __name__ == "__main__":
    Path(__file__).with_name("stock.md").write_text(table())
