"""The central system for chargers that speak OCPP 1.6, 2.0.1 or 2.1 on websockets."""
