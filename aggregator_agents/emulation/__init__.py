"""Vehicles, chargers and lines that are not there, in virtual time: they obey late and not quite exactly."""
