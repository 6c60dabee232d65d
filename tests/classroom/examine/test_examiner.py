"""The examiner: cells, names and checks as in a kernel; a student's process that dies, hangs, lies or sends garbage."""

import ast
import os
import socket
import time

import pytest

from classroom.inside.examine import wire

CHECKS = """from deeppractice.checks import check, score
with check("a", points=1):
    assert f(2) == 4
with check(
    "b", points=2, hint="look"
):
    assert f(3) == 10
score()"""


def test_checks_come_with_what_they_found_and_which_are_hidden(pair):
    pair.run("def f(x): return x * x")
    reply = pair.examine("\n\n" + CHECKS, ["f"], hidden=[[6, 10]])
    assert [(c["name"], c["points"], c["passed"], c["hidden"]) for c in reply["checks"]] == [
        ("a", 1, True, False),
        ("b", 2, False, True),
    ]
    assert reply["checks"][1]["hint"] == "look"
    assert reply["outputs"][-1]["data"]["text/plain"] == "1"
    assert reply["status"] == "ok"
    assert reply["id"] == 7
    again = pair.examine(CHECKS, ["f"])
    assert [c["hidden"] for c in again["checks"]] == [False, False]


def test_a_check_in_a_function_that_hidden_lines_call_is_hidden(pair):
    source = (
        'from deeppractice.checks import check\ndef once(n):\n    with check(n):\n        pass\nonce("a")\nonce("b")'
    )
    reply = pair.examine(source, hidden=[[6, 6]])
    assert [(c["name"], c["hidden"]) for c in reply["checks"]] == [("a", False), ("b", True)]


SEEING = """\
seen = []
def f(g):
    number, = [cell.cell_contents for cell in g.__closure__ if type(cell.cell_contents) is int]
    seen.append((g.__name__, number))
    return g(1)
"""


def test_a_function_of_a_tests_has_a_number_and_no_name_where_there_are_hidden_tests(pair):
    """Its place in memory would help to poke there, and its name may say what is tested."""
    pair.run(SEEING)
    source = "def told(x):\n    return x\nassert f(told) == 1\nassert f(told) == 1\nassert f(lambda x: 2) == 2"
    assert pair.examine(source, ["f"])["status"] == "ok"
    assert pair.examine(source, ["f"], hidden=[[5, 5]])["status"] == "ok"
    (shown,) = pair.run("seen")["outputs"]
    names = ["told", "told", "<lambda>", "function", "function", "function"]
    assert ast.literal_eval(shown["data"]["text/plain"]) == list(zip(names, [1, 1, 2, 3, 3, 4], strict=True))


def test_supplied_cells_run_once_and_their_stubs_do_not_hide_the_students_names(pair):
    pair.run("def f(x): return 'mine'\nk = 3")
    setup = [["setup", "def f(x): raise NotImplementedError\nfactor = 2"]]
    assert pair.examine("assert f(1) == 'mine' and factor == 2", ["f"], supplied=setup)["status"] == "ok"
    later = [["more", "def f(x): raise NotImplementedError\nk = 0"]]
    assert pair.examine("assert f(1) == 'mine' and k == 3", ["k"], supplied=later)["status"] == "ok"


def test_a_supplied_cell_that_fails_is_a_fault_of_ours(pair):
    reply = pair.examine("assert True", supplied=[["setup", "1 / 0"]])
    assert "setup" in reply["fault"]
    assert "ZeroDivisionError" in reply["fault"]


def test_a_missing_name_is_a_name_error_and_an_earlier_cells_name_stays(pair):
    pair.run("def f(): return 1")
    assert pair.examine("kept = f()", ["f"])["status"] == "ok"
    reply = pair.examine("assert kept == 1\ng()", ["g"])
    assert [out["ename"] for out in reply["outputs"]] == ["NameError"]
    pair.run("del f")
    assert pair.examine("f", ["f"])["status"] == "error"


def test_a_call_over_its_time_is_a_timeout_error_and_the_session_lives(pair):
    pair.run("def f():\n    while True: pass\ndef g(): return 1")
    reply = pair.examine("try:\n    f()\nexcept TimeoutError:\n    print(g())", ["f", "g"], call_seconds=0.5)
    assert (reply["status"], reply["student"]) == ("ok", "alive"), reply
    assert reply["outputs"][0]["text"] == "1\n"


def test_a_cells_limit_ends_a_call(pair):
    pair.run("import time\ndef f(): time.sleep(60)")
    began = time.monotonic()
    reply = pair.examine("for n in range(100):\n    try:\n        f()\n    except Exception: pass", ["f"], seconds=1)
    assert time.monotonic() - began < 30  # of a hundred minutes
    assert (reply["status"], reply["student"]) == ("timeout", "alive"), reply
    assert pair.run("print(1)")["status"] == "ok"


def test_a_student_that_ignores_the_interrupt_is_given_up(pair):
    pair.run(
        "import time\ndef f():\n    while True:\n        try: time.sleep(60)\n        except BaseException: pass\n"
        "def g(): return 1"
    )
    began = time.monotonic()
    reply = pair.examine("try:\n    f()\nexcept Exception:\n    print('no')", ["f", "g"], call_seconds=0.5)
    assert 9 < time.monotonic() - began < 20
    assert (reply["status"], reply["student"]) == ("error", "time")
    assert reply["outputs"][0]["ename"] == "StudentGone"


@pytest.mark.parametrize("how", ["import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_student_that_dies_earns_nothing(pair, how):
    pair.run(f"def f(): {how}")
    source = CHECKS.replace("f(2) == 4", "f() is None")
    reply = pair.examine(source, ["f"])
    assert reply["student"] == "crash"
    assert not any(check["passed"] for check in reply["checks"])
    reply = pair.examine(source, ["f"], lend=False, gone="it was over")
    assert not any(check["passed"] for check in reply["checks"])
    assert "it was over" in reply["checks"][0]["error"]


def _liar(answer):
    """A student's side that binds `f` as a function and answers a call with `answer(sock)`."""

    def student(sock: socket.socket) -> None:
        head = sock.recv(4, socket.MSG_WAITALL)
        sock.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
        wire.receive(sock)
        f = {"h": 1, "type": "function", "name": "f", "can": ["call"], "mro": [], "params": None}
        wire.send(sock, {"names": {"f": f}, "t": []})
        wire.receive(sock)
        answer(sock)
        while sock.recv(1 << 16):
            pass

    return student


def _nested(depth: int) -> bytes:
    return b'{"t":[],"v":' + b"[" * depth + b"]" * depth + b"}"


def _frame(text: bytes, blob: bytes = b"") -> bytes:
    return wire._HEAD.pack(len(text), len(blob)) + text + blob


def _part(dtype: str, shape: list, size: int, tag: str) -> bytes:
    text = '{"t":[{"dtype":"%s","shape":%s,"data_offsets":[0,%d]}],"v":{"%s":0}}' % (dtype, shape, size, tag)  # noqa: UP031
    return _frame(text.encode(), bytes(8))


GARBAGE = {
    "noise": os.urandom(4096),
    "a JSON text of a terabyte": wire._HEAD.pack(0xFFFFFFFF, 0),
    "data of an exabyte": wire._HEAD.pack(2, 1 << 60) + b"{}",
    "no object": _frame(b"[1]"),
    "no JSON": _frame(b"{nonsense}"),
    "deep JSON": _frame(_nested(100_000)),
    "deeper than a value": _frame(_nested(60)),
    "a million lists": _frame(b'{"t":[],"v":[' + b"[]," * 2_000_000 + b"[]]}"),
    "digits": _frame(b'{"t":[],"v":' + b"9" * 1_000_000 + b"}"),
    "NaN": _frame(b'{"t":[],"v":NaN}'),
    "an unknown tag": _frame(b'{"t":[],"v":{"pickle":"x"}}'),
    "a handle without claims": _frame(b'{"t":[],"v":{"h":3}}'),
    "a number for a list": _frame(b'{"t":3,"v":1}'),
    "a tensor beyond its data": _part("float32", [100], 400, "T"),
    "a tensor with a shape that does not fit": _part("float32", [3], 8, "T"),
    "a negative shape": _part("float32", [-1, -2], 8, "T"),
    "an unknown dtype": _part("load", [2], 8, "T"),
    "an array of objects": _part("|O8", [1], 8, "A"),
    "a dtype in words": _part("i4,O", [1], 8, "A"),
    "an unhashable key": _frame(b'{"t":[],"v":{"d":[[[1]],[2]]}}'),
    "a named tuple with code": _frame(b'{"t":[],"v":{"nt":["x","y=1","z"]}}'),
    "a callback that is none": _frame(b'{"op":"callback","t":[],"v":[1]}'),
    "a callback to a number": _frame(b'{"op":"callback","t":[],"v":["x",[],{"d":[[],[]]}]}'),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_the_session_and_never_the_examiner(start, name):
    source = "try:\n    f()\nexcept Exception:\n    print('taken for an answer')"
    with start(_liar(lambda sock: sock.sendall(GARBAGE[name]))) as pair:
        reply = pair.examine(source, ["f"], call_seconds=1)
        assert reply["student"] in ("broken", "time"), reply
        assert reply["outputs"][0]["ename"] == "StudentGone"
        assert pair.examine("print(1 + 1)", lend=False)["outputs"][0]["text"] == "2\n"


def test_endless_callbacks_are_bounded_by_the_calls_limit(pair):
    pair.run("def f(g):\n    while True:\n        try: g(1)\n        except BaseException: pass")
    began = time.monotonic()
    reply = pair.examine("f(lambda x: x)", ["f"], call_seconds=0.5)
    assert time.monotonic() - began < 20
    assert reply["student"] == "time"


def test_reentrant_callbacks_are_bounded_in_depth(pair):
    pair.run("def f(g): return g(g)")
    reply = pair.examine("def again(g):\n    return f(again)\nf(again)", ["f"], call_seconds=5)
    assert reply["student"] in ("broken", "alive")
    assert reply["status"] == "error"


@pytest.mark.parametrize(("made", "memory"), [("torch.zeros(25_000_000)", 600), ("list(range(300_000))", 150)])
def test_values_that_fill_the_examiner_end_the_student_and_not_it(pair, made, memory):
    pair.run(f"import torch\ndef f(): return {made}")
    assert pair.examine("for _ in range(9):\n    f()", ["f"], memory_mb=memory)["student"] == "alive"  # one at a time
    reply = pair.examine("kept = []\nfor _ in range(99):\n    kept.append(f())", ["f"], memory_mb=memory)
    assert reply["student"] == "memory"
    assert "still in use" in reply["outputs"][0]["evalue"]
    assert pair.examine("print(len(kept) > 2)", lend=False)["outputs"][0]["text"] == "True\n"


def test_output_of_calls_is_capped_as_a_cells(pair):
    pair.run("def f():\n    print('x' * 3_000_000)")
    reply = pair.examine("f()", ["f"])
    assert reply["status"] == "ok"
    assert 900_000 < sum(len(out["text"]) for out in reply["said"]) < 1_100_000


def test_no_code_of_the_students_runs_in_the_examiner(pair, tmp_path):
    place = tmp_path / "pid"
    pair.run(
        "import os\nclass E(int):\n"
        f"    def __eq__(self, other): open({str(place)!r}, 'a').write(f'{{os.getpid()}}\\n'); return True\n"
        "    __hash__ = int.__hash__\n    __reduce__ = __format__ = __str__ = __repr__ = __eq__\n"
        "x = E(3)\ndef f(): return [E(1), {E(2): E(5)}]\npid = os.getpid()"
    )
    reply = pair.examine(
        "assert type(x) is int and x == 3 and not x == 4\nassert f() == [1, {2: 5}]\nprint(f'{x}', f())", ["x", "f"]
    )
    assert reply["status"] == "ok", reply
    if place.exists():
        assert set(place.read_text().split()) == {pair.run("print(pid)")["outputs"][0]["text"].strip()}
