"""What PNG, JPEG, TIFF and BMP files say about themselves, checked before anything is decoded."""
