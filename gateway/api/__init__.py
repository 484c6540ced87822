"""The HTTP interface: who is asking, what they may see, the few commands they give."""
