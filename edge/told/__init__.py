"""What the gateway tells and asks of the box."""
