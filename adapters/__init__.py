"""What devices say, read from what the air carried; pure, and it knows neither box."""
