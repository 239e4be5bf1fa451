"""Results as text: `-o table|json|jsonl|yaml|csv|tsv`.

JSON, JSON lines and YAML carry the whole data (the shapes of `az`). CSV and TSV carry the table's
columns with values for programs: RFC 3339 times, seconds, raw numbers; TSV has no heading, as in
`az -o tsv`, and writes a tab or line break within a value as `\\t` or `\\n`. After `--query` all
formats carry what was selected.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from orchestrator.display.moments import machine
from orchestrator.display.terminal import can_encode
from orchestrator.display.views import View, of_data

if TYPE_CHECKING:
    from orchestrator.display.selection import Selection


def write(
    view: View, stream: TextIO, format: str = "table", selection: Selection | None = None
) -> None:
    """Write a result. `format` is one of the six names. Raises SelectionError, OSError."""
    if selection is not None:
        data = selection.search(view.data)
        if data is None and format not in ("json", "yaml", "jsonl"):
            return
        view = of_data(data)
    if format == "table":
        from orchestrator.display.tables import write_table

        write_table(view, stream)
    else:
        _WRITERS[format](view, stream)


def _ascii(stream: TextIO) -> bool:
    return not can_encode(stream, "\u20ac\u4e2d")


def _json(view: View, stream: TextIO) -> None:
    # Laid out by msgspec: json's own `indent` leaves its C code, and takes ten times as long.
    line = json_line(view.data, stream).encode(errors="surrogatepass")
    stream.write(msgspec.json.format(line, indent=2).decode(errors="surrogatepass") + "\n")


def json_line(data: Any, stream: TextIO) -> str:
    """`data` as one line of JSON, with its line break."""
    plain = _ascii(stream)
    try:
        line = json.dumps(data, ensure_ascii=plain, allow_nan=False)
    except ValueError:  # a query's `real(nan)`, which JSON has no number for
        line = json.dumps(_finite(data), ensure_ascii=plain, allow_nan=False)
    return line + "\n"


def _finite(data: Any) -> Any:
    """`data` with what is no number as text, as Log Analytics writes it in its answers."""
    if isinstance(data, float) and not math.isfinite(data):
        return "NaN" if math.isnan(data) else "Infinity" if data > 0 else "-Infinity"
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data


def _jsonl(view: View, stream: TextIO) -> None:
    rows = view.data if isinstance(view.data, list) else [view.data]
    stream.writelines(json_line(row, stream) for row in rows)


def _yaml(view: View, stream: TextIO) -> None:
    import yaml

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(
        view.data, Dumper=dumper, sort_keys=False, allow_unicode=not _ascii(stream), width=1000
    )
    stream.write(text.removesuffix("...\n"))


def _csv(view: View, stream: TextIO) -> None:
    import csv

    writer = csv.writer(stream, lineterminator="\n")
    if not view.headless:
        writer.writerow([h.key for h in view.headings])
    writer.writerows([machine(value) for value in row] for row in view.cells)


def _tsv(view: View, stream: TextIO) -> None:
    stream.writelines(
        "\t".join(_field(machine(value)) for value in row) + "\n" for row in view.cells
    )


def _field(value: Any) -> str:
    text = str(value)
    if "\t" in text or "\n" in text or "\r" in text:
        text = text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return text


_WRITERS = {"json": _json, "jsonl": _jsonl, "yaml": _yaml, "csv": _csv, "tsv": _tsv}
