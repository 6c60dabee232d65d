"""Canvas: its exported gradebook filled in, read again as Canvas's importer reads it, and compared with the gradebook.

The head and the rows above the students are those that Canvas's exporter writes (`lib/gradebook_exporter.rb` in
https://github.com/instructure/canvas-lms: `header`, the row of `hidden_assignment_text`, `    Points Possible`, `(read
only)`); `imported` does what `lib/gradebook_importer.rb` does to tell rows, columns and people apart.
"""

import csv
import io
import re
from pathlib import Path

import pytest

from classroom.errors import ClassroomError
from classroom.export import Choice, export
from classroom.export.cells import FORMULA
from classroom.report import grades

HEAD = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Notes,Quiz (900),Tiny (901),Homework Current Score,"
    "Homework Final Score,Current Score,Final Score"
)
GRADEBOOK = f"""\
{HEAD}
,,,,,,,Manual Posting,,,,
    Points Possible,,,,,,10.00,4.00,(read only),(read only),(read only),(read only)
"Lovelace, Ada",101,,ada,Section 1,,9.00,,90.0,90.0,90.0,90.0
"Núñez, Bob",777,bob,=bob,"Section 1, and 2",,8.00,1.00,80.0,80.0,80.0,80.0
"Ó Néill, Cleo",103,,cleo@example.org,Section 1,a note,7.00,2.00,70.0,70.0,70.0,70.0
"=HYPERLINK(""http://x"")",555,S5,eve,Section 1,,6.00,3.00,60.0,60.0,60.0,60.0
"Student, Test",999,,0a1b,Section 1,,,,,,,
"""


@pytest.fixture
def gradebook(tmp_path) -> Path:
    path = tmp_path / "2026-02-09T1200_Grades-X.csv"
    path.write_text(GRADEBOOK, encoding="utf-8")
    return path


def imported(file: str) -> dict[str, dict[str, str]]:
    """What Canvas's importer takes from a file: by a person's number, by an assignment's number, the cell."""
    text = Path(file).read_text(encoding="utf-8-sig")
    separator = ";" if text.split("\n")[0].count(";") > text.split("\n")[0].count(",") else ","
    head, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    assert "Student" in head[0]
    assert "ID" in head[1]
    assert all(len(row) == len(head) for row in rows)
    section = head.index("Section")
    assignments = {re.search(r" \((\d+)\)$", name)[1]: place for place, name in enumerate(head) if place > section}
    found = {}
    for row in rows:
        hidden = all(re.fullmatch(r"\s*(Muted|Manual Posting.*)?\s*", cell) for cell in row)
        if not hidden and "Points Possible" not in row[0]:
            found[row[1]] = {number: row[place] for number, place in assignments.items()}
    return found


def test_points_are_filled_in_and_nothing_else(folder, gradebook):
    said: list[str] = []
    report = export(folder, said.append, to="canvas", source=gradebook)
    assert imported(report["file"]) == {
        "101": {"901": "4"},
        "777": {"901": "3.15"},
        "103": {"901": "2.00"},  # waits for a person: as it was, for an empty cell takes a grade away
        "555": {"901": "3.00"},  # nobody's here
        "999": {"901": ""},
    }
    assert {name: round(grades(folder, "tiny")[name]["total"], 6) for name in ("ada", "bob")} == {"ada": 4, "bob": 3.15}
    assert report["matched"] == {"ada": "SIS Login ID", "bob": "SIS User ID", "cleo": "SIS Login ID"}
    assert report["waiting"] == report["projects"]["tiny"]["waiting"] == ["cleo"]
    assert (report["refused"], report["missing"], report["lines"]) == ({}, [], 5)
    assert any("not in this class's gradebook" in line and "Student, Test" in line for line in said)
    with open(report["file"], newline="", encoding="utf-8") as file:
        head, hidden, possible, ada, *others = csv.reader(file)
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Tiny (901)"]
    assert (hidden, possible) == (["", "", "", "", "", "Manual Posting"], ["    Points Possible", *[""] * 4, "4.00"])
    assert ada == ["Lovelace, Ada", "101", "", "ada", "Section 1", "4"]
    assert gradebook.read_text(encoding="utf-8") == GRADEBOOK
    assert [row[0] for row in others][2:] == ['\'=HYPERLINK("http://x")', "Student, Test"]
    assert not [cell for row in (ada, *others) for cell in row if cell and cell[0] in FORMULA]


def test_both_numbers_and_what_is_not_finished(folder, gradebook):
    choice = Choice(before_penalty=True, incomplete=True)
    report = export(
        folder, lambda text: None, to="canvas", source=gradebook, choice=choice, out=Path(folder.home, "x.csv")
    )
    found = imported(folder.home / "x.csv")
    assert [found[number]["901"] for number in ("101", "777", "103")] == ["4", "3.5", "3"]
    assert report["projects"]["tiny"]["filled"] == 3


def test_the_form_of_the_file_stays(folder, tmp_path):
    """A byte order mark, semicolons, decimal commas, lines as on Windows: what Canvas writes for some languages."""
    rows = csv.reader(io.StringIO(GRADEBOOK, newline=""))
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=";", lineterminator="\r\n")
    writer.writerows([re.sub(r"^(\d+)\.(\d+)$", r"\1,\2", cell) for cell in row] for row in rows)
    path = tmp_path / "g.csv"
    path.write_bytes(b"\xef\xbb\xbf" + file.getvalue().encode())
    made = Path(export(folder, lambda text: None, to="canvas", source=path)["file"]).read_bytes()
    assert made.startswith(b"\xef\xbb\xbfStudent;ID;")
    assert made.count(b"\r\n") == made.count(b"\n") == 8
    assert imported(folder.home / "exports" / "canvas.csv")["777"] == {"901": "3,15"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('"Lovelace, Ada",102,,ada,Section 1', "SIS Login ID says ada; ID says bob; name says ada"),
        ('"Lovelace, Ada",,,ada,Section 1', "no number in column ID"),
        ('"Lovelace, Ada",1.01E+02,,ada,Section 1', "no number in column ID"),
        ('"Núñez, Bob",9,,ada,Section 1', "SIS Login ID says ada; name says bob"),
    ],
)
def test_nobody_is_guessed(folder, tmp_path, row, problem):
    path = tmp_path / "g.csv"
    path.write_text(f"{HEAD}\n{row},,,,,,,\n", encoding="utf-8")
    report = export(folder, lambda text: None, to="canvas", source=path)
    assert list(report["refused"].values()) == [problem]
    assert "ada" in report["missing"]
    assert [cells["901"] for cells in imported(report["file"]).values()] == [""]


def test_a_name_alone_is_enough_if_it_is_one_persons(folder, tmp_path):
    path = tmp_path / "g.csv"
    path.write_text(f'{HEAD}\n"LOVELACE, Ada",9,,x,S,,,,,,,\n"NUNEZ, bob",8,,y,S,,,,,,,\n"Doe, Dora",7,,z,S,,,,,,,\n')
    said: list[str] = []
    report = export(folder, said.append, to="canvas", source=path)
    assert report["matched"] == {"ada": "name", "bob": "name", "dora": "name"}
    assert "by name alone, have a look: ada, bob, dora" in said
    with folder.gradebook() as book:
        book.update_or_create_student("zoe", first_name="Ada", last_name="Lovelace")
    report = export(folder, said.append, to="canvas", source=path)
    assert report["refused"] == {"LOVELACE, Ada": "name says ada or zoe"}
    path.write_text(f'{HEAD}\n"Núñez, Bob",9,,x,S,,,,,,,\n"Nunez, Bob",8,,y,S,,,,,,,\n')
    report = export(folder, said.append, to="canvas", source=path)
    assert set(report["refused"].values()) == {"another row is bob too"}


def test_what_a_person_decided_in_canvas_stays(folder, tmp_path):
    path = tmp_path / "g.csv"
    path.write_text(f'{HEAD}\n"Lovelace, Ada",101,,,S,,,EX,,,,\n"Núñez, Bob",102,,,S,,,N/A,,,,\n')
    report = export(folder, lambda text: None, to="canvas", source=path)
    assert imported(report["file"]) == {"101": {"901": "EX"}, "102": {"901": "N/A"}}
    assert report["projects"]["tiny"]["excused"] == ["ada", "bob"]


def test_the_column(folder, gradebook):
    def filled(**choice) -> dict:
        return export(folder, lambda text: None, to="canvas", source=gradebook, choice=Choice(**choice))["projects"][
            "tiny"
        ]

    for title in ("Quiz", "Quiz (900)", "900"):
        assert filled(columns={"tiny": title}, scale=True)["column"] == "Quiz (900)"
    assert imported(folder.home / "exports" / "canvas.csv")["777"] == {"900": "7.875"}
    with pytest.raises(ClassroomError, match=r"tiny has 4 points here, and 10 in Canvas, column Quiz \(900\)"):
        filled(columns={"tiny": "Quiz"})
    with pytest.raises(ClassroomError, match="no column for tiny; did you mean Quiz"):
        filled(columns={"tiny": "Quizz"})
    gradebook.write_text(GRADEBOOK.replace("Quiz (900)", "TINY (900)"))
    with pytest.raises(ClassroomError, match=r"tiny could be TINY \(900\) and Tiny \(901\)"):
        filled()
    gradebook.write_text(GRADEBOOK.replace("Tiny (901)", "Other (901)"))
    with pytest.raises(ClassroomError, match=r"no column has a project's name; it has Quiz \(900\), Other \(901\)"):
        filled()
    gradebook.write_text(GRADEBOOK.replace("10.00,4.00", "10.00,(read only)"))
    with pytest.raises(ClassroomError, match="read only"):
        filled()


def test_a_project_without_a_column_is_named(folder, gradebook, monkeypatch):
    monkeypatch.setattr("classroom.export._released", lambda folder: ["tiny", "other"])
    said: list[str] = []
    assert export(folder, said.append, to="canvas", source=gradebook)["without_column"] == ["other"]
    assert [line for line in said if line.startswith("other: left out, ") and "--column 'other=TITLE'" in line]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "expected a gradebook that Canvas exported"),
        (GRADEBOOK.encode("utf-16"), "not UTF-8"),
        (GRADEBOOK.encode("latin-1"), "not UTF-8"),
        (None, "no such file"),
    ],
)
def test_other_files(folder, tmp_path, content, message):
    path = tmp_path / "g.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClassroomError, match=message):
        export(folder, print, to="canvas", source=path)


def test_lines_with_too_many_cells_are_left_out_and_said(folder, gradebook):
    gradebook.write_text(GRADEBOOK.replace('"Lovelace, Ada"', "Lovelace, Ada"))
    report = export(folder, lambda text: None, to="canvas", source=gradebook)
    assert (report["odd_lines"], report["missing"]) == ([4], ["ada"])
    assert "101" not in imported(report["file"])


def test_a_line_is_that_of_the_file_also_below_a_cell_of_two_lines(folder, gradebook):
    gradebook.write_text(GRADEBOOK.replace("a note", '"a\nnote"').replace('"=HYPERLINK(""http://x"")"', "Eve, E"))
    report = export(folder, lambda text: None, to="canvas", source=gradebook)
    line = next(n for n, text in enumerate(gradebook.read_text().splitlines(), 1) if text.startswith("Eve, E"))
    assert report["odd_lines"] == [line] == [8]


def test_two_refused_people_of_one_name_are_both_listed(folder, gradebook):
    rows = '"Lovelace, Ada",101,,bob,S,,,,,,,\n"Lovelace, Ada",102,,ada,S,,,,,,,\n"Núñez, Bob",9,,ada,S,,,,,,,\n'
    gradebook.write_text(f"{HEAD}\n{rows}", encoding="utf-8")
    report = export(folder, lambda text: None, to="canvas", source=gradebook)
    assert list(report["refused"]) == ["Lovelace, Ada, line 2", "Lovelace, Ada, line 3", "Núñez, Bob"]


@pytest.mark.parametrize("points", ["0.00", "0", "-4"])
def test_a_maximum_of_nothing_is_no_scale(folder, gradebook, points):
    """Multiplied by it, everybody would have nothing, and nothing would be said."""
    gradebook.write_text(GRADEBOOK.replace("10.00,4.00", f"10.00,{points}"), encoding="utf-8")
    with pytest.raises(ClassroomError, match=r"multiplied by that, nobody would have any; set its points there to 4"):
        export(folder, print, to="canvas", source=gradebook, choice=Choice(scale=True))
    assert not (folder.home / "exports" / "canvas.csv").exists()


def test_canvas_own_file_stays(folder, gradebook):
    with pytest.raises(ClassroomError, match="the platform's own file"):
        export(folder, print, to="canvas", source=gradebook, out=gradebook)
    assert gradebook.read_text(encoding="utf-8") == GRADEBOOK
