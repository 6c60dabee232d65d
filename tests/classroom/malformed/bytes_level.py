"""Notebooks whose bytes are wrong: cut off, overwritten, merged, packed, of another encoding, or of another program."""

import base64
import codecs
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from random import Random

Damage = Callable[[bytes, Random], bytes]


def cut(data: bytes, chance: Random) -> bytes:
    return data[: chance.randrange(1, len(data) - 1)]


def cut_in_a_letter(data: bytes, chance: Random) -> bytes:
    data = json.dumps(json.loads(data), ensure_ascii=False).replace("mean", "mitteläß漢🎈").encode()
    return data[: data.index("🎈".encode()) + chance.randint(1, 3)]


def overwritten(data: bytes, chance: Random) -> bytes:
    """A block of zeros, as a disk leaves that was full or switched off."""
    begin = chance.randrange(len(data))
    return data[:begin] + bytes(min(4096, len(data) - begin)) + data[begin + 4096 :]


def flipped(data: bytes, chance: Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 20)):
        made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
    return bytes(made)


def strewn(data: bytes, chance: Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        begin = chance.randrange(len(made))
        made[begin : begin + chance.choice([0, 1, 2, 30])] = chance.choice(
            [b"", b'"', b"[", b"]", b"{", b"}", b"\\", b",", b":", b"null", b"\xff", b"\0", b"-1e9", b"\\u", b"\n"]
        )
    return bytes(made)


def of_lines(change: Callable[[list[bytes], Random], list[bytes]]) -> Damage:
    return lambda data, chance: b"".join(change(data.splitlines(keepends=True), chance))


def conflict(lines: list[bytes], chance: Random) -> list[bytes]:
    """What git writes where two people changed the same lines."""
    at = chance.randrange(len(lines) - 3)
    mine, theirs = lines[at : at + 2], lines[at + 1 : at + 3]
    return [*lines[:at], b"<<<<<<< HEAD\n", *mine, b"=======\n", *theirs, b">>>>>>> other\n", *lines[at + 2 :]]


def dropped(lines: list[bytes], chance: Random) -> list[bytes]:
    del lines[chance.randrange(len(lines))]
    return lines


def doubled(lines: list[bytes], chance: Random) -> list[bytes]:
    at = chance.randrange(len(lines))
    return lines[:at] + lines[at : at + 1] * 2 + lines[at + 1 :]


def shuffled(lines: list[bytes], chance: Random) -> list[bytes]:
    chance.shuffle(lines)
    return lines


def written_as(encoding: str, errors: str = "xmlcharrefreplace") -> Damage:
    def make(data: bytes, chance: Random) -> bytes:
        notebook = json.loads(data)
        notebook["cells"][0]["source"] = ["naïve, déjà vu"]  # a text, not code: what of it is lost costs nothing
        return json.dumps(notebook, ensure_ascii=False).encode(encoding, errors)

    return make


def replaced(old: bytes, new: bytes) -> Damage:
    return lambda data, chance: data.replace(old, new)


def zipped(data: bytes, chance: Random) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mixed.ipynb", data)
    return buffer.getvalue()


def script(data: bytes, chance: Random) -> bytes:
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(data)["cells"]).encode()


# What is done, and what has to become of a right notebook: refused, full (its points), or any state with a reason.
BYTES: dict[str, tuple[str, Damage]] = {
    "nothing": ("refused", lambda data, chance: b""),
    "blanks": ("refused", lambda data, chance: b" \n\t" * chance.randint(1, 50)),
    "zeros": ("refused", lambda data, chance: bytes(len(data))),
    "random bytes": ("refused", lambda data, chance: chance.randbytes(chance.randrange(1, 5000))),
    "random after a brace": ("refused", lambda data, chance: b"{" + chance.randbytes(chance.randrange(1, 5000))),
    "cut off": ("refused", cut),
    "cut off in a letter": ("refused", cut_in_a_letter),
    "without its beginning": ("refused", lambda data, chance: data[chance.randrange(1, len(data)) :]),
    "twice in one file": ("refused", lambda data, chance: data * 2),
    "two halves of copies": ("any", lambda data, chance: data[: len(data) // 3] + data[len(data) // 2 :]),
    "a block of zeros": ("any", overwritten),
    "zeros at the end": ("refused", lambda data, chance: data + bytes(512)),
    "flipped bits": ("any", flipped),
    "strewn characters": ("any", strewn),
    "git's marks of a conflict": ("refused", of_lines(conflict)),
    "a line gone": ("any", of_lines(dropped)),
    "a line twice": ("any", of_lines(doubled)),
    "lines shuffled": ("any", of_lines(shuffled)),
    "lines of Windows": ("full", replaced(b"\n", b"\r\n")),
    "lines of an old Macintosh": ("full", replaced(b"\n", b"\r")),
    "tabs": ("full", replaced(b"\n ", b"\n\t")),
    "UTF-16 with a mark": ("full", written_as("utf-16")),
    "UTF-16 without": ("full", written_as("utf-16-be")),
    "UTF-16, a byte short": ("refused", lambda data, chance: written_as("utf-16")(data, chance)[:-1]),
    "UTF-32": ("full", written_as("utf-32")),
    "UTF-7": ("any", written_as("utf-7")),
    "Latin-1": ("full", written_as("latin-1")),
    "Windows-1252": ("full", written_as("cp1252")),
    "EBCDIC": ("refused", written_as("cp500")),
    "Shift JIS": ("any", written_as("shift_jis")),
    "a mark of UTF-8": ("full", lambda data, chance: codecs.BOM_UTF8 + data),
    "two marks of UTF-8": ("refused", lambda data, chance: codecs.BOM_UTF8 * 2 + data),
    "overlong UTF-8": ("any", replaced(b"def", b"d\xc1\xa5f")),
    "surrogates as bytes": ("any", replaced(b"def", b"d\xed\xa0\x80ef")),
    "escapes that are none": ("any", replaced(b"def", rb"\xdef")),
    "bare controls in texts": ("any", replaced(b"def", b"\x00\x1b[2Jdef")),
    "gzip": ("refused", lambda data, chance: gzip.compress(data)),
    "zip": ("refused", zipped),
    "base64": ("refused", lambda data, chance: base64.b64encode(data)),
    "a page to log in": ("refused", lambda data, chance: b"<!DOCTYPE html><html><title>Log in</title>"),
    "an error of a platform": ("refused", lambda data, chance: b'{"error": {"code": 401, "message": "expired"}}'),
    "a mail": ("refused", lambda data, chance: b"Content-Type: application/json\r\n\r\n" + data),
    "a script": ("refused", script),
    "Python's repr": ("refused", lambda data, chance: repr(json.loads(data)).encode()),
    "commas at the ends": ("refused", replaced(b"\n ]", b",\n ]")),
    "comments in JSON": ("refused", replaced(b"{\n", b"{ // as in JavaScript\n")),
    "names without quotes": ("refused", replaced(b'"cell_type"', b"cell_type")),
    "true with a capital": ("any", replaced(b"true", b"True")),
    "the notebook as a text in JSON": ("refused", lambda data, chance: json.dumps(data.decode()).encode()),
    "the notebook in a list": ("refused", lambda data, chance: b"[" + data + b"]"),
    "a pointer of Git LFS": ("refused", lambda data, chance: b"version https://git-lfs.github.com/spec/v1\nsize 9\n"),
}
