"""Why something was not taken, in words of our own: a page without names must not show what a student wrote.

The reasons that intake and grading give hold names of files, and so whatever a student called them. Here each is put
into one of a few classes by the words that are ours; what fits none is "another reason".
"""

import re

OTHER = "another reason (`classroom status` has it)"

# In this order: the more telling comes first.
_CLASSES = [
    (r"not part of the project", "a file that is not part of the project"),
    (r"hard link|a link, not a", "a link instead of a file"),
    (r"not a regular file", "not a regular file"),
    (r"absolute path|leads out of|no file can have", "a path that leads elsewhere"),
    (r"encrypted", "encrypted"),
    (r"belongs to", "a file that belongs to somebody else"),
    (r"does not fit the pattern|not a student's folder|would both be|student", "a name that is no student's"),
    (r"MB, expected|more than [\d.,]+ (MB|files|cells|brackets|characters)|unpacks to|packed more", "too large"),
    (r"more than \d+ submissions", "more submissions than are kept"),
    (r"is empty", "an empty file"),
    (r"the time|timestamp\.txt", "a time that is none"),
    (r"damaged|no notebook|no cells|not a notebook|notebook format|is neither", "not a notebook, or damaged"),
    (r"nothing taken: no", "the notebook was missing"),
    (r"can't be read|cannot be read|permission", "not readable"),
    (r"more files, not taken", "a file that is not part of the project"),
]


def kind_of(reason: str) -> str:
    """The class of a reason, without a word of a student's."""
    return next((words for pattern, words in _CLASSES if re.search(pattern, reason)), OTHER)
