"""Tools that publish to an MQTT broker."""
