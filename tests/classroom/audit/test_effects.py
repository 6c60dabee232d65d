"""What an attack does is seen: each is run here without a sandbox, where it succeeds, and the watch has to say so.

In order: a listener reached, a file with a secret read, a line of the hidden tests found in memory, a file written, a
process left behind; then nothing done, nothing said; a submission that ran too long.
"""

import os
import re
import signal
import subprocess
import sys

import nbformat
import pytest

from classroom.audit import effects, reaching, sources
from classroom.audit.attacks import QUICK, attacks
from classroom.audit.effects import laid, overdue
from classroom.folder import Folder
from classroom.rebuild import master
from classroom.sandbox import baits


@pytest.fixture
def watched(tiny):
    """The bait of a small class, and its watch."""
    folder = Folder(tiny.root)
    released = nbformat.read(tiny.root / "assignments" / "tiny" / "tiny.ipynb", as_version=4)
    with laid(folder, master(folder, "tiny"), {"tiny.ipynb": released}, folder.home) as (bait, watch):
        yield bait, watch


def run(bait, code, before=""):
    """Run an attack as a program of this machine, looking at its own process only; a result with what it printed."""
    text = before + bait.fill(code).replace("/proc/[0-9]*", "/proc/self").replace("/proc/*", "/proc/self")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, cwd="/")
    assert "Traceback" not in done.stderr, done.stderr
    output = {"output_type": "stream", "name": "stdout", "text": done.stdout}
    notebook = {"cells": [{"cell_type": "code", "id": "own-1", "source": text, "outputs": [output]}]}
    return {"notebooks": {"tiny.ipynb": notebook}, "cells": {"tiny.ipynb": [{"id": "own-1", "grade_id": None}]}}


def test_a_connection_is_seen(watched):
    bait, watch = watched
    assert watch.outside() == []
    # Without a sandbox, so nothing beyond this machine is asked for anything.
    here = reaching.NETWORK.replace("192.0.2.1", "127.0.0.2").replace("169.254.169.254", "127.0.0.3")
    here = here.replace("example.org", "localhost")
    assert {address.split(".")[0] for address in re.findall(r"\d+\.\d+\.\d+\.\d+", here)} == {"127"}
    assert re.findall(r"[\w-]+\.(?:org|com|net)", here) == []
    run(bait, here)
    assert watch.outside() == [
        "TCP on this machine was reached",
        "an abstract socket of this machine was reached",
        "UDP on this machine was reached",
    ]


def test_a_secret_and_the_gradebook_in_an_output_are_seen(watched):
    bait, watch = watched
    found = watch.said(run(bait, reaching.READ))
    assert "it read a file with a secret" in found
    assert f"it read {bait.home}/gradebook.db" in found, "that of this class, not any that lies about"


def test_a_hidden_line_in_memory_is_seen_and_the_search_is_known_to_work(watched):
    bait, watch = watched
    assert bait.needles == [(b"assert", b" double(-1) == -2")]
    record = run(bait, reaching.SEARCH)
    assert watch.searched(record)
    assert watch.said(record) == []
    leaked = "leak = ''.join(['assert dou', 'ble(-1) ', '== -2']) * 2\n"
    assert watch.said(run(bait, reaching.SEARCH, leaked)) == [
        "it found a line of the hidden tests: assert double(-1) == -2"
    ]
    assert not watch.searched(run(bait, "print('no search')"))


def test_the_search_does_not_take_what_stands_before_its_own_words_for_a_line(watched):
    # Python keeps a hash before each constant of the search; any given letter is the last byte of four in 1,000.
    bait, watch = watched
    bait.needles = [effects._apart(f"answer, state = cell(inputs, {number})") for number in range(1000)]
    record = run(bait, reaching.SEARCH)
    assert watch.searched(record)
    assert watch.said(record) == []


def test_a_file_is_seen(watched):
    bait, watch = watched
    (bait.root / bait.witness).write_text("here")
    (bait.root / "usercustomize.py").write_text("somebody else's")
    assert watch.outside() == [f"it wrote {bait.root / bait.witness}"]


def test_a_process_left_behind_is_seen(watched):
    bait, watch = watched
    run(bait, reaching.DAEMON)
    left = baits.marked(bait.mark)
    try:
        assert len(left) >= 3
        (said,) = watch.outside()
        assert "of its processes are still running" in said
    finally:
        for pid in left:
            os.killpg(os.getpgid(pid), signal.SIGKILL)


def test_the_examiners_own_outputs_are_not_the_submissions(watched):
    bait, watch = watched
    record = run(bait, f"print({bait.secret!r})")
    assert watch.said(record) == ["it read a file with a secret"]
    record["cells"]["tiny.ipynb"][0]["by"] = "examiner"
    assert watch.said(record) == []
    record["cells"]["tiny.ipynb"][0]["said"] = bait.secret
    assert watch.said(record) == ["it read a file with a secret"]


def test_no_text_of_an_attack_holds_what_it_is_to_find(watched):
    bait, _ = watched
    for name, code in {**vars(sources), **vars(reaching)}.items():
        if name.isupper() and isinstance(code, str):
            text = bait.fill(code)
            assert "@" not in text.replace("@property", ""), name
            assert bait.secret not in text
            assert "assert double(-1) == -2" not in text
            compile(text if name != "FRAMES" else "def f():\n " + text.replace("\n", "\n "), name, "exec")


def test_a_submission_that_ran_too_long():
    assert overdue({"seconds": 21}, 20) == []
    assert overdue({"seconds": 120}, 20) == ["it ran 120 s where 20 s are allowed"]


def test_the_attacks_are_named_once_and_their_bases_are_among_them():
    everything = attacks()
    assert len({attack.student for attack in everything}) == len(everything) >= 45
    for chosen in (everything, attacks(quick=True)):
        names = {attack.name for attack in chosen}
        assert {attack.base for attack in chosen} - {""} <= names, "what its answers earn alone is not known"
    assert len(attacks(quick=True)) == len(QUICK)
