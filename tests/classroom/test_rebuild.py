"""Rebuilding: the release with a student's answers in it. Honest slips cost nothing, tampering has no effect."""

import base64
import io
import json
import random

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from nbgrader.preprocessors import CheckCellMetadata
from nbgrader.utils import compute_checksum, determine_grade
from PIL import Image

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.images import MAX_IMAGES, MAX_PIXELS, MAX_SIDE, UnreadableImageError, again, pixels
from classroom.notebooks import read_notebook
from classroom.rebuild import OURS, Rebuilt, master, rebuild

STUB = "raise NotImplementedError"
WRITE = "*Replace this line with your answer.*"


def meta(name: str, **changes) -> dict:
    fixed = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    return {"nbgrader": fixed | {"grade_id": name} | changes}


@pytest.fixture
def release() -> nbformat.NotebookNode:
    """What students have: supplied code, an answer with tests, a plain code cell, another answer, a written one."""
    return new_notebook(
        metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        cells=[
            new_markdown_cell("# Title", id="title"),
            new_code_cell("import math", id="setup", metadata=meta("setup", locked=True)),
            new_code_cell(STUB, id="one", metadata=meta("one", solution=True)),
            new_code_cell("assert one() == 1", id="one-tests", metadata=meta("one-tests", grade=True, points=2)),
            new_code_cell("try_it = one(3) + one(4) + one(5)", id="try"),
            new_code_cell(STUB, id="two", metadata=meta("two", solution=True)),
            new_code_cell("assert two() == 2", id="two-tests", metadata=meta("two-tests", grade=True, points=2)),
            new_markdown_cell("Why?", id="question"),
            new_markdown_cell(WRITE, id="why", metadata=meta("why", grade=True, solution=True, points=3)),
        ],
    )


@pytest.fixture
def full(release) -> nbformat.NotebookNode:
    """What the instructor has: the same with a hidden test, and with checksums."""
    made = copied(release)
    for cell in made.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader["checksum"] = compute_checksum(cell)
    made.cells[3].metadata[OURS] = {"released": made.cells[3].source}
    made.cells[3].source += "\nassert one(0) == 0  # hidden"
    return made


def copied(notebook):
    return nbformat.from_dict(notebook)


def by(notebook, name: str):
    return next(cell for cell in notebook.cells if cell.id == name)


def graded(full, submitted) -> Rebuilt:
    """As it is graded, by way of the bytes that a student hands in; always valid for nbformat and nbgrader."""
    read, _ = read_notebook(json.dumps(submitted).encode(), "n.ipynb")
    before = nbformat.writes(full)
    made = rebuild(full, read)
    assert nbformat.writes(full) == before
    nbformat.validate(made.notebook)
    CheckCellMetadata().preprocess(made.notebook, {})
    assert len({cell.id for cell in made.notebook.cells}) == len(made.notebook.cells)
    released = [cell.id for cell in made.notebook.cells if not cell.id.startswith("own-")]
    assert released == [cell.id for cell in full.cells]  # each once, in order
    for cell in full.cells:
        if cell.metadata.get("nbgrader", {}).get("locked") or cell.id.endswith("-tests"):
            assert by(made.notebook, cell.id).source == cell.source
    return made


def texts(made: Rebuilt) -> list[str]:
    """The cells between setup and the end, as far as they are not the release's own text."""
    fixed = ("# Title", "Why?")
    return [c.source for c in made.notebook.cells if c.source not in fixed]


# Honest.


def test_an_untouched_notebook_is_the_release_and_counts_as_no_response(full, release):
    made = graded(full, release)
    assert made.notes == []
    assert [cell.source for cell in made.notebook.cells] == [cell.source for cell in full.cells]
    assert determine_grade(by(made.notebook, "why")) == (0, 3)  # nbgrader sees by the checksum: no response
    assert OURS not in by(made.notebook, "one-tests").metadata
    again = copied(release)
    by(again, "why").source = WRITE + "\r\n".replace("\r\n", "")
    by(again, "why").source = "Because."
    changed = graded(full, again)
    assert determine_grade(by(changed.notebook, "why")) == (None, 3)
    same = {name for name, digest in made.answers.items() if changed.answers[name] == digest}
    assert same == {"one", "two"}  # tests hang on everything


def test_answers_and_own_cells_in_place(full, release):
    by(release, "one").source = "def one(x=1):\n    return helper(x)"
    release.cells[2:2] = [new_code_cell("def helper(x):\n    return x", metadata={"tags": ["skip-execution"]})]
    release.cells.insert(0, new_code_cell("first = 1"))
    by(release, "why").source = "Because."
    release.cells.append(new_markdown_cell("a remark"))
    release.cells.append(new_raw_cell("raw", metadata={"format": "text/html"}))
    release.cells.append(new_code_cell("   \n"))  # nothing
    made = graded(full, release)
    sources = [cell.source for cell in made.notebook.cells]
    assert sources.index("def helper(x):\n    return x") == sources.index(by(release, "one").source) - 1
    assert sources[0] == "first = 1"
    assert sources[-2:] == ["a remark", "raw"]
    assert all(cell.metadata == {} for cell in made.notebook.cells if cell.id.startswith("own-"))
    assert made.notes == []


def test_a_split_cell(full, release):
    place = release.cells.index(by(release, "one"))
    by(release, "one").source = "a = 1"
    release.cells[place + 1 : place + 1] = [new_code_cell("def one():"), new_code_cell("    return a")]
    made = graded(full, release)
    assert texts(made)[1:4] == ["a = 1", "def one():", "    return a"]
    assert made.notes == []
    for cell in release.cells[place + 1 : place + 3]:  # as JupyterLab splits: each piece keeps the metadata
        cell.metadata = by(release, "one").metadata
    made = graded(full, release)
    assert texts(made)[1:4] == ["a = 1", "def one():", "    return a"]
    assert made.notes == ["cell one was there 3 times; all count, in order"]


def test_a_copied_cell(full, release):
    answer = by(release, "one")
    copy = new_code_cell(answer.source, metadata=answer.metadata)
    release.cells.append(copy)  # left unanswered, after the tests: it must not undo the answer
    answer.source = "def one(): return 1"
    made = graded(full, release)
    assert texts(made)[1] == "def one(): return 1"
    assert STUB not in texts(made)[:3]
    assert made.notes == ["cell one was there twice; unchanged and equal ones left out"]
    copy.source = "one_more = 1"
    made = graded(full, release)
    assert texts(made)[1:3] == ["def one(): return 1", "one_more = 1"]
    why = by(release, "why")
    why.source = "First."
    release.cells.append(new_markdown_cell("Second.", metadata=why.metadata))
    release.cells.append(new_markdown_cell(WRITE, metadata=why.metadata))
    assert by(graded(full, release).notebook, "why").source == "First.\n\nSecond."


def test_a_deleted_cell(full, release):
    release.cells = [cell for cell in release.cells if cell.id not in ("setup", "one", "one-tests", "why")]
    made = graded(full, release)
    assert by(made.notebook, "one").source == ""
    assert made.notes == [
        "cell one is missing: it counts as empty",
        "cell why is missing: it counts as empty",
        "supplied cells were deleted; they are back: setup, one-tests",
    ]
    assert determine_grade(by(made.notebook, "why")) == (None, 3)  # a person has a look


def test_own_cells_where_neighbours_were_deleted(full, release):
    own = new_code_cell("def one(): return math.floor(1)")
    release.cells[1:4] = [own]  # instead of setup, answer and tests
    made = graded(full, release)
    assert texts(made)[:3] == ["import math", own.source, ""]  # after what it needs, before what needs it


def test_metadata_that_a_program_lost(full, release):
    by(release, "one").source = "def one(): return 1"
    for cell in release.cells:
        cell.metadata = {}
    made = graded(full, release)  # by id
    assert by(made.notebook, "one").source == "def one(): return 1"
    assert made.notes == []
    for number, cell in enumerate(release.cells):
        cell.id = f"x{number}"
    made = graded(full, release)  # by text, and where it stands
    assert texts(made)[:4] == ["import math", "def one(): return 1", "", full.cells[3].source]
    assert "cell one is missing: it counts as empty" in made.notes


def test_plain_cells_are_the_students_to_edit(full, release):
    by(release, "try").source = "try_it = one(3) + one(4)"
    by(release, "question").source = "Why? I wonder."
    made = graded(full, release)
    assert by(made.notebook, "try").source == "try_it = one(3) + one(4)"
    assert by(made.notebook, "question").source == "Why? I wonder."
    by(release, "try")["id"] = "another"  # recognised by what it says
    made = graded(full, release)
    assert by(made.notebook, "try").source == "try_it = one(3) + one(4)"
    assert len(made.notebook.cells) == len(full.cells)


def test_an_answer_of_another_type(full, release):
    place = release.cells.index(by(release, "one"))
    release.cells[place] = new_markdown_cell("def one(): return 1", metadata=meta("one", solution=True))
    made = graded(full, release)
    assert by(made.notebook, "one").cell_type == "code"
    assert by(made.notebook, "one").source == "def one(): return 1"
    assert made.notes == ["cell one had another type; it counts as code"]


def test_text_below_an_unanswered_cell_is_pointed_out(full, release):
    release.cells.append(new_markdown_cell("Because."))
    made = graded(full, release)
    assert made.notes == ["cell why is unanswered, but text of the student's own follows it"]
    assert determine_grade(by(made.notebook, "why")) == (0, 3)  # as stock nbgrader has it


def test_moved_cells(full, release):
    helper, answer = new_code_cell("def helper(): return 1"), by(release, "one")
    answer.source = "def one(): return helper()"
    release.cells.remove(answer)
    release.cells += [helper, answer]  # at the end, helper first
    made = graded(full, release)
    assert texts(made)[1:3] == [helper.source, answer.source]
    assert made.notes == ["cells stood elsewhere; the order of the release counts: one"]


def test_another_projects_notebook(full):
    made = graded(full, new_notebook(cells=[new_code_cell("x = 1", metadata=meta("other", solution=True))]))
    assert made.notes[-1] == "none of the project's cells is in this notebook: is it the right file?"
    assert texts(made)[0] == "x = 1"


# Tampering.


def test_edited_tests_tags_and_metadata_have_no_effect(full, release):
    honest = graded(full, release)
    for cell in release.cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception"]
        cell.metadata["editable"] = True
    tests = by(release, "one-tests")
    tests.source, tests.metadata["nbgrader"]["points"] = "pass", 100
    by(release, "why").metadata["nbgrader"] |= {"checksum": "0" * 32, "points": 100, "locked": True}
    by(release, "setup").metadata["nbgrader"]["solution"] = True
    by(release, "setup").source = "math = None"
    release.metadata["kernelspec"] = {"name": "bash", "display_name": "x"}
    made = graded(full, release)
    assert made.notebook == honest.notebook
    assert made.notes == ["supplied cells were changed; the released text counts: setup, one-tests"]
    assert {n: d for n, d in made.answers.items() if n in ("one", "two", "why")} == {
        n: d for n, d in honest.answers.items() if n in ("one", "two", "why")
    }


def test_copied_tests_and_borrowed_names_have_no_effect(full, release):
    tests = by(release, "one-tests")
    release.cells.insert(0, new_code_cell("def check(*a): pass", metadata=tests.metadata))
    release.cells.append(new_code_cell("assert True", id="own-1", metadata=meta("invented", grade=True, points=50)))
    release.cells.append(new_code_cell("y = 1", metadata={"nbgrader": {"grade_id": "title"}}))
    made = graded(full, release)
    assert "def check(*a): pass" not in texts(made)
    assert texts(made)[-2:] == ["assert True", "y = 1"]
    points = [cell.metadata["nbgrader"].get("points", 0) for cell in made.notebook.cells if "nbgrader" in cell.metadata]
    assert sum(points) == 7


def test_whatever_the_order_every_cell_of_the_release_is_there_once(full, release):
    chance = random.Random(3)
    for _ in range(60):
        made = copied(release)
        made.cells = [
            *chance.choices(made.cells, k=chance.randrange(12)),
            *[new_code_cell(f"own{n}") for n in range(chance.randrange(3))],
        ]
        chance.shuffle(made.cells)
        own = sum(cell.source.startswith("own") for cell in made.cells)
        found = graded(full, made)  # asserts it
        assert sum(cell.source.startswith("own") for cell in found.notebook.cells) == own


# Images.


def picture(kind: str, size=(8, 6), mode="RGB", **options) -> str:
    out = io.BytesIO()
    noise = random.Random(1).randbytes(size[0] * size[1] * len(mode))
    Image.frombytes(mode, size, noise).save(out, kind, **options)
    return base64.b64encode(out.getvalue()).decode()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_images_of_written_answers_survive_made_anew(full, release):
    secret = Image.Exif()
    secret[0x010E] = "where I live"
    why = by(release, "why")
    shown = "![a](attachment:a%20b.jpg) ![c](attachment:c.png)"
    why.source = f"See {shown} ![d](data:image/gif;base64,{picture('GIF')})"
    why.attachments = {
        "a b.jpg": {"image/jpeg": picture("JPEG", (3000, 1500), exif=secret)},
        "c.png": {"image/png": "\n".join([picture("PNG", mode="RGBA")])},
        "unused.png": {"image/png": picture("PNG")},
    }
    release.cells.append(new_markdown_cell(f'<img src="data:image/webp;base64,{picture("WEBP")}" width=9>'))
    made = graded(full, release)
    assert made.notes == []
    answer = by(made.notebook, "why")
    assert sorted(answer.attachments) == ["a b.jpg", "c.png"]
    photo = opened(answer.attachments["a b.jpg"]["image/jpeg"])
    assert (photo.size, photo.format, dict(photo.getexif())) == ((MAX_SIDE, MAX_SIDE // 2), "JPEG", {})
    assert opened(answer.attachments["c.png"]["image/png"]).mode == "RGBA"
    assert "![d](data:image/png;base64," in answer.source
    assert made.notebook.cells[-1].source.startswith('<img src="data:image/')
    assert made.notebook.cells[-1].source.endswith('" width=9>')
    before = made.answers["why"]
    why.attachments["c.png"]["image/png"] = picture("PNG", (9, 9))
    assert graded(full, release).answers["why"] != before  # another image is another answer


def test_images_that_are_left_out_are_named(full, release):
    head = base64.b64decode(picture("BMP"))[:18]
    bomb = base64.b64encode(head + (60_000).to_bytes(4, "little") * 2 + bytes(40)).decode()
    svg = base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>").decode()
    why = by(release, "why")
    why.attachments = {
        "svg.svg": {"image/svg+xml": svg},
        "cut.png": {"image/png": picture("PNG", (50, 50))[:400]},
        "not64.png": {"image/png": "%%%"},
        "bomb.bmp": {"image/bmp": bomb},
    }
    shown = " ".join(f"![x](attachment:{name})" for name in why.attachments)
    page = base64.b64encode(b"<script>alert(1)</script>").decode()
    why.source = f"{shown} ![y](data:image/svg+xml;utf8,{svg}) [z](data:text/html;base64,{page}) the data: they stay"
    made = graded(full, release)
    answer = by(made.notebook, "why")
    assert "attachments" not in answer
    assert answer.source == f"{shown} ![y](#image-left-out) [z](#left-out) the data: they stay"
    assert [note.split(" was left out: ")[0] for note in made.notes] == [
        *(f"cell why: the image {name}" for name in why.attachments),
        "cell why: an image in the text",
    ]
    why.attachments = {f"{n}.png": {"image/png": picture("PNG")} for n in range(MAX_IMAGES + 2)}
    why.source = " ".join(f"![x](attachment:{name})" for name in why.attachments)
    made = graded(full, release)
    assert len(by(made.notebook, "why").attachments) == MAX_IMAGES
    assert len(made.notes) == 2


def test_damaged_images_are_made_anew_or_left_out(request):
    chance = random.Random(9)
    whole = [base64.b64decode(picture(kind, (40, 30))) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP")]
    for number in range(5_000 if request.config.getoption("--full") else 150):
        data = bytearray(whole[number % len(whole)])
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        data = bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)
        try:
            assert pixels(data) <= MAX_PIXELS
            mime, made = again(data)
        except UnreadableImageError:
            continue
        with Image.open(io.BytesIO(made)) as image:
            assert mime == Image.MIME[image.format]


def test_a_very_long_text_is_cut(full, release):
    by(release, "why").source = "long " * 100_000
    made = graded(full, release)
    assert len(by(made.notebook, "why").source) == 200_000
    assert made.notes == ["cell why has 500000 characters; the first 200000 are kept"]


# The master.


@pytest.fixture
def folder(tiny, monkeypatch) -> Folder:
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    monkeypatch.setenv("HOME", str(tiny.root))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    return Folder(tiny.root)


@pytest.mark.filterwarnings("ignore")  # nbgrader's own
def test_the_master_is_the_release_with_hidden_tests(folder):
    made = master(folder, "tiny")
    assert list(made) == ["tiny.ipynb"]
    tests = by(made["tiny.ipynb"], "double-tests")
    assert "assert double(-1) == -2" in tests.source
    assert "double(-1)" not in tests.metadata[OURS]["released"]
    path = folder.path("release", "tiny") / "tiny.ipynb"
    submitted, _ = read_notebook(path.read_bytes(), path.name)
    found = rebuild(made["tiny.ipynb"], submitted)
    assert found.notes == []
    for cell in found.notebook.cells:  # as nbgrader's own autograder would have it
        assert cell.metadata.nbgrader["checksum"] == compute_checksum(cell)
    assert determine_grade(by(found.notebook, "why")) == (0, 1)


@pytest.mark.filterwarnings("ignore")
def test_a_release_that_was_edited_by_hand_counts_only_as_far_as_it_may(folder):
    path = folder.path("release", "tiny") / "tiny.ipynb"
    notebook = nbformat.read(path, as_version=4)
    by(notebook, "double-tests").source = "pass"
    by(notebook, "double-tests").metadata["nbgrader"]["points"] = 30
    nbformat.write(notebook, path)
    tests = by(master(folder, "tiny")["tiny.ipynb"], "double-tests")
    assert (tests.metadata.nbgrader["points"], tests.source == "pass") == (3, False)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "why"]
    nbformat.write(notebook, path)
    with pytest.raises(ClassroomError, match="release and gradebook differ in why; first: classroom release"):
        master(folder, "tiny")
    path.rename(path.with_name("other.ipynb"))
    with pytest.raises(ClassroomError, match=r"other\.ipynb is not in the gradebook; first: classroom release tiny"):
        master(folder, "tiny")
    path.with_name("other.ipynb").write_text("{")
    with pytest.raises(ClassroomError, match="can't be read"):
        master(folder, "tiny")
