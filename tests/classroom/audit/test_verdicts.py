"""What was earned, by check: the author's reasons, what a forgery's answers earn without it, and the words for it."""

from classroom.audit.attacks import ANSWERS, FORGERIES, RIGHT, Attack
from classroom.audit.table import lines
from classroom.audit.verdicts import Row, count, given, in_session, lost
from classroom.partnames import PartNames

NAMES = PartNames([("p.ipynb", "a"), ("p.ipynb", "b")])


def result(*cells, outcome="graded"):
    """A result with test cells: grade_id, points, most, and checks as (name, points, passed)."""
    ran = [
        {
            "id": name,
            "grade_id": name,
            "by": "examiner",
            "checks": [{"name": n, "points": p, "passed": ok, "error": "" if ok else "no"} for n, p, ok in checks],
        }
        for name, _, _, checks in cells
    ]
    points = {name: {"auto": auto, "max": most} for name, auto, most, _ in cells}
    points["by-hand"] = {"auto": None, "max": 3.0}
    return {"outcome": outcome, "note": "", "cells": {"p.ipynb": ran}, "points": {"p.ipynb": points}}


def attack(name, group=ANSWERS, base=""):
    return Attack(group, name, "", lambda work, bait: None, base)


PARTLY = result(("a", 1.0, 3.0, [("shape", 1.0, True), ("value", 2.0, False)]), ("b", 2.0, 2.0, []))


def test_points_are_laid_to_the_checks_that_gave_them():
    assert given(PARTLY, NAMES) == {("a", "shape"): 1.0, ("b", ""): 2.0}
    assert given(result(("a", 0.0, 3.0, [("shape", 1.0, True)])), NAMES) == {}, "a cell that was stopped gives nothing"
    odd = result(("a", 2.5, 3.0, [("shape", 1.0, True)]))
    assert given(odd, NAMES) == {("a", ""): 2.5}, "where the checks do not say it, the whole cell gave it"


def test_a_right_submission_that_lost_points_says_where():
    assert lost(PARTLY, NAMES) == ["a: 1 of 3 points: value (no)"]
    assert lost(result(("a", 3.0, 3.0, [])), NAMES) == []
    assert lost({"outcome": "refused", "note": "no notebook"}, NAMES) == ["refused: no notebook"]


def test_a_verdict_reached_in_the_students_process_is_named():
    exposed = result(("a", 1.0, 1.0, []), ("b", 1.0, 1.0, []))
    exposed["cells"]["p.ipynb"][1]["by"] = "session"
    assert in_session([PARTLY, exposed], NAMES) == ["b"]


def test_a_forgery_gains_what_its_answers_do_not():
    rows = [Row(attack("0")), Row(attack("forged", FORGERIES, "0")), Row(attack("solved", RIGHT))]
    points = {"0": {("a", "shape"): 1.0}, "forged": {("a", "shape"): 1.0, ("b", ""): 2.0}, "solved": {("a", ""): 9.0}}
    found = count(rows, points, [])
    assert [(one.cell, one.check, one.points, one.attacks) for one in found] == [
        ("a", "shape", 1.0, ["0"]),
        ("b", "", 2.0, ["forged"]),
    ]
    assert [row.gained for row in rows] == [1.0, 2.0, 0]


def test_what_the_author_allows_is_said_with_its_reason_and_does_not_count():
    rows = [Row(attack("0"))]
    points = {"0": {("a", "shape"): 1.0, ("b", ""): 2.0, ("b", "other"): 1.0}}
    allowed = [{"cell": "a", "check": "shape", "reason": "half of it"}, {"cell": "b", "reason": "a gift"}]
    stale = {"cell": "a", "check": "value", "reason": "was needed once"}
    found = count(rows, points, [*allowed, stale])
    assert [one.reason for one in found] == ["half of it", "a gift", "a gift"]
    assert rows[0].gained == 0
    said = list(lines("p", rows, found, [], [], [*allowed, stale]))
    assert 'a, check "shape": 1 point for 0; allowed: half of it' in said
    assert "project.yml, audit: a, check value gives nothing without work; the entry can go" in said
    assert said[-1] == "p: 1 submission: no points, no effects"


def test_effects_are_said_and_counted():
    row = Row(attack("0"))
    row.effects = ["it read a file with a secret"]
    said = list(lines("p", [row], [], ["TCP on this machine was reached"], ["b"], []))
    assert any(line.endswith("  it read a file with a secret") for line in said)
    assert "effect: TCP on this machine was reached" in said
    assert "the verdict is reached where the student's code runs, which can forge it: b" in said
    assert said[-1] == "p: 1 submission: no points, 2 effects"
