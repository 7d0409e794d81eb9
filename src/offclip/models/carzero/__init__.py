"""CARZero and OFF-CLIP: the published cross-attention model, for its published weights."""
