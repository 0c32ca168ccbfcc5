"""Register-transfer level: hardware as a simulator of circuits sees it."""
