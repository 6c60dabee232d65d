"""Intake: submissions come in as plain files that somebody has looked at; no code is run.

`collect` takes them from nbgrader's exchange or from what a learning platform downloads, `read_submission` looks at
what stands under submitted/ in the same way, `refusals` says what was not taken and why.
"""

from classroom.errors import RefusedError
from classroom.intake.attempts import Attempt, choose, is_late
from classroom.intake.files import read_regular
from classroom.intake.log import refusals
from classroom.intake.names import SECRET, TIMESTAMP, expected_files, take
from classroom.intake.patterns import BUILT_IN, parse_time
from classroom.intake.run import collect
from classroom.intake.submission import Submission, read_submission

__all__ = [
    "BUILT_IN",
    "SECRET",
    "TIMESTAMP",
    "Attempt",
    "RefusedError",
    "Submission",
    "choose",
    "collect",
    "expected_files",
    "is_late",
    "parse_time",
    "read_regular",
    "read_submission",
    "refusals",
    "take",
]
