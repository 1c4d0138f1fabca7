"""Pure functions on small frames: no I/O, no engine, no chart."""
