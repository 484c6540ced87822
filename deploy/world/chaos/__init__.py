"""Random faults on the real parts, and the count of what came through them."""
