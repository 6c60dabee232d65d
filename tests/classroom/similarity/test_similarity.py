"""Code in common: copies are found whatever was done to them, honest answers are not, and the page says no more.

In order: mutated copies and independent answers from the banks; the command on a class with copies, a short, a damaged
and a hostile submission, and another term; the page.
"""

import ast
import io
import itertools
import json
import random
import re
import tokenize
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.similarity import THRESHOLD, similarity
from classroom.similarity.answers import CLASS, Work, given
from classroom.similarity.passages import compare, fingerprint, given_hashes, shared_lines

ROOT = Path(__file__).resolve().parents[3]

SAID = (  # rows of the table in the book
    "honest pairs",
    "copies with all names changed, other comments, another order",
    "the most that two of them share",
    "the least that a copy shares with its original",
)
ADA = '''
def double(x):
    """Twice the value."""
    total = 0
    for step in range(2):
        total = total + x * 1 if step >= 0 else total - x
    return total


def check(values, expected):
    pairs = list(zip(values, expected, strict=True))
    wrong = [value for value, answer in pairs if double(value) != answer]
    return {"wrong": wrong, "share": len(wrong) / max(1, len(pairs))}
'''
CLEO = """
import functools, operator
double = functools.partial(operator.mul, 2)
class Table:
    rows = property(lambda self: sorted(self._rows))
    def __init__(self, **rows):
        self._rows = rows
    def __getitem__(self, key):
        try:
            return self._rows[key]
        except KeyError as error:
            raise LookupError(key) from error
assert Table(a=double(1))["a"] == 2
"""


def mutated(code: str, seed: int) -> str:
    """A copy with every bound name another one, other comments, and the top level shuffled."""
    tree = ast.parse(code)
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    new = {name: f"q{number}_{name[::-1]}" for number, name in enumerate(sorted(bound))}
    words = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        comment = token.type == tokenize.COMMENT
        words.append((token.type, "# mine" if comment else new.get(token.string, token.string)))
    code = tokenize.untokenize(words)
    pieces = [ast.get_source_segment(code, node) for node in ast.parse(code).body]
    random.Random(seed).shuffle(pieces)
    return "\n\n".join(pieces)


@pytest.fixture(scope="module", params=["checkpoint-01", "generative"])
def honest(request):
    """Independent answers: number i takes the i-th right answer of the bank for each part, so that no two share one."""
    bank = yaml.safe_load((ROOT / f"tests/assignments/{request.param}/bank.yml").read_text())
    by_cell: dict[str, list[str]] = {}
    for entry in bank:
        if entry["kind"] == "right":
            for cell, code in entry["cells"].items():
                by_cell.setdefault(cell, []).append(code)
    source = nbformat.read(ROOT / f"solutions/{request.param}/{request.param}.ipynb", as_version=4)
    source.cells = [cell for cell in source.cells if "BEGIN SOLUTION" not in cell.source]
    without = given_hashes(given({"x.ipynb": source}))
    most = max(map(len, by_cell.values()))
    codes = ["\n\n".join(found[i] for found in by_cell.values() if i < len(found)) for i in range(most)]
    prints = [fingerprint(Work(str(i), CLASS, code), without) for i, code in enumerate(codes)]
    return request.param, [one for one in prints if one.enough], without


def test_every_mutated_copy_is_found_and_no_honest_pair(honest, monkeypatch):
    project, prints, without = honest
    assert len(prints) >= 5
    least, most, pairs = 1.0, 0.0, list(itertools.combinations(prints, 2))
    for seed, one in enumerate(prints):
        copy = fingerprint(Work("copy", CLASS, mutated(one.work.code, seed)), without)
        (pair,) = compare(one, [copy], THRESHOLD)
        least = min(least, pair.share)
    for one, other in pairs:
        assert compare(one, [other], THRESHOLD) == []
        with monkeypatch.context() as patch:
            patch.setattr("classroom.similarity.passages.LEAST", 1)  # however little it is, for the table
            most = max([most, *(pair.share for pair in compare(one, [other], 0.0))])
    assert least > 0.6
    page = (ROOT / "book/teach/similarity.md").read_text()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    column = next(row for row in table if row[0] == "of the bank of").index(project)
    said = {row[0]: float(row[column].rstrip("%")) for row in table if row[0] in SAID}
    assert [said[row] for row in SAID[:2]] == [len(pairs), len(prints)]
    assert "within three points of these" in page
    assert [said[row] for row in SAID[2:]] == [pytest.approx(100 * share, abs=3) for share in (most, least)]


def test_the_lines_in_common():
    one = fingerprint(Work("a", CLASS, ADA), given_hashes(""))
    other = fingerprint(Work("b", CLASS, CLEO + ADA.split("\n\n\n")[1]), given_hashes(""))
    lines = ADA.splitlines()
    marked = [lines[place].strip() for place in sorted(shared_lines(one, other))]
    assert "wrong = [value for value, answer in pairs if double(value) != answer]" in marked
    assert "total = 0" not in marked
    assert shared_lines(one, fingerprint(Work("c", CLASS, "x = 1"), given_hashes(""))) == set()


@pytest.fixture
def folder(tiny, tmp_path) -> Folder:
    tiny.hand_in("ada", "tiny", ADA)
    tiny.hand_in("bob", "tiny", mutated(ADA, 1))
    tiny.hand_in("cleo", "tiny", CLEO)
    tiny.hand_in("dora", "tiny", "def double(x):\n    return x + x")
    tiny.hand_in("eve", "tiny", ADA).write_text("{}")
    tiny.hand_in("fay", "tiny", f"{ADA}\ntext = '</pre><script>alert(1)</script>\u202e'")
    return Folder(tiny.root)


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.found.append((tag, dict(attributes)))


def test_a_class(folder):
    said: list[str] = []
    report = similarity(folder, "tiny", said.append, names=True)
    pairs = [{pair["first"], pair["second"]} for pair in report["pairs"] if pair["kind"] == "class"]
    assert sorted(map(sorted, pairs)) == [["ada", "bob"], ["ada", "fay"], ["bob", "fay"]]
    assert (report["compared"], report["short"], report["nothing"]) == (4, ["dora"], [])
    assert list(report["skipped"]) == ["eve"]
    assert any("evidence to look at, no verdict" in line for line in said)
    assert similarity(folder, "tiny", said.append, names=True) == report
    high = similarity(folder, "tiny", said.append, names=True, threshold=0.99)
    assert all(pair["share"] >= 0.99 for pair in high["pairs"])


def test_a_solution_that_went_round_is_not_silence(tiny):
    most = [f"s{number:02}" for number in range(12)]
    for student in most:
        tiny.hand_in(student, "tiny", ADA)
    tiny.hand_in("cleo", "tiny", CLEO)
    said: list[str] = []
    report = similarity(Folder(tiny.root), "tiny", said.append, names=True)
    assert (report["pairs"], report["compared"], report["alike"]) == ([], 1, most)
    assert any(line.startswith("not compared, since nearly all") and "s00, s01" in line for line in said)
    assert "a solution may have gone round" in Path(report["file"]).read_text()
    hidden = similarity(Folder(tiny.root), "tiny", said.append)
    assert hidden["alike"] == sorted(hidden["alike"]), "in an order that says nothing of the names"


def test_a_release_of_an_older_format(folder):
    """As nbgrader's own quickstart course has it: cells without ids."""
    path = folder.path("release", "tiny") / "tiny.ipynb"
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        del cell["id"]
    path.chmod(0o644)
    path.write_text(json.dumps(notebook | {"nbformat_minor": 4}))
    assert len(similarity(folder, "tiny", lambda text: None)["pairs"]) == 3


def test_the_page_has_no_names_and_nothing_active(folder):
    report = similarity(folder, "tiny", lambda text: None)
    text = Path(report["file"]).read_text()
    assert not re.search(r"\b(ada|bob|cleo|dora|eve|fay)\b", text)
    assert len(set(re.findall(r"p-[a-z2-7]{4}-[a-z2-7]{4}", text))) == 5
    tags = Tags(text).found
    assert not {"script", "img", "link", "iframe", "form"} & {tag for tag, _ in tags}
    assert not [name for _, given in tags for name in given if name.startswith("on") or name == "src"]
    policy = next(given["content"] for tag, given in tags if given.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "&lt;/pre&gt;&lt;script&gt;" in text
    assert "\u202e" not in text
    assert "not a verdict" in text
    anchors = {given["id"] for _, given in tags if "id" in given}
    assert {given["href"][1:] for tag, given in tags if tag == "a"} <= anchors
    assert [tag for tag, given in tags if tag == "mark"]


def test_other_terms_and_the_official_answers(folder, tmp_path):
    past = tmp_path / "spring-2025"
    (past / "zoe" / "tiny").mkdir(parents=True)
    notebook = folder.path("submitted", "tiny", "cleo") / "tiny.ipynb"
    (past / "zoe" / "tiny" / "renamed.ipynb").write_bytes(notebook.read_bytes())
    (past / "yan" / "tiny").mkdir(parents=True)
    report = similarity(folder, "tiny", lambda text: None, past=[past], names=True)
    found = [pair for pair in report["pairs"] if pair["kind"] == "past"]
    assert [(pair["first"], pair["second"], pair["share"]) for pair in found] == [("cleo", "zoe (in spring-2025)", 1.0)]
    assert report["skipped"]["yan (in spring-2025)"] == "no tiny.ipynb"
    source = folder.path("source", "tiny") / "tiny.ipynb"
    changed = nbformat.read(source, as_version=4)
    changed.cells[0].source = f"### BEGIN SOLUTION\n{CLEO}\n### END SOLUTION"
    nbformat.write(changed, source)
    report = similarity(folder, "tiny", lambda text: None, names=True)
    assert [(pair["first"], pair["kind"]) for pair in report["pairs"] if pair["kind"] != "class"] == [
        ("cleo", "solution")
    ]


def other_term(folder, place: Path, *students: str) -> Path:
    for student in students:
        (place / student / "tiny").mkdir(parents=True)
        work = folder.path("submitted", "tiny", "cleo") / "tiny.ipynb"
        (place / student / "tiny" / "tiny.ipynb").write_bytes(work.read_bytes())
    return place


def test_terms_are_called_by_what_tells_them_apart(folder, tmp_path):
    past = [other_term(folder, tmp_path / term / "course" / "submitted", "zoe") for term in ("2024", "2025")]
    for place in past:
        (place / "yan" / "tiny").mkdir(parents=True)
    said: list[str] = []
    report = similarity(folder, "tiny", said.append, past=past, names=True)
    assert [pair["second"] for pair in report["pairs"] if pair["kind"] == "past"] == ["zoe (in 2024)", "zoe (in 2025)"]
    assert {who for who in report["skipped"] if "yan" in who} == {"yan (in 2024)", "yan (in 2025)"}
    assert report["past"] == {"2024": 1, "2025": 1}
    assert {"2024: 1 work read", "2025: 1 work read"} <= set(said)
    deep = other_term(folder, tmp_path / "2025" / "evening" / "submitted", "zoe")
    report = similarity(folder, "tiny", said.append, past=[past[1], deep], names=True)
    assert list(report["past"]) == ["2025/course", "evening"]


def test_what_is_no_other_terms_work_is_refused(folder, tmp_path):
    past = other_term(folder, tmp_path / "spring" / "course" / "submitted", "zoe")
    before = sorted(folder.home.rglob("*"))
    for place, message in (
        (
            past.parents[1],
            r"nobody's tiny is in it; expected .*/tiny/ in it; did you mean .*/course/submitted\?",
        ),
        (past.parents[0], r"nobody's tiny is in it; .* did you mean .*/submitted\?"),
        (past / "zoe", "nobody's tiny is in it"),
        (folder.home / "submitted", "that is this class's own"),
        (folder.home / ".." / "course" / "submitted", "that is this class's own"),
    ):
        with pytest.raises(ClassroomError, match=message):
            similarity(folder, "tiny", print, past=[place])
    with pytest.raises(ClassroomError, match="named twice"):
        similarity(folder, "tiny", print, past=[past, past.parent / "." / "submitted"])
    assert sorted(folder.home.rglob("*")) == before


def test_what_is_missing_is_said(folder, tmp_path):
    with pytest.raises(ClassroomError, match=r"--past .*: there is no such folder"):
        similarity(folder, "tiny", print, past=[tmp_path / "nowhere"])
    with pytest.raises(ClassroomError, match="there is no folder"):
        similarity(folder, "tiny", print, out=tmp_path / "nowhere" / "x.html")
    with pytest.raises(ClassroomError, match="no project 'tinny'"):
        similarity(folder, "tinny", print)
