"""What a report without names must not show: who somebody is, what they wrote, what their files are called."""

import json
import re
import stat

import numpy as np
import pytest

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.pseudonyms import KEY, Pseudonyms
from classroom.results import write_result
from classroom.statistics.reasons import OTHER, kind_of
from classroom.writer import Writer

from .conftest import fill, page_of, shown

SECRETS = ["student-0000", "zoë.müller", "evil <script>.ipynb", "my-diary.txt", "a comment about Zoë", "PRINTED"]


def test_without_names_nothing_of_a_students_is_in_the_page(new_class):
    made = new_class()
    fill(made, 12)
    made.grades("second", np.ones((1, 4)), ["zoë.müller"])
    with made.folder.gradebook() as gradebook:
        for grade in gradebook.find_submission("second", "zoë.müller").notebooks[0].grades:
            grade.manual_score = 1
        gradebook.db.commit()
    made.result("zoë.müller", "second", outcome="refused", note="evil <script>.ipynb is damaged: line PRINTED")
    made.refused(
        "second",
        [
            {"student": "zoë.müller", "file": "my-diary.txt", "reason": "not part of the project"},
            {"student": "late-comer", "file": "", "reason": "nothing taken: no second.ipynb, but my-diary.txt.ipynb"},
            {"student": "evil <script>.ipynb", "file": "", "reason": "my-diary.txt says: PRINTED", "stray": True},
        ],
    )
    path = made.folder.record("result", "second", "student-00003")
    record = json.loads(path.read_text())
    record["cells"]["second.ipynb"][0] |= {"said": "PRINTED a comment about Zoë"}
    record["cells"]["second.ipynb"][0]["checks"][0] |= {"passed": False, "error": "PRINTED by my-diary.txt"}
    record["rebuilt"] = ["my-diary.txt was taken as second.ipynb"]
    write_result(path, record)
    done, page = page_of(made, "second")
    for secret in [*SECRETS, "late-comer"]:
        assert secret not in page
        assert secret not in json.dumps(done)
    words = shown(page)
    assert "a file that is not part of the project" in words
    assert "not a notebook, or damaged" in words
    assert OTHER in words
    named = page_of(made, "second", names=True)[1]
    for secret in ("student-00001", "zoë.müller", "my-diary.txt: not part of the project"):
        assert secret in named
    assert "<script" not in named
    assert "evil &lt;script&gt;.ipynb is damaged" in named
    assert "a comment about" not in named, "what a student's code said is in no report"


def test_the_order_of_lines_does_not_tell_who_is_who(new_class):
    made = new_class()
    made.project("first", [1])
    students = made.grades("first", np.ones((20, 1)))
    page = page_of(made, "first")[1]
    listed = re.findall(r"p-[a-z2-7]{4}-[a-z2-7]{4}", page[page.index("Each student") :])
    assert len(listed) == 20
    pseudonyms = Pseudonyms(made.folder)
    assert listed == sorted(listed)
    assert listed != [pseudonyms.of(student) for student in students]


def test_pseudonyms_last_and_belong_to_one_class(new_class):
    one, other = new_class("one"), new_class("other")
    for made in (one, other):
        made.project("first", [1])
    first = Pseudonyms(one.folder).of("ada")
    assert Pseudonyms(Folder(one.root)).of("ada") == first != Pseudonyms(one.folder).of("bob")
    assert Pseudonyms(other.folder).of("ada") != first
    key = one.folder.home / KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.write_bytes(b"short")
    with pytest.raises(ClassroomError, match="expected 32 bytes, got 5"):
        Pseudonyms(one.folder)


def test_who_leaves_is_in_no_report(tiny, make_result):
    folder = Folder(tiny.root)
    result = make_result(folder, "ada")
    write_result(folder.record("result", "tiny", "ada"), result)
    with Writer(folder, "tiny") as writer:
        writer.merge(result)
    assert tiny.run("report", "tiny", "--names").returncode == 0
    page = tiny.root / "course" / "report-tiny.html"
    assert "ada" in page.read_text()
    assert tiny.run("forget", "ada", "--yes").returncode == 0
    assert not page.exists()


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("tiny.ipynb is damaged: it ends in the middle", "not a notebook, or damaged"),
        ("tiny.ipynb has 60 MB, expected at most 50", "too large"),
        ("more than 20,000 files", "too large"),
        ("a link, not a file", "a link instead of a file"),
        ("the student's folder is a link, not a folder", "a link instead of a file"),
        ("nothing taken: no tiny.ipynb, but x.ipynb", "the notebook was missing"),
        ("tiny.ipynb is empty", "an empty file"),
        ("timestamp.txt: expected a time, got 'x'", "a time that is none"),
        ("whatever", OTHER),
    ],
)
def test_reasons_have_classes(reason, kind):
    assert kind_of(reason) == kind
