"""The machine side: connections, scripts, what is read from a node and what is done on it."""
