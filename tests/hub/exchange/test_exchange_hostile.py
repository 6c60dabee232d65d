"""What people try who want more than is theirs, and what the exchange refuses to store or to read."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from classroom.hub.exchange.server import unpack

COURSE = "test-course"


def test_nobody_reads_or_writes_for_another(people, project):
    """The service goes by the token: whatever else a request says, it is from whom the hub says."""
    ann, eve, teacher = people["ann"], people["eve"], people["teacher"]
    ann.step("FetchAssignment", project)
    ann.step("Submit", project)
    when = ann.listed(project, cached=True)[0]["submissions"][0]["timestamp"]
    mine = f"{COURSE}/{project}"
    for method, path in [
        ("GET", f"submission/{mine}/ann"),
        ("GET", f"submissions/{mine}/ann"),
        ("GET", f"submissions/{mine}"),
        ("GET", f"feedback/{mine}/ann?timestamp={when}"),
        ("POST", f"feedback/{mine}/ann?timestamp={when}"),
        ("POST", f"assignment/{mine}"),
        ("POST", f"assignment/{mine}?replace=true"),
    ]:
        answer = eve.raw(method, path, data={"files": "[]", "timestamp": when} if method == "POST" else None)
        assert answer.status_code == 403, (method, path, answer.text)
    assert eve.raw("DELETE", f"assignment/{mine}").status_code == 405
    assert teacher.raw("DELETE", f"assignment/{mine}").status_code == 405
    assert eve.told("List", settings={"cached": True}, JUPYTERHUB_USER="ann").startswith("ann is no member")
    for path in ("", "course/other", f"instructor/{COURSE}/eve", f"student/{COURSE}/eve", "initialize-Data6ase", "x"):
        assert {eve.raw(method, path).status_code for method in ("GET", "POST")} == {404}, path

    answer = eve.send(f"{project}?student_id=ann&user=ann", {f"{project}.ipynb": b"{}"})
    assert answer.status_code == 200
    sent = teacher.raw("GET", f"submissions/{mine}").json()["submissions"]
    assert [one["student_id"] for one in sent] == ["ann", "eve"]


def test_no_other_token_is_taken(people, project, hub):
    """Neither none, nor a cookie, nor one that its owner gave away for something else."""
    ann, stranger = people["ann"], people["stranger"]
    path, url = f"assignments/{COURSE}", f"{hub.exchange}assignments/{COURSE}"
    assert ann.raw("GET", path, headers={}).status_code == 401
    token = ann.variables["JUPYTERHUB_API_TOKEN"]
    for kind in ("ngshare-oauth-token", "jupyterhub-services"):
        assert requests.get(url, cookies={kind: token}, timeout=60).status_code == 401
    assert requests.get(url, params={"token": token}, timeout=60).status_code == 401
    assert ann.raw("GET", path, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    small = hub.ask("POST", "users/ann/tokens", json={"scopes": ["read:users:name!user=ann"]}).json()["token"]
    answer = ann.raw("GET", path, headers={"Authorization": f"token {small}"})
    assert (answer.status_code, answer.json()["message"]) == (403, "this token gives no access to the exchange")
    assert stranger.raw("GET", path).status_code == 403
    address = hub.exchange.split("/")[2].split(":")
    listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True).stdout
    assert f"127.0.0.1:{address[1]}" in listening
    assert f"0.0.0.0:{address[1]}" not in listening
    mine = f"submissions/{COURSE}/{project}"
    grading = {"Authorization": "token the-token-of-a-service-that-grades"}
    assert ann.raw("GET", mine, headers=grading).json() == {"success": True, "submissions": []}
    assert ann.raw("GET", f"submissions/other/{project}", headers=grading).status_code == 404


# What the service does not store.


def stored(hub) -> int:
    return sum(path.stat().st_size for path in (hub.place / "ngshare").rglob("*") if path.is_file())


def test_what_is_not_stored(people, project, hub):
    """Names that lead elsewhere, that no file has, what is no list of files, what is too much."""
    eve = people["eve"]
    before = stored(hub)
    bad = ["../x.ipynb", "/etc/x", "a/../../x", "", ".", "a\\b", "a\0b", "a\nb", "x" * 10_000, "\u202eb"]
    for name in bad:
        answer = eve.send(project, {name: b"{}"})
        assert answer.status_code == 400, (name[:20], answer.text)
    for files in ([{}], [1], [{"path": "x"}], [{"path": 1, "content": ""}], [{"path": "x", "content": "a"}], "x", None):
        answer = eve.send(project, files)
        assert (answer.status_code, answer.json()["success"]) == (400, False), files
    assert eve.raw("POST", f"submission/{COURSE}/{project}", data={"files": "no"}).status_code == 400
    assert eve.raw("POST", f"submission/{COURSE}/{project}").status_code == 400
    assert eve.send(project, [{"path": "x", "content": ""}] * 2).status_code == 400
    assert eve.send(project, {str(number): b"" for number in range(201)}).status_code == 413
    assert eve.send("y" * 10_000, {"x": b""}).status_code == 404
    assert eve.listed(project, cached=True) == []
    assert stored(hub) < before + 200_000


@pytest.mark.parametrize("way", ["direct", "through the proxy"])
def test_a_gigabyte(people, project, hub, way):
    """It is refused before it is there: nothing of it is stored, and the service answers others meanwhile."""
    eve, before = people["eve"], stored(hub)
    base = hub.exchange if way == "direct" else hub.public

    def body() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1_000_000

    for length in ({"Content-Length": str(10**9)}, {}):  # announced; in pieces, with no end in sight
        headers = {"Authorization": f"token {eve.variables['JUPYTERHUB_API_TOKEN']}"} | length
        start = time.monotonic()
        try:
            answer = requests.post(f"{base}submission/{COURSE}/{project}", headers=headers, data=body(), timeout=60)
            assert answer.status_code in (400, 413, 502, 503), answer.status_code
        except requests.ConnectionError:
            pass  # it hung up
        assert time.monotonic() - start < 30
    assert len(people["ann"].listed(project)) == 1
    assert eve.listed(project, cached=True) == []
    assert stored(hub) < before + 200_000


@pytest.mark.full
def test_a_hundred_submissions_and_no_more(people, project):
    """Twenty at a time, all kept; then it is enough."""
    people["bob"].step("FetchAssignment", project)
    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda _: people["eve"].send(project, {"x.ipynb": b""}).status_code, range(105)))
    assert (done.count(200), done.count(429)) == (100, 5)
    assert len(people["eve"].listed(project, cached=True)[0]["submissions"]) == 100
    people["bob"].step("Submit", project)  # the others are as free as before


# Files.


def test_what_intake_makes_of_it(people, released):
    """A submission by other means than ours: what is not asked for is refused by name, and no time of theirs counts."""
    eve, teacher = people["eve"], people["teacher"]
    good = (teacher.home / "assignments" / released / f"{released}.ipynb").read_bytes()
    more = {"timestamp.txt": b"2001-01-01 00:00:00 UTC", "course/gradebook.db": b"", "x" * 500: b""}
    assert eve.send(released, {f"{released}.ipynb": good} | more).status_code == 200
    assert teacher.take_in(released)["collected"] == ["eve"]
    assert teacher.submitted(released, "eve") == good
    place = teacher.home / "course" / "submitted" / "eve" / released
    assert {path.name for path in place.iterdir()} == {f"{released}.ipynb", "timestamp.txt"}
    assert not (place / "timestamp.txt").read_text().startswith("2001")
    assert "course/gradebook.db: not part of the project" in teacher.refusals(released, "eve")

    time.sleep(1)  # what came later is told by the second
    assert eve.send(released, {f"{released}.ipynb": b"no notebook"}).status_code == 200
    report = teacher.take_in(released)
    assert report["unchanged"] == ["eve"]
    assert teacher.submitted(released, "eve") == good
    assert "no notebook" in teacher.refusals(released, "eve")

    bob = people["bob"]
    assert bob.send(released, {f"{released}.ipynb": b"{"}).status_code == 200
    assert teacher.take_in(released)["refused"]
    teacher.classroom("feedback", released, "--release")
    bob.step("FetchFeedback", released)
    [page] = bob.home.rglob("*.html")
    assert page.name == "not-graded.html"
    page = teacher.home / "course" / "feedback" / "bob" / released / page.name
    page.write_text("<script>alert()</script>")  # by whoever may write there
    teacher.step("ReleaseFeedback", released)
    bob.step("FetchFeedback", released)
    assert "script" not in "".join(path.read_text() for path in bob.home.rglob("*.html"))


def test_an_answer_that_leads_elsewhere():
    """Whatever the service sends: no path of it leaves the folder."""
    names = ["../x", "/x", "a/../../x", "a//b", "", "x" * 600, "a\0b", "a\nb", "a\\..\\b"]
    files, refused = unpack({"files": [{"path": name, "content": ""} for name in [*names, "fine/x.ipynb"]]})
    assert list(files) == ["fine/x.ipynb"]
    assert len(refused) == len(names)
    assert unpack({"files": [{"path": "x", "content": "a"}]})[1]


@pytest.mark.full
def test_who_leaves_the_course_is_out(people, released, hub):
    """After the half minute for which the service believes what the hub said; what they handed in stays."""
    eve, teacher = people["eve"], people["teacher"]
    good = (teacher.home / "assignments" / released / f"{released}.ipynb").read_bytes()
    assert eve.send(released, {f"{released}.ipynb": good}).status_code == 200
    members = f"groups/nbgrader-{COURSE}/users"
    assert hub.ask("DELETE", members, json={"users": ["eve"]}).ok
    try:
        hub.wait(lambda: eve.raw("GET", f"assignments/{COURSE}").status_code == 403)
        assert teacher.take_in(released)["collected"] == ["eve"]
    finally:
        assert hub.ask("POST", members, json={"users": ["eve"]}).ok
    hub.wait(lambda: eve.raw("GET", f"assignments/{COURSE}").status_code == 200)
