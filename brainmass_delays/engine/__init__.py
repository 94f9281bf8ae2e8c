"""Run a model: one step is traced, its reads are planned, and the whole run is one program."""
