"""An emulated charge point: OCPP 1.6, 2.0.1 or 2.1 over real websockets, with plugs, meters and vehicles."""
