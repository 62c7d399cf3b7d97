"""The back office in a browser: server-rendered pages over the same public functions that the API calls."""
