"""The outputs of one cell, in order, as nbclient would have them in a notebook, and never more than allowed."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from io import StringIO

_EACH = 100  # bytes counted for an output beside its content, so that a million empty ones are too many
_ERROR_TEXT = 10_000  # characters kept of an error's message, and of each frame of its traceback
_ERROR_FRAMES = 20  # frames kept at each end of a traceback
_RESULT_TEXT = 1000  # characters kept of a result when there is no room for it: what partial credit is read from
_STREAMS = ("stdout", "stderr")


class Recorder:
    """Collects the outputs of a cell.

    Past a limit, text and figures are left out and a line says so. What a grade depends on is kept whatever a cell
    wrote before it: the first error, the first result, and that something was written to stderr.

    Args:
        cell_bytes: most that a cell may leave.
        total_bytes: most that all cells together may leave.
    """

    def __init__(self, cell_bytes: int, total_bytes: int) -> None:
        self.cell_bytes, self.total_bytes = cell_bytes, total_bytes
        self._lock = threading.RLock()  # reentrant: a signal handler may print
        self._total = 0
        self.start()

    def start(self) -> None:
        """Begin a cell."""
        with self._lock:
            self._mark = ""
            self._clear()
            self._clear_next = False

    def finish(self) -> list[dict]:
        """End the cell: its outputs as nbformat dicts."""
        with self._lock:
            outputs = [self._finished(output) for output in self._outputs]
            if self._cut and "stderr" in self._cut_streams and not any(o.get("name") == "stderr" for o in outputs):
                outputs.append({"output_type": "stream", "name": "stderr", "text": "[cut]\n"})
            if self._cut:
                # on stdout, since nbgrader takes points for anything on stderr
                outputs.append({"output_type": "stream", "name": "stdout", "text": f"\n[{self._cut}]\n"})
            self._total += self._used
            self._clear()
            return outputs

    def stream(self, name: str, text: str) -> None:
        """Add text to a stream; between two other outputs stdout stands before stderr, as in a Jupyter kernel."""
        if not text:
            return
        with self._lock:
            self._clear_if_due()
            room = self._room(_size(text))
            if room < _size(text):
                self._cut_streams.add(name)
                text = text.encode("utf-8", "replace")[: max(0, room)].decode("utf-8", "ignore")
                if not text:
                    return
            self._write(name, text)

    def mark(self, text: str) -> None:
        """Write a mark into both streams, however full they are; it stands before whatever follows, until the next one.

        It is no output: what takes back all outputs leaves it where it is.
        """
        with self._lock:
            self._clear_if_due()
            self._mark = text
            self._write_mark()

    def add(self, output: dict, display_id: str | None = None) -> None:
        """Add an output of another kind: display_data, execute_result or error."""
        with self._lock:
            self._clear_if_due()
            kind, output = output["output_type"], _plain(output)
            if kind == "error":
                output = _short_error(output)
            size = _EACH + _size(json.dumps(output, ensure_ascii=False))
            if self._room(size) < size:
                first = kind not in self._kinds
                if not first or kind == "display_data":
                    return
                if kind == "error" and self.total_bytes - self._total - self._used < size:
                    output = _short_error(output, frames=1, text=_RESULT_TEXT)  # a notebook may have 2000 cells
                if kind == "execute_result":
                    output["data"] = {"text/plain": str(output["data"].get("text/plain", ""))[:_RESULT_TEXT]}
            self._used += size
            self._kinds.add(kind)
            self._streams = {}
            self._outputs.append(output)
            if display_id:
                self._displayed.setdefault(display_id, []).append((output, self._mark))

    def update(self, display_id: str, data: dict, metadata: dict) -> None:
        """Change what stands under a display id in this cell; earlier cells' outputs are not touched.

        What was shown under another mark stays as it was, and the new state is shown under this one.
        """
        with self._lock:
            new = _plain({"data": data, "metadata": metadata})
            shown = self._displayed.get(display_id, [])
            current = [output for output, mark in shown if mark == self._mark]
            if shown and not current:
                return self.add({"output_type": "display_data", "data": data, "metadata": metadata}, display_id)
            for output in current:
                more = _size(json.dumps(new, ensure_ascii=False)) - _size(json.dumps(output, ensure_ascii=False))
                if self._room(more) >= more:
                    self._used += more
                    output.update(new)

    def clear(self, wait: bool) -> None:
        """Take back everything that this cell wrote; with `wait`, at its next output."""
        with self._lock:
            if wait:
                self._clear_next = True
            else:
                self._clear()
                self._write_mark()

    def errors(self) -> list[str]:
        """The names of the errors that this cell has shown."""
        with self._lock:
            return [output["ename"] for output in self._outputs if output["output_type"] == "error"]

    def _clear(self) -> None:
        self._outputs: list[dict] = []
        self._streams: dict[str, dict] = {}  # those that more text can still be added to
        self._displayed: dict[str, list[tuple[dict, str]]] = {}  # each with the mark under which it was shown
        self._kinds: set[str] = set()
        self._used = 0
        self._cut = ""  # why output was left out
        self._cut_streams: set[str] = set()

    def _clear_if_due(self) -> None:
        if self._clear_next:
            self._clear_next = False
            self._clear()
            self._write_mark()

    def _write(self, name: str, text: str) -> None:
        self._used += _size(text)
        if name not in self._streams:
            output = {"output_type": "stream", "name": name, "text": StringIO()}
            self._streams[name] = output
            before_stderr = name == "stdout" and "stderr" in self._streams
            self._outputs.insert(len(self._outputs) - before_stderr, output)
        self._streams[name]["text"].write(text)

    def _write_mark(self) -> None:
        for name in _STREAMS if self._mark else ():
            self._write(name, self._mark)

    def _room(self, size: int) -> int:
        """Bytes left for an output of a size; where that is too little, remember why."""
        cell, total = self.cell_bytes - self._used, self.total_bytes - self._total - self._used
        if min(cell, total) < size:
            whose, most = ("this cell", self.cell_bytes) if cell <= total else ("this notebook", self.total_bytes)
            self._cut = f"output cut here: {whose} wrote more than {most:,} bytes"
        return min(cell, total)

    @staticmethod
    def _finished(output: dict) -> dict:
        return {**output, "text": output["text"].getvalue()} if output["output_type"] == "stream" else output


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _plain(output: dict) -> dict:
    """A copy made of what JSON has, and nothing that the student's code can still change."""
    return json.loads(json.dumps(output, default=_other))


def _other(value: object) -> object:
    """What JSON does not have, as Jupyter's messages write it; anything strange as its representation."""
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    for kind, convert in ((set | frozenset, list), (int, int), (float, float)):
        if isinstance(value, kind):
            return convert(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of numpy or torch
        return value.item()
    return repr(value)[:_RESULT_TEXT]


def _short_error(output: dict, frames: int = _ERROR_FRAMES, text: int = _ERROR_TEXT) -> dict:
    """An error with a traceback of a sane length: a recursion leaves thousands of frames."""
    lines = [str(frame)[:text] for frame in output["traceback"]]
    if len(lines) > 2 * frames:
        left_out = f"... {len(lines) - 2 * frames} frames left out ..."
        lines = [*lines[:frames], left_out, *lines[-frames:]]
    return {**output, "ename": output["ename"][:text], "evalue": output["evalue"][:text], "traceback": lines}
