"""Who this box is: how it came to be, and what becomes of what it was before."""
