"""Photographs with object masks, as training takes them: crops of them, objects pasted in, prompts.

A set is a folder that nothing here downloads and git does not hold; `photos.json` says what belongs in it.
"""
from .album import Album
from .manifest import Entry, entries, faults
from .sample import sample

__all__ = ["Album", "Entry", "entries", "faults", "sample"]
