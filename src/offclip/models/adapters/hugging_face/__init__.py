"""Models of the library transformers: CLIP, SigLIP, and pairs of towers of the same shape."""
