"""`python -m orchestrator.testing.call FILE FUNCTION`: a function of a test, run as a replica.

The file is loaded as a script would be, its folder first on the path. What the function returns is
the exit code if it is a number; a coroutine is run to its end.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
from pathlib import Path


def main(file: str, function: str) -> int:
    """Load `file` and call `function` of it; the exit code."""
    sys.path[0] = str(Path(file).parent)
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        sys.stderr.write(f"{file} is not a Python file.\n")
        return 2
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    result = getattr(module, function)()
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
