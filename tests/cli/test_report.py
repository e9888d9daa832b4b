"""Errors in words."""

import pytest

from neurocodec.cli.report import Failure
from neurocodec.errors import ChecksumMismatch


@pytest.mark.parametrize(
    ("cause", "line"),
    [
        ("a: damaged", "a: damaged"),
        ("a exists: remove it", "a exists: remove it"),
        ("checksum 00 of a header", "a: checksum 00 of a header"),
        ("and so on", "a: and so on"),
    ],
)
def test_the_input_at_hand_is_named_once(cause, line):
    assert Failure.of(ChecksumMismatch(cause), "a").line == line
