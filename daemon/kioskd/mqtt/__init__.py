"""MQTT: one connection to a broker, for the owner's tools and for the fleet."""
