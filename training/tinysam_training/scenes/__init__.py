"""Generated scenes: layered objects of many shapes, textures, shading and shadows, with their visible masks."""
from .prompts import sample
from .scene import Scene, scene

__all__ = ["Scene", "sample", "scene"]
