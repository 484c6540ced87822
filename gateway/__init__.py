"""The centre: a frame becomes an observation, a finding, an alert, and a notice to a person."""
