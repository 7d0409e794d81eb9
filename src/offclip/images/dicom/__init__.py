"""DICOM: header, codestream, stored values, grey values; one concept a file, in the order of the standard."""
