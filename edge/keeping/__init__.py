"""Keeps frames on the memory card until the gateway has them."""
