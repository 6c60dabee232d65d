"""What an attack could reach, laid out on this machine, and how it is told afterwards whether it was.

Listeners of four kinds that write down who calls; secrets in the environment, in files, in the official solutions, in
a neighbour's work and in hidden tests; a process to be killed; and a search for what was left behind. Attacks print
what they find, and name what they make after `witness`; so an effect is seen in what they put out, or on the machine,
and never in what they say of themselves.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from classroom.sandbox import baits

PREFIX = "canary-"


class Listeners:
    """Somebody who would answer: TCP, UDP, a Unix socket in a folder open to all, and an abstract one."""

    def __init__(self, place: Path, name: str) -> None:
        self.calls: list[str] = []
        self._tcp, self._udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        self._unix, self._abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self._tcp.bind(("", 0))
        self._udp.bind(("", 0))
        self.path, self.abstract = str(place / f"{name}.sock"), name
        self._unix.bind(self.path)
        os.chmod(self.path, 0o777)
        self._abstract.bind("\0" + name)
        self.tcp, self.udp = self._tcp.getsockname()[1], self._udp.getsockname()[1]
        for kind in ("tcp", "udp", "unix", "abstract"):
            threading.Thread(target=self._listen, args=(kind, getattr(self, f"_{kind}")), daemon=True).start()

    def _listen(self, kind: str, sock: socket.socket) -> None:
        if kind == "udp":
            with contextlib.suppress(OSError):
                while True:
                    data, _ = sock.recvfrom(2000)
                    self.calls.append(f"{kind}: {data[:100]!r}")
            return
        sock.listen()
        with contextlib.suppress(OSError):
            while True:
                caller, _ = sock.accept()
                caller.settimeout(2)
                with caller, contextlib.suppress(OSError):
                    self.calls.append(f"{kind}: {caller.recv(200)!r}")

    def close(self) -> None:
        """Stop listening."""
        for sock in (self._tcp, self._udp, self._unix, self._abstract):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


class World:
    """A machine with something to lose, around the course folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        token = secrets.token_hex(6)
        self.witness = f"witness-{token}"
        self.secrets = {kind: f"{PREFIX}{kind}-{token}" for kind in ("environment", "file", "solution", "neighbour")}
        self.open = Path(tempfile.mkdtemp(prefix="attacked-"))  # a folder on the host that everybody may enter
        self.open.chmod(0o777)
        (self.open / "canary").write_text(self.secrets["file"])
        self.listeners = Listeners(self.open, f"{PREFIX}{token}")
        self._before: dict[str, str] = {}

    def marks(self) -> dict[str, str]:
        """What stands in the attempts' files for places of this machine."""
        found = {"@TCP@": self.listeners.tcp, "@UDP@": self.listeners.udp, "@UNIX@": self.listeners.path}
        found |= {"@ABSTRACT@": self.listeners.abstract, "@WITNESS@": self.witness, "@ROOT@": self.root}
        found |= {"@OPEN@": self.open, "@HOST@": _address()}
        return {mark: str(text) for mark, text in found.items()}

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Watch over the files and the process; to be entered before anything is graded."""
        with baits.process(self.witness) as self.victim:
            self._before = self._hashes()
            yield

    def close(self) -> None:
        """Take everything away again."""
        self.listeners.close()
        shutil.rmtree(self.open)

    def effects(self) -> list[str]:
        """What has happened outside of the sandboxes."""
        found = [f"a listener was reached, {call}" for call in self.listeners.calls]
        found += [f"{name} is not what it was" for name, old in self._before.items() if self._hashes().get(name) != old]
        found += [f"{path} was left" for path in self._left()]
        found += ["a process of the host was ended"] if self.victim.poll() is not None else []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.witness in (process / "cmdline").read_text() and int(process.name) != self.victim.pid:
                    found.append(f"process {process.name} was left")
        return found

    def leaks(self, result: dict) -> list[str]:
        """Secrets in what a submission's own code has put out."""
        text = "\n".join(said_by(result))
        told = [kind for kind, secret in self.secrets.items() if secret in text]
        told += ["hidden tests"] if "hidden-canary-" in text else []
        secret = self.root / "course" / "secret"
        data = secret.read_bytes() if secret.is_file() else b"none yet"
        told += ["the class's secret"] if data.hex() in text or repr(data)[2:-1] in text else []
        return [f"{kind} was read" for kind in told]

    def _hashes(self) -> dict[str, str]:
        """Everything of the instructor's that grading does not write."""
        files = [self.open / "canary", *(self.root / name for name in ("course.yml", "nbgrader_config.py"))]
        for place in (self.root / "solutions", self.root / "course" / "release", self.root / "course" / "source"):
            files += [path for path in place.rglob("*") if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.exists()}

    def _left(self) -> list[str]:
        places = [self.root, Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]
        places += [Path(sysconfig.get_paths()["purelib"]), Path(__file__).resolve().parents[3], Path.cwd()]
        found = [path for place in places for path in place.glob(f"*{self.witness}*")]
        for place in (self.root, self.open):  # a sandbox's own folders under /tmp are gone by then
            found += place.rglob(f"*{self.witness}*")
        came_so = self.root / "inbound"
        return sorted({str(path) for path in found if not path.is_relative_to(came_so)})


def said_by(result: dict) -> list[str]:
    """The texts that a submission's own code has put out: of its cells, and of its functions while they were tested."""
    texts = []
    for name, notebook in result.get("notebooks", {}).items():
        records = {cell["id"]: cell for cell in result["cells"].get(name, [])}
        for cell in notebook["cells"]:
            record = records.get(cell.get("id"), {})
            if record.get("by") != "examiner":
                texts += _texts(cell.get("outputs", []))
            texts.append(str(record.get("said") or ""))
    return [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in texts]


def _texts(value: object) -> list[str]:
    """Every text in a value of JSON."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _texts(one)]


def _address() -> str:
    """An address of this machine that is not the loopback's, or that where it has none."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(("192.0.2.1", 9))  # nothing is sent
        return sock.getsockname()[0]
    return "127.0.0.1"
