"""What the fields of a file owe to each other, whether it is being written or read."""

from __future__ import annotations

from neurocodec.container.fields import Blame
from neurocodec.container.layout import CODECS, MAX_CHANNELS
from neurocodec.container.records import ComRecHeader, Header, Inner
from neurocodec.errors import UnknownCodec


def check_codec(codec: int) -> None:
    """Raises UnknownCodec for one that this release does not have."""
    if codec not in CODECS:
        known = ", ".join(f"{number} ({name})" for number, name in CODECS.items())
        raise UnknownCodec(f"codec {codec}, this release knows {known}: install a newer neurocodec")


def check_header(header: Header, blame: Blame) -> None:
    """Raises what ``blame`` makes unless the fields of the header fit together."""
    if isinstance(header, ComRecHeader):
        if header.inner != Inner.DCT and header.grid_offset != 0:
            raise blame(
                f"grid_offset is {header.grid_offset}, the format allows only 0 where the inner "
                "codec is not DCT"
            )
        return
    channels = sum(group.size for group in header.groups)
    if channels > MAX_CHANNELS:
        raise blame(f"the groups have {channels} channels, the format allows {MAX_CHANNELS}")


def check_stream_count(header: Header, count: int, blame: Blame) -> None:
    """Raises what ``blame`` makes unless this header may have so many streams."""
    if isinstance(header, ComRecHeader) and header.inner != Inner.DCT and count != 1:
        raise blame(
            f"number of streams is {count}, the format allows only 1 where the inner codec is not "
            "DCT"
        )
