"""A session in the cold sandbox: a Jupyter kernel of its own, started for it. For kernels that can't be preloaded.

It costs some seconds to start where the warm way takes a tenth of one, and runs cells as Jupyter does, with any kernel.
"""

import secrets
import signal
import threading
import time
from collections.abc import Mapping

import zmq
from jupyter_client.session import Session as Messages
from nbformat.v4 import output_from_msg

from classroom.inside.record import Recorder
from classroom.outputs import SLACK, clean_outputs, size_of
from classroom.sandbox import kernel, policy
from classroom.sandbox.policy import Limits, SandboxError
from classroom.session import GRACE_SECONDS, CellResult, Usage

READY_SECONDS = 120.0  # for the kernel to start and to import what its start-up imports
_PERIOD = 0.2
_MOST_WAITING = 8  # messages that may wait here to be read; the kernel drops the others
_LARGEST = (
    16_000_000  # bytes of a message, or twice a session's output: a kernel sends what it prints five times a second
)
_STRANGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, zmq.ZMQError)


def open_cold(
    limits: Limits, files: Mapping[str, bytes], *, kernel_name: str = "python3", threads: int | None = None
) -> "ColdSession":
    """Start a kernel in the cold sandbox, with these files in its home.

    Args:
        limits: of the whole session.
        files: by relative path.
        kernel_name: which Jupyter kernel.
        threads: for BLAS and OpenMP.

    Raises:
        SandboxError: if there is no such kernel, or it does not start.
    """
    return ColdSession(limits, files, kernel_name, threads)


class ColdSession:
    """A `classroom.session.Session` whose process is a Jupyter kernel; see `open_cold`."""

    def __init__(self, limits: Limits, files: Mapping[str, bytes], kernel_name: str, threads: int | None) -> None:
        self._limits = limits
        self._began = time.monotonic()
        self._recorder = Recorder(limits.cell_output_bytes, limits.output_bytes)
        self._received = 0
        self._ended = ""  # why, once it has
        self._usage: Usage | None = None
        self._closing, self._talking = threading.Lock(), threading.RLock()  # a socket belongs to one thread at a time
        spec = kernel.find_spec(kernel_name)
        self._staged = policy.stage()
        self._kernel: kernel.Kernel | None = None
        self._context = zmq.Context()
        # What arrives is written by the student: neither one huge message nor many may fill our memory.
        self._context.setsockopt(zmq.MAXMSGSIZE, max(_LARGEST, 2 * limits.output_bytes) + SLACK)
        self._context.setsockopt(zmq.RCVHWM, _MOST_WAITING)
        self._context.setsockopt(zmq.LINGER, 0)
        try:
            key = secrets.token_hex(32)
            connection = {"key": key, "signature_scheme": "hmac-sha256"}
            self._kernel = kernel.start_kernel(
                spec, connection, limits=limits, staged=self._staged, files=files, threads=threads
            )
            self._kernel.wait(READY_SECONDS)
            self._messages = Messages(key=key.encode(), signature_scheme=connection["signature_scheme"])
            self._shell = self._context.socket(zmq.DEALER)
            self._iopub = self._context.socket(zmq.SUB)
            self._iopub.setsockopt(zmq.SUBSCRIBE, b"")
            for sock, port in ((self._shell, "shell_port"), (self._iopub, "iopub_port")):
                sock.connect(f"ipc://{self._kernel.ip}-{kernel.PORTS[port]}")
            self._wait_for_kernel()
            self._lost = self._iopub.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        except BaseException:
            self.close()
            raise

    def run(self, source: str, *, seconds: float) -> CellResult:
        """Run a cell; see `classroom.session.Session.run`."""
        with self._talking:
            return self._run(source, seconds)

    def _run(self, source: str, seconds: float) -> CellResult:
        if self._ended:
            return CellResult(status="not-run", reason=self._ended)
        began, cpu = time.monotonic(), self._kernel.jailed.cpu_seconds()
        seconds = min(seconds, self._began + self._limits.seconds - began)
        if seconds <= 0:
            self._end("time")
            return CellResult(status="died", reason="time")
        self._recorder.start()
        self._received = 0
        status, reason = self._execute(source, began + seconds)
        cpu = max(0.0, self._kernel.jailed.cpu_seconds() - cpu)
        outputs = clean_outputs(self._recorder.finish())
        if reason:
            self._end(reason)
            # The kernel's end may have been the limits' doing, which is known only now.
            status, reason = "died", self._ended
        elif size_of(outputs) > self._limits.cell_output_bytes + SLACK:
            self._end("output")
            return CellResult([], "died", time.monotonic() - began, cpu, "output")
        return CellResult(outputs, status, time.monotonic() - began, cpu, reason)

    def close(self) -> Usage:
        """End the kernel; see `classroom.session.Session.close`."""
        with self._closing:
            if self._usage is None:
                self._ended = self._ended or "closed"
                self._usage = self._kernel.close() if self._kernel is not None else Usage()
                self._usage.seconds = round(time.monotonic() - self._began, 3)
        with self._talking:  # another thread may be in `run`, which comes to its end now that the kernel has
            self._context.destroy(linger=0)
            self._staged.close()
        return self._usage

    def _end(self, reason: str) -> None:
        jailed = self._kernel.jailed
        if reason in ("exit", "crash") and jailed.out_of_memory():
            reason = "memory"
        reason = jailed.reason or reason
        self._ended = reason
        self.close()

    def _wait_for_kernel(self) -> None:
        """Until the kernel answers on both channels: then nothing of the first cell can be missed."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            self._messages.send(self._shell, "kernel_info_request")
            if self._receive(self._shell, 1) and self._receive(self._iopub, _PERIOD):
                return
            if not self._kernel.jailed.running or time.monotonic() > deadline:
                said = self._kernel.jailed.said() or "nothing"
                raise SandboxError(f"the kernel in the sandbox does not answer; it said: {said}")

    def _receive(self, sock: zmq.Socket, seconds: float) -> dict | None:
        """The next message, or None if there is none for so long.

        Raises:
            _STRANGE: if it is not a message that a kernel would send.
        """
        if not sock.poll(seconds * 1000):
            return None
        _, parts = self._messages.feed_identities(sock.recv_multipart(zmq.NOBLOCK))
        return self._messages.deserialize(parts)

    def _execute(self, source: str, deadline: float) -> tuple[str, str]:
        """Run it until the kernel says that it is idle again; its status, or "" and why the session is over."""
        content = {"code": source, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": False, "stop_on_error": False}
        message_id = self._messages.send(self._shell, "execute_request", content)["header"]["msg_id"]
        interrupted = False
        while True:
            now = time.monotonic()
            if now > deadline:
                if interrupted:
                    return "", "time"
                interrupted, deadline = True, now + GRACE_SECONDS
                self._kernel.jailed.signal(signal.SIGINT)
            try:
                message = self._receive(self._iopub, max(0.001, min(_PERIOD, deadline - now)))
                if message is None:
                    if self._lost.poll(0):
                        # Either it is gone, or it sent a message that is larger than any that is allowed.
                        return "", self._why_gone() if self._kernel.jailed.wait(_PERIOD) else "output"
                    if not self._kernel.jailed.running:
                        return "", self._why_gone()
                    continue
                if not self._belongs(message, message_id):
                    continue
                kind, content = message["msg_type"], message["content"]
                if kind == "status" and content.get("execution_state") == "idle":
                    return self._status(message_id, interrupted)
                if not self._take(kind, content, message):
                    return "", "output"
            except _STRANGE:
                return "", "crash"

    def _belongs(self, message: dict, message_id: str) -> bool:
        parent, content = message.get("parent_header"), message.get("content")
        return isinstance(parent, dict) and isinstance(content, dict) and parent.get("msg_id") == message_id

    def _take(self, kind: str, content: dict, message: dict) -> bool:
        """Put one message's output to the others; False when far more has arrived than may be kept."""
        self._received += size_of(content)
        if self._received > 4 * self._limits.output_bytes:
            return False
        if kind == "stream":
            name = "stderr" if content.get("name") == "stderr" else "stdout"
            self._recorder.stream(name, str(content.get("text", "")))
        elif kind in ("display_data", "execute_result", "error"):
            shown = (content.get("transient") or {}).get("display_id")
            self._recorder.add(dict(output_from_msg(message)), shown if isinstance(shown, str) else None)
        elif kind == "update_display_data":
            shown = (content.get("transient") or {}).get("display_id")
            self._recorder.update(str(shown), content["data"], content.get("metadata") or {})
        elif kind == "clear_output":
            self._recorder.clear(bool(content.get("wait")))
        return True

    def _status(self, message_id: str, interrupted: bool) -> tuple[str, str]:
        """What the kernel's reply says of the cell."""
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            reply = self._receive(self._shell, _PERIOD)
            if reply is None and not self._kernel.jailed.running:
                return "", self._why_gone()
            if reply is None or not self._belongs(reply, message_id):
                continue
            content = reply["content"]
            if any(part.get("source") == "ask_exit" for part in content.get("payload") or ()):
                self._ended = "exit"  # `exit` in a cell: this one ran, and none after it can
            if interrupted:
                return "timeout", ""
            return ("ok" if content.get("status") == "ok" else "error"), ""
        return "", "crash"

    def _why_gone(self) -> str:
        """Of a kernel that ended by itself."""
        return "exit" if self._kernel.jailed.status == 0 else "crash"
