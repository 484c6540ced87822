"""Homes, citizens, boxes, devices and placements from a file: brought in, taken back, written out."""
