"""A small library of types in the published format, of a provider that grows things."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

Json = Any

REQUIRED, READ_ONLY, WRITE_ONLY = 1, 2, 4
BED = "Contoso.Garden/beds@2024-01-01"


class Types:
    """The list of a `types.json`, as it grows."""

    def __init__(self) -> None:
        self.items: list[Json] = []

    def add(self, kind: str, **parts: Json) -> Json:
        self.items.append({"$type": kind, **parts})
        return {"$ref": f"#/{len(self.items) - 1}"}

    def object(self, label: str, rest: Json = None, /, **props: tuple[Json, int]) -> Json:
        described = {key: {"type": kind, "flags": flags} for key, (kind, flags) in props.items()}
        further = {"additionalProperties": rest} if rest is not None else {}
        return self.add("ObjectType", name=label, properties=described, **further)

    def enum(self, *values: str) -> Json:
        return self.add(
            "UnionType", elements=[self.add("StringLiteralType", value=one) for one in values]
        )

    def resource(self, name: str, body: Json, writable: int = 8) -> Json:
        return self.add(
            "ResourceType", name=name, body=body, readableScopes=8, writableScopes=writable
        )


def write_library(folder: Path) -> Path:
    """`folder`/index.json, and the types that it names in a folder of their own."""
    types = Types()
    text, whole, yes = types.add("StringType"), types.add("IntegerType"), types.add("BooleanType")
    names = {
        "id": (text, READ_ONLY),
        "name": (types.add("StringType", minLength=3, maxLength=8, pattern="^[a-z]+$"), REQUIRED),
        "type": (text, READ_ONLY),
        "apiVersion": (text, READ_ONLY),
    }
    plant = types.object(
        "Plant",
        species=(text, REQUIRED),
        count=(types.add("IntegerType", minValue=1, maxValue=9), 0),
        height=(whole, READ_ONLY),
    )
    water = types.add(
        "DiscriminatedObjectType",
        name="Water",
        discriminator="source",
        baseProperties={"litres": {"type": whole, "flags": 0}},
        elements={
            "rain": types.object(
                "Rain", source=(types.add("StringLiteralType", value="rain"), REQUIRED)
            ),
            "tap": types.object(
                "Tap",
                source=(types.add("StringLiteralType", value="tap"), REQUIRED),
                hose=(text, REQUIRED),
            ),
        },
    )
    properties = types.object(
        "BedProperties",
        soil=(types.enum("loam", "sand"), REQUIRED),
        plants=(types.add("ArrayType", itemType=plant, maxLength=3), 0),
        water=(water, 0),
        labels=(types.object("Labels", text), 0),
        fenced=(yes, 0),
        code=(types.add("StringType", sensitive=True), WRITE_ONLY),
        area=(whole, READ_ONLY),
    )
    body = types.object(
        "Contoso.Garden/beds", **names, location=(text, REQUIRED), properties=(properties, 0)
    )
    keys = types.object("Keys", primary=(types.add("StringType", sensitive=True), READ_ONLY))
    resources = {
        BED: types.resource(BED, body),
        "Contoso.Garden/weather@2024-01-01": types.resource(
            "Contoso.Garden/weather@2024-01-01",
            types.object("Contoso.Garden/weather", **names),
            writable=0,
        ),
    }
    listed = types.add(
        "ResourceFunctionType",
        name="listKeys",
        resourceType="Contoso.Garden/beds",
        apiVersion="2024-01-01",
        output=keys,
    )
    index = {
        "resources": {name: _within(place) for name, place in resources.items()},
        "resourceFunctions": {"contoso.garden/beds": {"2024-01-01": [_within(listed)]}},
    }
    (folder / "garden").mkdir(parents=True)
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "garden" / "types.json").write_text(json.dumps(types.items))
    return folder


def _within(place: Json) -> Json:
    return {"$ref": f"garden/types.json{place['$ref']}"}


def packed(folder: Path, archive: Path) -> Path:
    """The library as a `types.tgz`."""
    with tarfile.open(archive, "w:gz") as file:
        for path in sorted(folder.rglob("*.json")):
            content = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return archive
