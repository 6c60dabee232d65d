"""benchmarks/hub.py: what follows from its figures, and a short run with two users at a real hub."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
STEP = {
    "users": 20, "start_median": 6.0, "open_median": 4.0, "open_p95": 5.0, "open_cpu_seconds_each": 0.5,
    "run_median": 30.0, "save_median": 0.1, "memory_mb_each": 400, "memory_mb_hub": 500,
}  # fmt: skip


def test_what_would_be_used_up_first(monkeypatch):
    machine = type("Memory", (), {"total": 8.5e9})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    found = runpy.run_path(str(BENCHMARKS / "hub.py"))["limits"]([STEP])
    assert found == {"by memory": 20, "by processors, all at once": 80}, "8 GB of 400 MB; 40 s of processors of 0.5 s"


def test_the_page_of_measurements_shows_the_steps():
    fit = {"by memory": 20, "by processors, all at once": 80}
    found = {"device": "four processors", "users_within_limit": 20, "ended": "20 users are the most that are tried"}
    lines = list(
        runpy.run_path(str(BENCHMARKS / "table.py"))["_hub"](found | {"users_that_would_fit": fit, "steps": [STEP]})
    )
    assert "20 users within the limit; memory would do for 20, processors for 80" in lines[0]
    assert lines[-1] == "| 20 | 6.00 | 4.00 | 5.00 | 30.00 | 0.10 | 0.50 | 400 |"


def test_the_guide_says_what_was_measured():
    measured = json.loads((BENCHMARKS / "hub-cpu.json").read_text(encoding="utf-8"))
    alone, all_of_them = measured["steps"][0], measured["steps"][-1]
    guide = (BENCHMARKS.parent / "book" / "teach" / "hub.md").read_text(encoding="utf-8")
    assert measured["device"].startswith("x86_64, 2 processors")
    words = f"{all_of_them['users']} users open a notebook within {all_of_them['open_median']:.1f} s"
    words += f" (the median; 95 % within {all_of_them['open_p95']:.1f} s)"
    words += f", where one alone waits {alone['open_median']:.1f} s; each takes"
    assert f"{words} {round(all_of_them['memory_mb_each'], -1)} MB" in guide
    assert f"take {all_of_them['run_cpu_seconds_each']:.0f} s of a processor each" in guide
    assert f"so {all_of_them['users']} at once wait {all_of_them['run_median']:.0f} s" in guide


@pytest.mark.full
def test_two_users_come_open_run_and_save(tmp_path):
    before = sorted(BENCHMARKS.iterdir())
    line = [sys.executable, str(BENCHMARKS / "hub.py"), "--users", "1,2", "--quick"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(line, capture_output=True, text=True, timeout=500, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, last = done.stdout.splitlines()
    found = dict(pair.rsplit(" ", 1) for pair in second.split(", "))
    assert first.startswith("users 1, ")
    assert found["users"] == "2"
    assert 0 < float(found["open_median"]) <= float(found["open_p95"])
    assert float(found["memory_mb_each"]) > 100, "two kernels with the library in them"
    assert last.startswith("2 users; 2 users are the most that are tried; would fit: ")
    assert list(tmp_path.iterdir()) == [], "its folder goes with it"
    assert sorted(BENCHMARKS.iterdir()) == before, "a quick run writes nothing"
