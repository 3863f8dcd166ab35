"""The actool command: builds, validates and patches App Container Images."""
