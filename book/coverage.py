"""Print what covers each row of the syllabus, from the last build; exit 1 for a gap in a complete chapter."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from book_records import Gathered, read_json, uncovered


def main() -> int:
    path = Path(__file__).resolve().parents[1] / "_build" / "coverage.json"
    if not path.exists():
        print("no coverage on record: build the book first (make book)", file=sys.stderr)
        return 2
    stored = read_json(path, {})
    gathered = Gathered(coverage=stored["rows"], chapters=stored["chapters"])
    for row in gathered.coverage:
        print(textwrap.fill(f"{row['id']}  {row['topic']}", 100, subsequent_indent="      "))
        for by in row["covered_by"]:
            measured = f"  {by['measured']} {by['unit']}: {by['verdict']}" if "measured" in by else ""
            print(f"      {by['form']}: {by['anchor']}{measured}")
        if not row["covered_by"]:
            print("      nothing yet")
    missing = uncovered(gathered)
    covered = sum(bool(row["covered_by"]) for row in gathered.coverage)
    print(f"\n{covered} of {len(gathered.coverage)} rows covered")
    for row in missing:
        print(f"row {row['id']} of the complete chapter {row['chapter']} is not covered", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
