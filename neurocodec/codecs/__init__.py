"""The codecs: how networks and the entropy coder make a payload, and back. One module a codec."""
