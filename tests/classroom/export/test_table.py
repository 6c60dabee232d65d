"""The CSV: nbgrader's own table for plain names, and still a table for all others; what is said besides."""

import csv
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbgrader.plugins import CsvExportPlugin

from classroom.errors import ClassroomError
from classroom.export import Choice, export
from classroom.export.cells import harmless
from classroom.report import grades

TEXT = st.text(
    st.one_of(st.sampled_from("=+-@＝;,\t\r\n\"'| \u200b\u202eא\x00"), st.characters(codec="utf-8")), max_size=40
)


def lines_of(file: str) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_it_is_nbgraders_own(folder, tmp_path):
    said: list[str] = []
    report = export(folder, said.append)
    assert (report["lines"], report["waiting"]) == (4, ["cleo"])
    assert "written parts wait for you, written without these points: cleo" in said
    plugin = CsvExportPlugin(parent=folder.app)
    plugin.to = str(tmp_path / "stock.csv")
    with folder.gradebook() as gradebook, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plugin.export(gradebook)
    ours, stock = ((path.read_text().splitlines()) for path in (folder.home / "grades.csv", tmp_path / "stock.csv"))
    assert ours[0] == stock[0]
    assert sorted(ours) == sorted(stock)
    assert [line["student_id"] for line in lines_of(report["file"])] == ["ada", "bob", "cleo", "dora"]


def test_it_equals_the_gradebook(folder):
    known = grades(folder, "tiny")
    for line in lines_of(export(folder, lambda text: None)["file"]):
        one = known.get(line["student_id"], {"points": 0, "penalty": 0, "total": 0})
        assert float(line["raw_score"]) == one["points"]
        assert float(line["late_submission_penalty"]) == one["penalty"]
        assert float(line["score"]) == pytest.approx(one["total"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(last=TEXT, first=TEXT, email=TEXT)
def test_any_name_stays_in_its_cell(folder, last, first, email):
    with folder.gradebook() as gradebook:
        gradebook.update_or_create_student("ada", last_name=last, first_name=first, email=email)
    before = grades(folder, "tiny")["ada"]
    lines = lines_of(export(folder, lambda text: None)["file"])
    assert [line["student_id"] for line in lines] == ["ada", "bob", "cleo", "dora"]
    assert [lines[0][key] for key in ("last_name", "first_name", "email")] == [
        harmless(t) for t in (last, first, email)
    ]
    assert float(lines[0]["score"]) == before["total"]
    with open(folder.home / "grades.csv", encoding="utf-8") as file:
        assert len(file.read().splitlines()) == 5  # `forget` removes lines


def test_pandas_reads_it(folder):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(export(folder, lambda text: None)["file"])
    assert dict(zip(frame.student_id, frame.score, strict=True))["ada"] == 4.0


def test_one_project_only(folder):
    assert export(folder, lambda text: None, projects=["tiny"])["lines"] == 4
    with pytest.raises(ClassroomError, match="no project 'tinny'; did you mean tiny"):
        export(folder, print, projects=["tinny"])


def test_it_leaves_nothing_behind(folder):
    with pytest.raises(ClassroomError, match="there is no folder"):
        export(folder, print, out=folder.home / "nowhere" / "x.csv")
    place = folder.home / "a-folder"
    place.mkdir()
    with pytest.raises(ClassroomError, match=r"--out .*: expected a file, got a folder"):
        export(folder, print, out=place)
    assert [path.name for path in folder.home.glob(".*.new")] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "grades.csv"}, r"expected csv, canvas, moodle; the name of a file goes after --out"),
        ({"to": "canvas"}, "needs the gradebook that Canvas exported"),
        ({"choice": Choice(incomplete=True)}, "only --out goes with it"),
        ({"to": "moodle", "choice": Choice(columns={"tiny": "x"})}, "Moodle asks itself"),
        ({"to": "moodle", "choice": Choice(scale=True)}, "needs the platform's file"),
    ],
)
def test_options_that_do_not_go_together(folder, options, message):
    with pytest.raises(ClassroomError, match=message):
        export(folder, print, **options)
