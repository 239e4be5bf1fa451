"""How a Python program that knows only Azure's addresses finds the local cloud.

Its PYTHONPATH begins with a folder that holds a `sitecustomize`; what that does stands there.
"""

from __future__ import annotations

import os
from pathlib import Path

SITE = Path(__file__).with_name("replica_site")
"""The folder."""

ROUTES = "ORCHESTRATOR_LOCAL_ROUTES"
"""Variable: where addresses lead, as `host:port=ip:port`, separated by spaces."""


def lead_python(env: dict[str, str]) -> None:
    """Put the folder first on PYTHONPATH, before what the job has there, if there are routes."""
    if env.get(ROUTES):
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SITE), env.get("PYTHONPATH"))))
