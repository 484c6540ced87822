"""The box in the home: hears, keeps, sends, and forgets only on the gateway's receipt."""
