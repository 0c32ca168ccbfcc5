"""Multi-head attention over all keys or over a part of them, one file a kind of connections."""
