"""Ways to run a list of cells, for comparison: nbgrader's own autograder, and forks of a warm shell in no sandbox."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from classroom.inside.shell import INLINE
from classroom.sandbox.policy import Limits
from classroom.session import StreamSession, Usage

# A process of its own, since nbgrader's imports warn, and since what steers a kernel are the variables around it.
_STOCK = """
import json, sys
import nbformat
from nbgrader.preprocessors import Execute
given = json.load(sys.stdin)
notebook = nbformat.from_dict(given["notebook"])
Execute(timeout=given["seconds"]).preprocess(notebook, {"metadata": {"path": given["folder"]}})
json.dump(notebook, open("done.json", "w"))
"""

# As the sandbox's template does it: the shell first, then the imports, a fork for each descriptor.
_WARM = """
import os, socket, sys
from classroom.inside.shell import Shell
shell = Shell()
import matplotlib.pyplot, numpy, torch, deeppractice
shell.warm_up()
print(len(os.listdir("/proc/self/task")), flush=True)
descriptors = [int(word) for word in sys.argv[1:]]
while descriptors:
    descriptor = descriptors.pop()
    if os.fork() == 0:
        for other in descriptors:
            os.close(other)
        shell.start()
        shell.reseed()
        shell.serve(socket.socket(fileno=descriptor))
        os._exit(0)
    os.close(descriptor)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


def environment(home: Path) -> dict[str, str]:
    """Variables under which a kernel and a shell behave as on an instructor's machine."""
    # With pytest's variable a kernel would not capture descriptors.
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"} | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "MPLBACKEND": INLINE,
        "NBGRADER_EXECUTION": "autograde",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONWARNINGS": "",
        "SHELL": "/bin/sh",
    }


def stock(notebook: dict, home: Path, seconds: int = 30) -> dict:
    """A notebook after nbgrader's Execute, with a kernel as stock grading has it."""
    given = json.dumps({"notebook": notebook, "folder": str(home), "seconds": seconds})
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _STOCK],
        input=given,
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((home / "done.json").read_text())


class WarmForks:
    """A warm process and sessions in forks of it."""

    def __init__(self, home: Path, count: int, limits: Limits | None = None) -> None:
        pairs = [socket.socketpair() for _ in range(count)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WARM, *(str(its.fileno()) for _, its in pairs)],
            pass_fds=[its.fileno() for _, its in pairs],
            env=environment(home),
            cwd=home,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _, its in pairs:
            its.close()
        self.threads_before_the_fork = int(self.process.stdout.readline())
        limits = limits or Limits()
        self.sessions = [StreamSession(ours, limits, end=Usage, why=lambda: "exit") for ours, _ in pairs]

    def close(self) -> None:
        for session in self.sessions:
            session.close()
        self.process.wait(30)
        self.process.stdout.close()


def comparable(outputs: list[dict]) -> list[dict]:
    """Outputs without what differs from run to run, and with streams merged, which a kernel sends in pieces."""
    merged: list[dict] = []
    streams: dict[str, dict] = {}  # since the last output of another kind
    for output in json.loads(json.dumps(outputs)):
        if output["output_type"] != "stream":
            streams = {}
        elif output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
            continue
        else:
            before_stderr = output["name"] == "stdout" and "stderr" in streams
            streams[output["name"]] = output
            merged.insert(len(merged) - before_stderr, output)
            continue
        if output["output_type"] == "error":
            # Frames of the machinery below a cell are another's.
            frames = [frame for frame in output["traceback"] if not re.search("ipykernel/|classroom/inside", frame)]
            output["traceback"] = frames
            if output["ename"] == "NoneType":  # nbgrader: an error while a result was displayed, a second time
                continue
        merged.append(output)
    text = json.dumps(merged)
    for pattern, new in (
        (r"ipykernel_\d+/\d+\.py", "CELL"),
        (r"\d+\.py, line", "CELL, line"),
        (r"0x[0-9a-f]+", "0x"),
        (r'(model_id": ")\w+', r"\1"),
        (r"arguments: -f [^\\]*", "arguments"),
        (r"Thread-\d+", "Thread-1"),
        (r"CPU times: .*?Wall time: .*?\\n", "times"),
        (r"/tmp/[\w/.-]*", "/tmp/FOLDER"),
    ):
        text = re.sub(pattern, new, text)
    return json.loads(text)
