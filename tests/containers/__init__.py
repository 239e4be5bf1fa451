"""Tests on a container engine. `engine.sh` prepares one; without it they are skipped."""
