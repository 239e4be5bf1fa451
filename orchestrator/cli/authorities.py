"""What other clients trust: the local cloud's authority beside those that this shell trusts.

The variables that name a bundle take one file each. A machine behind a proxy that re-signs, or with
services of its own, has its authorities there; without them `az login` to Azure, pip or curl would
fail in every shell in which the local cloud's variables are set.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

BUNDLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_KEPT = "# orchestrator local env keeps: "


def with_own(
    values: Mapping[str, str],
    folder: Path,
    environ: Mapping[str, str],
    notice: Callable[[str], None],
) -> dict[str, str]:
    """`values`, their bundles with the authorities of the files that `environ` names, too.

    Where there are such, a file for them is written to `folder`, the state folder; `values` as they
    are where there are none. A shell that has these variables already has its own files, whatever
    the cloud's authority was then: the file says which they were. `notice` is told of a file that
    cannot be read. Raises OSError where nothing can be written.
    """
    ours = Path(values["SSL_CERT_FILE"]).read_bytes()
    known = {_plain(found[1]) for found in _CERTIFICATE.finditer(ours)}
    sources: dict[str, None] = {}
    more: list[bytes] = []
    for variable in BUNDLES:
        for source in _sources(environ.get(variable, "")):
            if source in sources:
                continue
            try:
                content = b"\n".join(_contents(Path(source)))
            except OSError as error:
                notice(
                    f"{variable} names {source}, which cannot be read "
                    f"({error.strerror or error}); its authorities are left out."
                )
                continue
            new = [c for c in _CERTIFICATE.finditer(content) if _plain(c[1]) not in known]
            if new:
                sources[source] = None
            for certificate in new:
                known.add(_plain(certificate[1]))
                more.append(certificate[0] + b"\n")
    if not more:
        return dict(values)
    name = hashlib.sha256("\n".join(sources).encode()).hexdigest()[:8]
    head = "".join(f"{_KEPT}{source}\n" for source in sources).encode()
    path = folder / f"shell-{name}.pem"
    _write(path, head + ours.rstrip() + b"\n" + b"".join(more))
    return {**values, **dict.fromkeys(BUNDLES, str(path))}


def _sources(named: str) -> list[str]:
    """The file that a variable names; of one that was written here, those that it was made of."""
    if not named:
        return []
    try:
        with Path(named).open("rb") as file:
            lines = file.read(4096).decode("utf-8", errors="replace").splitlines()
    except OSError:
        return [os.path.abspath(named)]  # noqa: PTH100 - not resolved: links of the system's move
    kept = [line.removeprefix(_KEPT) for line in lines if line.startswith(_KEPT)]
    return kept or [os.path.abspath(named)]  # noqa: PTH100


def _contents(path: Path) -> Iterator[bytes]:
    """A file, or the files of a folder, which requests takes as well."""
    if not path.is_dir():
        yield path.read_bytes()
        return
    for entry in sorted(path.iterdir()):
        if entry.is_file():
            yield entry.read_bytes()


def _plain(base64: bytes) -> bytes:
    return b"".join(base64.split())


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for this user alone, as everything in the state folder."""
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
