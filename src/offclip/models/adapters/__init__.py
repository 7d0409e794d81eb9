"""Models of other libraries on the one interface: open_clip, Hugging Face, timm."""
