"""How long Bicep takes: `python -m tests.benchmarks.bicep`.

A module of 2,000 lines (parameters, types, variables, resources with loops and children, outputs)
and the project's own infrastructure, beside Python's own parser on a text of as many lines.
"""

from __future__ import annotations

import ast
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.bicep import compile_file
from tests.benchmarks.measuring import Row, table

ROOT = Path(__file__).resolve().parents[2]
LINES = 2_000
RUNS = 7

_BLOCK = """
@description('Name number {n}, of which there may be several.')
@minLength(3)
param name{n} string = 'thing-{n}-${{uniqueString(resourceGroup().id)}}'
param tags{n} object = {{ number: '{n}' }}
type shape{n} = {{
  size: int
  kind: ('small' | 'large')?
}}
param shapes{n} shape{n}[] = []
var joined{n} = join(map(shapes{n}, s => '${{s.?kind ?? 'small'}}-${{s.size}}'), ',')
resource account{n} 'Microsoft.Storage/storageAccounts@2023-01-01' = {{
  name: name{n}
  location: resourceGroup().location
  tags: union(tags{n}, {{ joined: joined{n} }})
  sku: {{ name: 'Standard_LRS' }}
  kind: 'StorageV2'
  properties: {{
    minimumTlsVersion: 'TLS1_2'
    allowBlobPublicAccess: false
  }}

  resource blobs 'blobServices' = {{
    name: 'default'
  }}
}}
resource boxes{n} 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-01-01' = [
  for (shape, i) in shapes{n}: if (shape.size > 1) {{
    parent: account{n}::blobs
    name: 'box-${{i}}'
    properties: {{
      metadata: {{ size: string(shape.size), key: account{n}.properties.primaryEndpoints.blob }}
    }}
  }}
]
output ids{n} array = [
  for (shape, i) in shapes{n}: '${{account{n}.properties.primaryEndpoints}}${{boxes{n}[i].id}}'
]
"""


def module(lines: int) -> str:
    """Bicep of at least so many lines."""
    size = _BLOCK.count("\n")
    return "".join(_BLOCK.format(n=n) for n in range(-(-lines // size)))


def median(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "main.bicep"
        path.write_text(module(LINES), encoding="utf-8")
        text = "value = call('text', [1, 2, 3], key=other)\n" * LINES
        python = median(lambda: ast.parse(text))
        large = median(lambda: compile_file(path))
        infra = ROOT / "templates" / "infra" / "main.bicep"
        rows = [
            Row(
                f"Bicep, {LINES:,} lines",
                large,
                "s",
                f"ast.parse, {LINES:,} lines",
                python,
                "< 1 s",
            ),
        ]
        if infra.is_file():
            own = median(lambda: compile_file(infra))
            rows.append(Row("Bicep, the whole infrastructure", own, "s"))
        print(table(rows))


if __name__ == "__main__":
    main()
