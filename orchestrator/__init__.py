"""Azure Container Apps jobs: create, start, follow and query them, on Azure or on a local cloud."""
