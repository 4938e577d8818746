"""The service that runs a site of real chargers: central system, cloud aggregator and hosted virtual aggregators."""
