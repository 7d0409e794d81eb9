"""OFF-CLIP for radiology: CLIP models that know what a normal chest X-ray is."""

__version__ = "0.1.0"
