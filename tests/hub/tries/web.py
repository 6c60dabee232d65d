"""What is tried over HTTP: the hub, other people's servers, formgrader, the exchange; and the network."""

import json
import os
import socket

import requests
from register import FACTS, OPEN, OWN, attempt

COURSE, ASSIGNMENT = FACTS.get("course_id", ""), "checkpoint-01"


def ask(method: str, url: str, token: str | None = "own", **what) -> str:
    """A server's answer, if it is not an error, a refusal or the page that asks who one is."""
    headers = {"Authorization": f"token {FACTS['token'] if token == 'own' else token}"} if token else {}
    answer = requests.request(method, url, headers=headers, timeout=20, allow_redirects=False, **what)
    if answer.status_code >= 300:
        raise PermissionError(f"HTTP {answer.status_code}")
    return answer.text


def hub(method: str, path: str, **what) -> str:
    return ask(method, f"{FACTS['url']}/hub/api/{path}", **what)


def exchange(method: str, path: str, token: str | None = None, **what) -> str:
    """With the token of one's own server, which the hub lets in."""
    mine = os.environ["JUPYTERHUB_API_TOKEN"] if token is None else token
    url = f"{os.environ['NGSHARE_URL']}{path}"
    text = ask(method, url, token=mine or None, **what)
    if json.loads(text).get("success") is not True:
        raise PermissionError(text[:80])
    return text


# ---------------------------------------------------------------- one's own
@attempt("open one's own server by its address", OWN)
def _() -> str:
    return ask("GET", f"{FACTS['url']}/user/{FACTS['me']}/api/contents")


@attempt("see oneself in the hub's list of users", OWN)
def _() -> str:
    return hub("GET", f"users/{FACTS['me']}")


@attempt("fetch a released assignment from the exchange", OWN)
def _() -> str:
    return exchange("GET", f"assignment/{COURSE}/{ASSIGNMENT}")


@attempt("list one's own submissions in the exchange", OWN)
def _() -> str:
    return exchange("GET", f"submissions/{COURSE}/{ASSIGNMENT}/{FACTS['me']}")


# ---------------------------------------------------------------- the hub, and others' servers
@attempt("open another student's server by its address")
def _() -> str:
    return ask("GET", f"{FACTS['url']}/user/{FACTS['other']}/api/contents")


@attempt("reach another student's server at its own port, with one's own token")
def _() -> str:
    return ask("GET", f"{FACTS['other_server']}api/contents")


@attempt("reach another student's server at its own port, without a token")
def _() -> str:
    return ask("GET", f"{FACTS['other_server']}api/contents", token=None)


for words, (method, path, more) in {
    "see other people in the hub's list of users": ("GET", "users/{other}", {}),
    "start another student's server": ("POST", "users/{other}/server", {}),
    "stop another student's server": ("DELETE", "users/{other}/server", {}),
    "make a token in another student's name": ("POST", "users/{other}/tokens", {"json": {}}),
    "list the hub's groups": ("GET", "groups", {}),
    "join the instructors' group": ("POST", "groups/formgrade-{course_id}/users", {"json": {"users": ["{me}"]}}),
    "become an administrator of the hub": ("PATCH", "users/{me}", {"json": {"admin": True}}),
    "stop the hub": ("POST", "shutdown", {"json": {}}),
    "list the proxy's routes, through the hub": ("GET", "proxy", {}),
}.items():

    @attempt(words)
    def _(method=method, path=path, more=more) -> str:
        text = json.dumps(more).replace("{me}", FACTS["me"])
        return hub(method, path.format(**FACTS), **json.loads(text))


@attempt("make a token that may do more than its owner")
def _() -> str:
    return hub("POST", f"users/{FACTS['me']}/tokens", json={"scopes": ["admin:users", "admin:servers"]})


@attempt("set the proxy's routes at its own port")
def _() -> str:
    text = ask("GET", f"http://127.0.0.1:{FACTS['proxy_api']}/api/routes", token=None)
    return text


@attempt("open formgrader, by its address")
def _() -> str:
    return ask("GET", f"{FACTS['url']}/services/{FACTS['course_id']}/formgrader")


for way, token in {"with one's own token": "own", "without a token": None}.items():
    for what, path in {"formgrader": "formgrader", "the grader's files": "api/contents"}.items():

        @attempt(f"reach {what} at the grader's own port, {way}")
        def _(token=token, path=path) -> str:
            return ask("GET", f"{FACTS['grader_server']}{path}", token=token)


@attempt("open a terminal as the grader")
def _() -> str:
    return ask("POST", f"{FACTS['grader_server']}api/terminals")


# ---------------------------------------------------------------- the exchange
for words, (method, path, fields) in {
    "list everybody's submissions in the exchange": ("GET", f"submissions/{COURSE}/{ASSIGNMENT}", {}),
    "list another student's submissions": ("GET", f"submissions/{COURSE}/{ASSIGNMENT}/{{other}}", {}),
    "fetch another student's submission": ("GET", f"submission/{COURSE}/{ASSIGNMENT}/{{other}}", {}),
    "fetch another student's feedback": (
        "GET",
        f"feedback/{COURSE}/{ASSIGNMENT}/{{other}}",
        {"timestamp": "{timestamp}", "list_only": "false"},
    ),
    "hand in in another student's name": (
        "POST",
        f"submission/{COURSE}/{ASSIGNMENT}/{{other}}",
        {"files": "[]", "user": "{other}"},
    ),
    "release an assignment": ("POST", f"assignment/{COURSE}/forged", {"files": "[]"}),
    "change a released assignment": ("POST", f"assignment/{COURSE}/{ASSIGNMENT}", {"files": "[]", "replace": "true"}),
    "give oneself feedback": ("POST", f"feedback/{COURSE}/{ASSIGNMENT}/{{me}}", {"files": "[]"}),
    "add oneself to the instructors": ("POST", f"instructor/{COURSE}/{{me}}", {}),
}.items():

    @attempt(words)
    def _(method=method, path=path, fields=fields) -> str:
        said = {key: value.format(**FACTS) if "{" in value else value for key, value in fields.items()}
        return exchange(method, path.format(**FACTS), **{"params" if method == "GET" else "data": said})


@attempt("read the exchange without a token")
def _() -> str:
    return exchange("GET", f"assignments/{COURSE}", token="")


@attempt("hand in as another student, by naming them in the request")
def _() -> str:
    before = exchange("GET", f"submissions/{COURSE}/{ASSIGNMENT}/{FACTS['me']}")
    exchange("POST", f"submission/{COURSE}/{ASSIGNMENT}", data={"files": "[]", "user": FACTS["other"]})
    after = exchange("GET", f"submissions/{COURSE}/{ASSIGNMENT}/{FACTS['me']}")
    if len(json.loads(after)["submissions"]) > len(json.loads(before)["submissions"]):
        raise PermissionError("it counts as one's own")
    return "handed in as another"


@attempt("connect to programs that others let listen on 127.0.0.1", OPEN)
def _() -> str:
    with socket.create_connection(("127.0.0.1", FACTS["listens"]), timeout=5):
        return "connected"


@attempt("connect to the network", OPEN)
def _() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: is there a way out of the machine?
        return "there is a way out"
