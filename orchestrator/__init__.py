"""Azure Container Apps jobs: create, start, follow and query them, on Azure or on a local cloud."""

__version__ = "0.1.0"
