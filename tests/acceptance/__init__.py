"""The whole chain, as a home and a nurse see it: real broker, database, gateway and box."""
