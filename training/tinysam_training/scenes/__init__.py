"""Generated scenes: layered objects of many shapes, textures, shading and shadows, with their visible masks."""
from .draft import sample

__all__ = ["sample"]
