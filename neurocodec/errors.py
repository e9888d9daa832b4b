"""Every way neurocodec can refuse its input, one class a cause, one base class for all.

A message is one line: what was found, what was expected, what to do about it. The command line
prints it after ``ncz: error:`` and exits with 1; library users catch :class:`NczError`.
"""

# ruff: noqa: N818 - the names say what is wrong; that each is an error is said by the base class


class NczError(Exception):
    """Base class of every error that neurocodec raises on purpose."""


# The .ncz container.


class BadMagic(NczError):
    """The bytes do not start with the signature of an .ncz file."""


class UnsupportedVersion(NczError):
    """The file has a format version that this release cannot read."""


class Truncated(NczError):
    """The file ends before the contents that its header announces."""


class ChecksumMismatch(NczError):
    """The checksum differs from the one stored: the file is damaged or incomplete."""


class MalformedHeader(NczError):
    """A header field holds a value that the format forbids."""


class TrailingData(NczError):
    """Bytes follow the point where the contents must end."""


class ImageTooLarge(NczError):
    """The image has more pixels than the reader was told to accept, or than memory is there for."""


class UnknownCodec(NczError):
    """The file names a codec that this release does not have."""


# Entropy coding.


class CorruptStream(NczError):
    """A coded stream cannot belong to the header that announces it."""


# Models.


class UnknownModel(NczError):
    """No installed model has the name or the wire id asked for."""


class ModelMismatch(NczError):
    """The installed weights are not those that the file was made with."""


# Input of the user.


class UnreadableImage(NczError):
    """The source cannot be read as an image."""


class InvalidArgument(NczError, ValueError):
    """An option has a value that makes no sense: a quality of 0, a part outside the picture."""


class MissingDependency(NczError, ImportError):
    """An optional package is needed; the message names what to install."""
