"""Forged bodies behind a right length and checksum: a file, or an NczError, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocodec.container import NczFile, read, sizes, write
from neurocodec.errors import NczError

from .samples import COMPACT, FOREIGN, FULL, MIXED, PLAIN, files, seal, unseal

SAMPLES = [PLAIN, FULL, COMPACT, FOREIGN, MIXED]

interesting = st.sampled_from([0, 1, 2, 3, 0x7F, 0x80, 0x81, 0x82, 0x83, 0xFE, 0xFF])


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """The body of a valid file after a few edits."""
    mutant = bytearray(unseal(write(draw(st.sampled_from(SAMPLES) | files()))))
    for _ in range(draw(st.integers(1, 4))):
        # Half of the edits go to the first 64 bytes, where the structure is.
        last = draw(st.sampled_from([min(64, len(mutant)), len(mutant)]))
        start = draw(st.integers(0, last))
        removed = draw(st.integers(0, 6))
        mutant[start : start + removed] = draw(
            st.lists(interesting, max_size=6).map(bytes) | st.binary(max_size=6)
        )
    return bytes(mutant)


def check(data: bytes) -> None:
    """Either is refused, or is a file that can be written again and holds the same."""
    try:
        file = read(data)
    except NczError:
        return
    assert read(write(file)) == file
    assert sum(sizes(data).values()) == len(data)


def test_the_seal_is_the_writers() -> None:
    for file in SAMPLES:
        assert seal(unseal(write(file))) == write(file)


@given(mutants())
@settings(max_examples=300, deadline=None)
def test_mutants(mutant: bytes) -> None:
    check(seal(mutant))


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_noise(noise: bytes) -> None:
    check(seal(noise))
    check(noise)


@pytest.mark.parametrize("file", SAMPLES)
def test_every_value_of_every_byte(file: NczFile) -> None:
    body = unseal(write(file))
    for position in range(len(body)):
        for value in (0, 1, 2, 0x7F, 0x80, 0xFF, body[position] ^ 1, body[position] + 1 & 0xFF):
            check(seal(body[:position] + bytes([value]) + body[position + 1 :]))
