"""The demo's and the tests' world: an emulated radio, the devices of a home, simulated homes."""
