"""What is refused unless the caller says otherwise."""

MAX_PIXELS = 2**28
"""Width times height of a picture that is read; a limit of the reader, not of the format."""
