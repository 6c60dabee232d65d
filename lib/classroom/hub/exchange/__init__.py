"""nbgrader's exchange for a hub whose users share no disk: files travel over HTTP to ngshare, a service of the hub."""

import os

_STUDENTS = dict(list="List", fetch_assignment="FetchAssignment", submit="Submit", fetch_feedback="FetchFeedback")
_TEACHERS = dict(release_assignment="ReleaseAssignment", collect="Collect", release_feedback="ReleaseFeedback")


def use(config: object) -> None:
    """Set nbgrader's exchange to this one where the hub has it (it sets NGSHARE_URL); for nbgrader_config.py."""
    for module, names in (("students", _STUDENTS), ("teachers", _TEACHERS)) if os.environ.get("NGSHARE_URL") else ():
        for step, name in names.items():
            setattr(config.ExchangeFactory, step, f"{__name__}.{module}.{name}")


def is_used(config: object) -> bool:
    """Whether nbgrader is set to this exchange."""
    return __name__ in str(config.ExchangeFactory.get("collect", ""))
