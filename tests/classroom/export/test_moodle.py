"""Moodle: a table for its grade import and its grading worksheet, read again as Moodle reads them.

The worksheet's columns are those of "Download grading worksheet" in English (`mod/assign/gradingtable.php` in
https://github.com/moodle/moodle); of them `mod/assign/feedback/offline/importgradeslib.php` needs Identifier, Grade and
Last modified (grade). What an import of a table does is in `grade/import/csv/classes/load_data.php`.
"""

import csv
import io
from pathlib import Path

import pytest

from classroom.errors import ClassroomError
from classroom.export import Choice, export
from classroom.intake.attempts import Attempt, keep

HEAD = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments"
)
WHEN = '"Thursday, 5 February 2026, 10:00 AM",-'
WORKSHEET = f"""\
{HEAD}
Participant 11,Ada Lovelace,ada@example.org,Submitted for grading,,4.00,Yes,{WHEN},
Participant 12,Bob Núñez,,Submitted for grading,1.00,4.00,Yes,{WHEN},"=said
by me, ""\\alpha"" "
Participant 13,Cleo Ó Néill,cleo@example.org,Submitted for grading,2.00,4.00,Yes,{WHEN},
Participant 14,=Eve,eve@example.org,No submission,,4.00,Yes,-,-,
"""


@pytest.fixture
def sheet(tmp_path) -> Path:
    path = tmp_path / "Grades-X-Tiny-11.csv"
    path.write_text(WORKSHEET, encoding="utf-8", newline="")
    return path


def read(file: str | Path) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8-sig") as lines:
        return list(csv.DictReader(lines))


def test_the_table(folder):
    said: list[str] = []
    report = export(folder, said.append, to="moodle")
    rows = read(report["file"])
    assert list(rows[0]) == ["Username", "ID number", "Email address", "First name", "Last name", "tiny"]
    assert {row["Username"]: row["tiny"] for row in rows} == {"ada": "4", "bob": "3.15"}
    assert [row["Email address"] for row in rows] == ["ada@example.org", "bob@example.org"]
    assert report["waiting"] == ["cleo"]
    assert report["projects"]["tiny"]["filled"] == 2
    choice = Choice(before_penalty=True, incomplete=True)
    rows = read(export(folder, said.append, to="moodle", choice=choice)["file"])
    assert {row["Username"]: row["tiny"] for row in rows} == {"ada": "4", "bob": "3.5", "cleo": "3"}


def test_a_column_that_does_not_tell_people_apart_is_left_out(folder):
    """Moodle reads an empty cell in the column that finds people as: the person of the line before."""
    with folder.gradebook() as gradebook:
        gradebook.find_student("bob").email = ""
        gradebook.find_student("bob").lms_user_id = "101"
        gradebook.db.commit()
    report = export(folder, lambda text: None, to="moodle")
    assert list(read(report["file"])[0]) == ["Username", "First name", "Last name", "tiny"]
    assert report["left_out_columns"] == {
        "ID number": "two people have the same",
        "Email address": "1 of 2 have none",
    }


def test_names_are_neither_formulas_nor_backslashes(folder):
    with folder.gradebook() as gradebook:
        gradebook.find_student("ada").first_name = '=1+1\\"'
        gradebook.find_student("ada").last_name = "a,b\\"
        gradebook.find_student("bob").email = "+bob@example.org"
        gradebook.db.commit()
    report = export(folder, lambda text: None, to="moodle")
    assert "\\" not in Path(report["file"]).read_text()  # PHP's reader takes it for a sign that changes the next
    ada = read(report["file"])[0]
    assert (ada["First name"], ada["Last name"], ada["tiny"]) == ("'=1+1/\"", "a,b/", "4")
    assert "Email address" in report["left_out_columns"]


def test_nobody_is_ready(folder):
    with folder.gradebook() as gradebook:
        for student in ("ada", "bob"):
            gradebook.find_grade("why", "tiny", "tiny", student).needs_manual_grade = True
        gradebook.db.commit()
    with pytest.raises(ClassroomError, match="nobody's points are ready"):
        export(folder, print, to="moodle")


def test_the_worksheet(folder, sheet):
    said: list[str] = []
    report = export(folder, said.append, to="moodle", source=sheet)
    assert report["file"].endswith("exports/moodle-tiny.csv")
    before, after = read(sheet), read(report["file"])
    assert list(after[0]) == HEAD.split(",")
    assert [row["Grade"] for row in after] == ["4", "3.15", "2.00", ""]
    assert [row["Full name"] for row in after] == ["Ada Lovelace", "Bob Núñez", "Cleo Ó Néill", "'=Eve"]
    untouched = ["Identifier", "Maximum Grade", "Last modified (grade)", "Feedback comments"]
    assert [[row[name] for name in untouched] for row in after] == [[row[name] for name in untouched] for row in before]
    assert report["matched"] == {"ada": "Email address", "bob": "name", "cleo": "Email address"}
    assert report["unknown"] == ["=Eve"]
    assert "by name alone, have a look: bob" in said


def test_the_numbers_in_the_downloads_names_tell_best(folder, sheet):
    """`Jane Doe_12_assignsubmission_file_` is Participant 12 of the worksheet, which may hide names."""
    attempt = Attempt("", origin="moodle:Somebody_12", digest="x")
    keep(folder, "tiny", "bob", attempt, {"tiny.ipynb": b"{}"})
    sheet.write_text(WORKSHEET.replace("Bob Núñez", ""), encoding="utf-8")
    report = export(folder, lambda text: None, to="moodle", source=sheet)
    assert report["matched"]["bob"] == "Identifier"
    sheet.write_text(WORKSHEET.replace("Bob Núñez", "Dora Doe"), encoding="utf-8")
    report = export(folder, lambda text: None, to="moodle", source=sheet)
    assert report["refused"] == {"Dora Doe": "Identifier says bob; name says dora"}
    assert read(report["file"])[1]["Grade"] == "1.00"


def test_decimal_commas_maxima_and_locked_grades(folder, sheet):
    text = WORKSHEET.replace("4.00", '"100,00"').replace(",1.00,", ',"1,00",').replace(",2.00,", ",,")
    sheet.write_text(text.replace('"100,00",Yes', '"100,00",No', 1), encoding="utf-8")
    with pytest.raises(ClassroomError, match=r"tiny has 4 points here, and 100 in Moodle: .* --scale"):
        export(folder, print, to="moodle", source=sheet)
    report = export(folder, lambda text: None, to="moodle", source=sheet, choice=Choice(scale=True))
    assert [row["Grade"] for row in read(report["file"])] == ["", "78,75", "", ""]
    assert report["projects"]["tiny"]["locked"] == ["ada"]


def test_a_comment_that_moodle_would_misread_keeps_its_row_out(folder, sheet):
    sheet.write_text(WORKSHEET.replace('""\\alpha"" "', 'see \\"'), encoding="utf-8")
    report = export(folder, lambda text: None, to="moodle", source=sheet)
    assert [row["Identifier"][-2:] for row in read(report["file"])] == ["11", "13", "14"]
    assert "backslash" in report["refused"]["Bob Núñez"]


def test_two_refused_people_of_one_name_are_both_listed(folder, sheet):
    attempt = Attempt("", origin="moodle:Somebody_12", digest="x")
    keep(folder, "tiny", "bob", attempt, {"tiny.ipynb": b"{}"})
    attempt = Attempt("", origin="moodle:Somebody_13", digest="y")
    keep(folder, "tiny", "cleo", attempt, {"tiny.ipynb": b"{}"})
    text = WORKSHEET.replace("Bob Núñez", "Dora Doe").replace("Cleo Ó Néill", "Dora Doe")
    sheet.write_text(text, encoding="utf-8")
    report = export(folder, lambda text: None, to="moodle", source=sheet)
    assert [name.rpartition(" ")[0] for name in report["refused"]] == ["Dora Doe, line", "Dora Doe, line"]


@pytest.mark.parametrize("head", [HEAD.replace("Identifier", "Identificador"), "First name,Surname,Tiny"])
def test_other_tables(folder, sheet, head):
    sheet.write_text(f"{head}\n")
    with pytest.raises(ClassroomError, match=r"expected a grading worksheet .* language in Moodle to English"):
        export(folder, print, to="moodle", source=sheet)


def test_the_form_of_the_file_stays(folder, sheet):
    rows = list(csv.reader(io.StringIO(WORKSHEET, newline="")))
    file = io.StringIO(newline="")
    csv.writer(file, delimiter="\t", lineterminator="\r\n").writerows(rows)
    sheet.write_bytes(b"\xef\xbb\xbf" + file.getvalue().encode())
    made = Path(export(folder, lambda text: None, to="moodle", source=sheet)["file"]).read_bytes()
    assert made.startswith(b"\xef\xbb\xbfIdentifier\tFull name\t")
    assert made.endswith(b"\r\n")
