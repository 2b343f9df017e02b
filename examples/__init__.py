"""The bundled sample project, and the config for real sources."""
