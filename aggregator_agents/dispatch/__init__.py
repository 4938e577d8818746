"""From a plan to whole amps at every plug. Pure."""
