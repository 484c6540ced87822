"""What a technician is told at the box: what is wrong, and what to do next."""
