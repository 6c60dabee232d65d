"""The public sets: real archives in miniature, from a server on this machine, from the folder, and from nowhere."""

import functools
import gzip
import hashlib
import http.server
import io
import pickle
import re
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deeppractice.data import CARDS, load
from deeppractice.data.downloads import Source, read_cifar, read_idx, source, taken

N = {"train": 12, "test": 5}


def idx(array: np.ndarray) -> bytes:
    """MNIST's format as its page describes it: two zeros, the type (8: unsigned byte), the dimensions, their sizes."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(int(side).to_bytes(4, "big") for side in array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes())


@pytest.fixture
def pixels() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return {part: (rng.integers(0, 256, (n, 28, 28)), rng.integers(0, 10, n)) for part, n in N.items()}


@pytest.fixture
def files(pixels: dict) -> dict[str, bytes]:
    result = {}
    for part, name in {"train": "train", "test": "t10k"}.items():
        images, labels = pixels[part]
        result[f"{name}-images-idx3-ubyte.gz"], result[f"{name}-labels-idx1-ubyte.gz"] = idx(images), idx(labels)
    return result


def sums(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.md5(content).hexdigest() for name, content in files.items()}


def put(files: dict[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def nowhere() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """A real server's address, the folder that it serves, and the paths that were asked for."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}/", folder, asked
        serving.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPPRACTICE_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "mnist"


def mnist(files: dict[str, bytes], *mirrors: str) -> Source:
    return Source(mirrors, sums(files), read_idx, tuple("0123456789"))


def test_an_archive_is_downloaded_once_checked_and_read(files, pixels, server, nowhere, cache) -> None:
    address, folder, asked = server
    put(files, folder)
    images = taken("mnist", mnist(files, nowhere, address))  # the first mirror is out of reach
    expected = np.concatenate([pixels["train"][0], pixels["test"][0]])[:, None]
    np.testing.assert_allclose(images.X, expected / 255, atol=1e-7)
    np.testing.assert_array_equal(images.y, np.concatenate([pixels["train"][1], pixels["test"][1]]))
    assert images.X.dtype == np.float32
    assert images.y.dtype == np.int64
    assert images.X.flags.c_contiguous
    assert images.factors["part"].tolist() == ["train"] * 12 + ["test"] * 5
    assert images.card is CARDS["mnist"]
    assert sorted(asked) == sorted(f"/{name}" for name in files)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == files  # and nothing half-done
    again = taken("mnist", mnist(files, nowhere))
    np.testing.assert_array_equal(again.X, images.X)
    assert len(asked) == 4


def test_files_put_there_by_hand_need_no_network(files, nowhere, cache) -> None:
    put(files, cache)
    assert len(taken("mnist", mnist(files, nowhere))) == 17


def test_a_part_and_a_number(files, nowhere, cache) -> None:
    put(files, cache)
    load_tiny = functools.partial(taken, "mnist", mnist(files, nowhere))
    assert set(load_tiny(part="test").factors["part"]) == {"test"}
    assert len(load_tiny(part="train")) == 12
    every = load_tiny()
    small, large = load_tiny(4, seed=2), load_tiny(9, seed=2)
    np.testing.assert_array_equal(small.X, large.X[:4])
    np.testing.assert_array_equal(small.factors["part"], large.factors["part"][:4])
    places = [next(i for i, known in enumerate(every.X) if np.array_equal(known, image)) for image in large.X]
    assert len(set(places)) == 9
    np.testing.assert_array_equal(large.y, every.y[places])
    np.testing.assert_array_equal(large.factors["part"], every.factors["part"][places])
    assert not np.array_equal(large.X, load_tiny(9, seed=3).X)
    for n in (0, 18):
        with pytest.raises(ValueError, match=f"n: expected 1 to 17, got {n}"):
            load_tiny(n)
    with pytest.raises(ValueError, match="part: expected one or more, each once, of train, test; got 'val'"):
        load_tiny(part="val")


def test_out_of_reach_it_says_what_to_do(files, nowhere, cache) -> None:
    first = dict(list(files.items())[:1])
    put(first, cache)  # one is there
    with pytest.raises(FileNotFoundError, match="'mnist' could not be downloaded") as info:
        taken("mnist", mnist(files, nowhere))
    message = str(info.value)
    assert f"into {cache} (the variable DEEPPRACTICE_DATA sets another place than {cache.parent})" in message
    for name, md5 in sums(files).items():
        assert (f"{nowhere}{name}   MD5 {md5}" in message) == (name not in first)
    assert "refused" in message


def test_a_file_that_a_server_does_not_have(files, server, cache) -> None:
    address, folder, _ = server
    put(dict(list(files.items())[:3]), folder)
    with pytest.raises(FileNotFoundError, match="HTTP Error 404"):
        taken("mnist", mnist(files, address))
    assert len(list(cache.iterdir())) == 3


def test_a_download_that_is_not_the_published_file_is_not_kept(files, server, cache) -> None:
    address, folder, _ = server
    put({name: content + b"!" for name, content in files.items()}, folder)
    name, expected = next(iter(sums(files).items()))
    got = hashlib.md5(files[name] + b"!").hexdigest()
    with pytest.raises(FileNotFoundError, match=f"expected the MD5 sum {expected} of {name}, got {got}"):
        taken("mnist", mnist(files, address))
    assert not cache.exists()


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_a_corrupt_file_put_there_by_hand_is_named(name: str, cache) -> None:
    origin = source(name)
    files = dict.fromkeys(origin.archives, b"not an archive")
    put(files, cache.parent / name)
    file, expected = next(iter(origin.archives.items()))
    got = hashlib.md5(b"not an archive").hexdigest()
    path = cache.parent / name / file
    with pytest.raises(
        ValueError, match=re.escape(f"{path} is not the published file: expected the MD5 sum {expected}, got {got}")
    ):
        load(name, n=3)  # fmt: skip


@pytest.mark.parametrize(("name", "count"), [("mnist", 4), ("fashion-mnist", 4), ("cifar10", 1)])
def test_torchvision_names_the_addresses_and_the_sums(name: str, count: int) -> None:
    origin = source(name)
    assert len(origin.archives) == count
    assert len(origin.classes) == 10
    for file, md5 in origin.archives.items():
        assert file.endswith(".gz")
        assert re.fullmatch("[0-9a-f]{32}", md5)
    for mirror in origin.mirrors:
        assert re.fullmatch("https?://.*/", mirror)


def test_the_folder_is_in_the_home_by_default(files, nowhere, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPPRACTICE_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    put(files, tmp_path / ".cache" / "deeppractice" / "mnist")
    assert len(taken("mnist", mnist(files, nowhere))) == 17


def test_cifar_is_read_as_its_page_describes(nowhere, cache) -> None:
    """Rows of 3,072 bytes: 1,024 red, then green, then blue, each row by row."""
    rng = np.random.default_rng(1)
    packed, batches = io.BytesIO(), {}
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for batch in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
            batches[batch] = (rng.integers(0, 256, (3, 3072), dtype=np.uint8), rng.integers(0, 10, 3).tolist())
            content = pickle.dumps({"data": batches[batch][0], "labels": batches[batch][1]}, protocol=2)
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{batch}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    files = {"cifar.tar.gz": packed.getvalue()}
    put(files, cache.parent / "cifar10")
    images = taken("cifar10", Source((nowhere,), sums(files), read_cifar, source("cifar10").classes))
    assert images.X.shape == (18, 3, 32, 32)
    assert images.factors["part"].tolist() == ["train"] * 15 + ["test"] * 3
    data = np.concatenate([data for data, _ in batches.values()])
    np.testing.assert_array_equal(images.y, np.concatenate([labels for _, labels in batches.values()]))
    for channel in range(3):
        for row, column in [(0, 0), (0, 31), (7, 3), (31, 31)]:
            expected = data[:, 1024 * channel + 32 * row + column] / 255
            np.testing.assert_allclose(images.X[:, channel, row, column], expected, atol=1e-7)
    assert images.classes[3] == "cat"
