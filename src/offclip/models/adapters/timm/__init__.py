"""Two towers that were never trained together: an image tower of timm and a Hugging Face text encoder."""
