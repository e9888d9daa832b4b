"""Building blocks of the networks, one idea a file. Nothing here knows of files or bytes."""
