"""Networks of other libraries as codecs of this one. Nothing here is needed by shipped models."""
