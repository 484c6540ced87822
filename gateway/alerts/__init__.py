"""Cases a person must look at, and their legal moves; pure."""
