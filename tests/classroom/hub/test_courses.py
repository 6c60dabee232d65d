"""The list of courses that one teaches, as an instructor's server answers."""

import pytest
import requests

from classroom.hub.courses import taught
from classroom.hub.facts import VARIABLE, Told, packed

from .server import HEADERS, Server

AT = "https://hub.example.org/services/{}/formgrader"


def test_it_has_those_that_one_teaches_in_their_order():
    known = [Told("b", "B", formgrader=AT.format("b")), Told("c", "C"), Told("a", "A", formgrader=AT.format("a"))]
    assert [(one["course_id"], one["url"]) for one in taught(known)] == [(name, AT.format(name)) for name in "ab"]
    assert taught([]) == []


@pytest.mark.parametrize("told", [[Told("a", "A", formgrader=AT.format("a"))], None], ids=["told", "nothing"])
def test_the_server_answers_what_the_hub_told(tmp_path, told):
    environment = {} if told is None else {VARIABLE: packed(told)}
    server = Server(tmp_path, "instructor", tmp_path / "log", environment)
    try:
        server.wait()
        said = requests.get(f"{server.address}/formgraders", headers=HEADERS, timeout=90).json()
    finally:
        server.stop()
    assert said == {"success": True, "value": taught(told or [])}
