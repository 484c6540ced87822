"""A municipality's register from a file: brought in row by row, taken back as one, written out."""
