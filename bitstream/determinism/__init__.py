"""Do the integers handed to the coder depend on file and weights alone? Tries it, setting by
setting, and writes DETERMINISM.md.

    python -m bitstream.determinism [--python OTHER/bin/python]... [--aarch64 FOLDER/python]

This process encodes a photograph with every shipped model, takes the conformance files besides, and
decodes them all. A fresh process a setting then decodes the same files; symbols, grid indices (what
the probabilities are made of) and CDFs must come out equal. Settings that this machine cannot run
are listed with the reason; aarch64.sh makes an emulated Python for aarch64. Exits with 1 where
anything differs.
"""
