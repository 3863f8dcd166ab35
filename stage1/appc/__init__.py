"""The App Container schema: manifests as frozen values."""
