"""`classroom similarity`: which submissions share code beyond the release, as a page to look at; it judges nobody.

Only the class's folder, the release, the official answers, the book and the folders of past terms that are named are
read; nothing of them is run, and nothing leaves the machine.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.progress import Progress
from classroom.pseudonyms import Pseudonyms
from classroom.results import require_target, write_atomically
from classroom.similarity import answers
from classroom.similarity.answers import CLASS, PAST, Work
from classroom.similarity.page import make_page
from classroom.similarity.passages import Pair, Prints, common, compare, fingerprint, given_hashes, less
from classroom.similarity.terms import terms
from classroom.terminal import counted

THRESHOLD = 0.3  # of the smaller one; see book/teach/similarity.md for what was measured
_MOST_NAMED = 12


def similarity(
    folder: Folder,
    project: str,
    say: Callable[[str], None],
    *,
    past: Sequence[Path] = (),
    out: Path | None = None,
    names: bool = False,
    threshold: float = THRESHOLD,
) -> dict:
    """Compare everybody's code for a project, and write a page of the pairs that share much.

    Args:
        folder: the class; its lock is held by the caller.
        past: folders of other terms, laid out as submitted/: STUDENT/PROJECT/NAME.ipynb.
        out: where to; by default similarity-PROJECT.html in the class's folder.
        names: name the students instead of giving them pseudonyms.
        threshold: how much of the smaller one two works have to share, from 0 to 1.

    Returns:
        `file`, `compared` (how many), `usual` (passages that most wrote), `alike`: of whom too little is left to
        compare without them, `past`: by other term, how many works were read, `threshold`; `pairs`: each with `first`,
        `second`, `kind` of the second and `share`; `short`: who wrote too little to compare, `nothing`: who wrote
        nothing, `skipped`: by student, what could not be read. People are called as on the page.

    Raises:
        ClassroomError: no such project or folder, or nothing of another term in one.
    """
    folder.require_released(project)
    target = require_target("--out", out or folder.home / f"similarity-{project}.html")
    called = terms(past, folder.path("submitted", ".", "."), project)
    label = _labels(folder, names, called)
    release = answers.released(folder, project)
    given = given_hashes(answers.given(release))
    mine, report = _of_class(folder, project, release, given, label, say)
    ours = [one for one in mine if one.enough]
    report["short"] = [label(one.work) for one in mine if not one.enough]
    works = _others(folder, project, past, release, label, report["skipped"])
    others = [fingerprint(work, given) for work in works]
    report["past"] = {name: sum(work.where == place for work in works) for place, name in called.items()}
    usual = common(ours)
    ours, others = [less(one, usual) for one in ours], [less(one, usual) for one in others]
    report["alike"] = [label(one.work) for one in ours if not one.enough]
    ours = [one for one in ours if one.enough]
    pairs: list[Pair] = []
    with Progress(len(ours), "comparing", say) as progress:
        for number, one in enumerate(ours):
            rest = [other for other in (*ours[number + 1 :], *others) if other.enough]
            pairs += compare(one, rest, threshold)
            progress.step(None)
    pairs.sort(key=lambda pair: (-pair.share, label(pair.first.work), label(pair.second.work)))
    for people in ("short", "alike", "nothing"):
        report[people].sort()  # by what they are called here: the order of names would tell who is who
    report["skipped"] = dict(sorted(report["skipped"].items()))
    report |= {"compared": len(ours), "usual": len(usual), "threshold": threshold}
    report["pairs"] = [
        {
            "first": label(pair.first.work),
            "second": label(pair.second.work),
            "kind": pair.second.work.kind,
            "share": round(pair.share, 3),
        }
        for pair in pairs
    ]
    write_atomically(target, make_page(project, pairs, report, label), mode=0o600)
    _tell(folder, target, report, names, say)
    return {"file": str(target), **report}


def _of_class(
    folder: Folder, project: str, release: dict, given: np.ndarray, label: Callable, say: Callable[[str], None]
) -> tuple[list[Prints], dict]:
    found, report = [], {"skipped": {}, "nothing": []}
    top = folder.path("submitted", ".", ".")
    if not top.is_dir():
        raise ClassroomError(f"nobody has handed in {project}: there is no {folder.shown(top)}")
    with Progress(len(folder.students(project)), "reading", say) as progress:
        for work, student, odd in answers.submissions(top, project, release, CLASS):
            who = label(Work(student, CLASS, ""))
            if odd:
                report["skipped"][who] = odd
            elif work is None:
                report["nothing"].append(who)
            if work is not None:
                found.append(fingerprint(work, given))
            progress.step(None)
    return found, report


def _others(
    folder: Folder, project: str, past: Sequence[Path], release: dict, label: Callable, skipped: dict[str, str]
) -> list[Work]:
    works = [*answers.solution(folder, project), *answers.book(folder)]
    for top in past:
        for work, student, odd in answers.submissions(top, project, release, PAST):
            if odd:
                skipped[label(Work(student, PAST, "", str(top)))] = odd
            if work is not None:
                works.append(work)
    return works


def _named(people: list[str]) -> str:
    more = f" and {len(people) - _MOST_NAMED} more" if len(people) > _MOST_NAMED else ""
    return ", ".join(people[:_MOST_NAMED]) + more


def _labels(folder: Folder, names: bool, terms: dict[str, str]) -> Callable[[Work], str]:
    called = (lambda student: student) if names else Pseudonyms(folder).of

    def label(work: Work) -> str:
        if work.kind == CLASS:
            return called(work.owner)
        return f"{called(work.owner)} (in {terms[work.where]})" if work.kind == PAST else work.owner

    return label


def _tell(folder: Folder, target: Path, report: dict, names: bool, say: Callable[[str], None]) -> None:
    for term, number in report["past"].items():
        say(f"{term}: {counted(number, 'work')} read")
    for who, why in report["skipped"].items():
        say(f"{who}: left out, {why}")
    if report["short"]:
        say(f"too short to compare: {_named(report['short'])}")
    if report["alike"]:
        say(
            f"not compared, since nearly all of their code is what more than half of the class wrote: "
            f"{_named(report['alike'])}; open two of them and see whether the task leaves no other way"
        )
    pairs, works = counted(len(report["pairs"]), "pair"), counted(report["compared"], "submission")
    say(f"{works} compared, {pairs} with {report['threshold']:.0%} or more in common: evidence to look at, no verdict")
    say(f"{folder.shown(target)}: {'with names' if names else 'without names'}; it opens in any browser")
