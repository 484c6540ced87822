"""From MQTT message to committed row, then acknowledgement and receipt."""
