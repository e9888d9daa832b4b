"""What is refused unless the caller says otherwise."""

MAX_PIXELS = 2**28
"""Width times height of a picture that is read; a limit of the reader, not of the format."""

PIECE = 2**25
"""Pixels of a tile, or of a picture that is not cut into tiles: networks work on them at once, and
take some 200 bytes each. A reader that allows more than 8 * PIECE pixels allows more of these."""
