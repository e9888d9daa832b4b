"""Where the bytes of a file come from."""

import io
import os
import threading

import pytest

from neurocodec import container
from neurocodec.errors import InvalidArgument

READERS = (container.read_bytes, container.map_bytes)


@pytest.mark.parametrize("reader", READERS)
def test_every_source_gives_the_same_bytes(reader, tmp_path):
    path = tmp_path / "a.ncz"
    path.write_bytes(b"some bytes")
    with open(path, "rb") as file:
        sources = [b"some bytes", bytearray(b"some bytes"), memoryview(b"some bytes")]
        sources += [path, str(path), io.BytesIO(b"some bytes"), file]
        assert [bytes(reader(source)) for source in sources] == [b"some bytes"] * len(sources)


@pytest.mark.parametrize("reader", READERS)
def test_an_empty_file(reader, tmp_path):
    (tmp_path / "empty").touch()
    assert bytes(reader(tmp_path / "empty")) == b""


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_opened_once(reader, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"some bytes",), daemon=True)
    writer.start()
    found = []
    reading = threading.Thread(target=lambda: found.append(bytes(reader(path))), daemon=True)
    reading.start()
    reading.join(timeout=30)
    assert found == [b"some bytes"]


@pytest.mark.parametrize("reader", READERS)
def test_what_gives_no_bytes(reader, tmp_path):
    (tmp_path / "text").write_bytes(b"\xff\xfe text")
    with open(tmp_path / "text", encoding="utf-8") as text:
        for source in (7, None, io.StringIO("text"), text):
            with pytest.raises(InvalidArgument, match="gives no bytes: pass bytes, a path, or"):
                reader(source)
    with pytest.raises(FileNotFoundError):
        reader(tmp_path / "none")
