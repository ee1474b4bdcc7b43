"""Whether who wrote a client for one OpenAPI document can go on with another. Pure: documents in, texts out.

Directions count. What a client sends may be taken more widely, never more narrowly; what it is told may be
told more narrowly, never more widely: a member that becomes null breaks who reads it. Whatever was released
stays: routes, parameters, statuses, media types, members, ways to be let in. What is new passes, unless a
client must send it. Of patterns it is known only whether they are the same.

    python -m tests.api.compatibility    writes docs/openapi.json, the released document, if nothing breaks
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from core.api.app import create_api
from tests.fakes.services import World

Json = Mapping[str, Any]

RELEASED: Final = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
DEPTH_MAX: Final = 30
"""Schemas are not followed deeper: one that contains itself would never end."""

LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
SAME: Final = ("pattern", "format")


def breaks(released: Json, present: Json) -> list[str]:
    """What of the released document no longer holds, one line each."""
    return sorted(set(_Comparison(released, present).paths()))


def present() -> dict[str, Any]:
    """The document of the API as the sources have it, gateway included."""
    document: dict[str, Any] = orjson.loads(orjson.dumps(create_api(World().services()).openapi()))
    return document


class _Comparison:
    def __init__(self, released: Json, present: Json) -> None:
        self._released, self._present = released, present

    def paths(self) -> Iterator[str]:
        for path, methods in self._released["paths"].items():
            for method, old in methods.items():
                where = f"{method.upper()} {path}"
                new = self._present["paths"].get(path, {}).get(method)
                if new is None:
                    yield f"{where}: the route is gone"
                else:
                    yield from self._operation(old, new, where)

    def _operation(self, old: Json, new: Json, where: str) -> Iterator[str]:
        yield from self._parameters(old, new, where)
        yield from self._body(old.get("requestBody"), new.get("requestBody"), f"{where}: body")
        for status, response in old["responses"].items():
            told = new["responses"].get(status)
            if told is None:
                yield f"{where}: the response {status} is gone"
            else:
                yield from self._content(response, told, f"{where}: {status}", sent=False)
        ways = [set(way) for way in new.get("security", [{}])]
        for way in old.get("security", [{}]):
            if set(way) not in ways:
                yield f"{where}: {' and '.join(way) or 'nobody without a key'} is let in no more"

    def _parameters(self, old: Json, new: Json, where: str) -> Iterator[str]:
        before, after = (
            {(each["in"], each["name"]): each for each in told.get("parameters", ())} for told in (old, new)
        )
        for key, parameter in before.items():
            name = f"{where}: parameter {key[1]} ({key[0]})"
            if key not in after:
                yield f"{name} is gone"
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield f"{name} is required now"
            yield from self._schema(parameter["schema"], after[key]["schema"], name, sent=True)
        for key in after.keys() - before.keys():
            if after[key].get("required"):
                yield f"{where}: parameter {key[1]} ({key[0]}) is new and required"

    def _body(self, old: Json | None, new: Json | None, where: str) -> Iterator[str]:
        if new is not None and new.get("required") and not (old or {}).get("required"):
            yield f"{where} is required now"
        if old is not None and new is None:
            yield f"{where} is taken no more"
        elif old is not None and new is not None:
            yield from self._content(old, new, where, sent=True)

    def _content(self, old: Json, new: Json, where: str, *, sent: bool) -> Iterator[str]:
        for media_type, content in old.get("content", {}).items():
            found = new.get("content", {}).get(media_type)
            if found is None:
                yield f"{where}: {media_type} is gone"
            else:
                yield from self._schema(content.get("schema", {}), found.get("schema", {}), where, sent=sent)

    def _schema(self, old: Json, new: Json, where: str, *, sent: bool, depth: int = 0) -> Iterator[str]:
        """Each form of the narrower side must fit one of the wider side; the nearest says what is wrong."""
        if depth > DEPTH_MAX:
            return
        befores, afters = _forms(self._released, old), _forms(self._present, new)
        for form in befores if sent else afters:
            pairs = [(form, other) for other in afters] if sent else [(other, form) for other in befores]
            found = [list(self._form(*pair, where, sent=sent, depth=depth)) for pair in pairs]
            yield from min(found, key=lambda lines: (any("type" in line for line in lines), len(lines)))

    def _form(self, old: Json, new: Json, where: str, *, sent: bool, depth: int) -> Iterator[str]:
        narrow, wide = (old, new) if sent else (new, old)
        verb = "takes" if sent else "tells"
        if not _type_fits(narrow.get("type"), wide.get("type")):
            yield f"{where}: {verb} type {new.get('type', 'any')}, was {old.get('type', 'any')}"
            return
        yield from _bounds(old, new, f"{where}: {verb}", sent=sent)
        if "items" in wide:
            pair = old.get("items", {}), new.get("items", {})
            yield from self._schema(*pair, f"{where}[]", sent=sent, depth=depth + 1)
        yield from self._members(old, new, where, sent=sent, depth=depth)

    def _members(self, old: Json, new: Json, where: str, *, sent: bool, depth: int) -> Iterator[str]:
        members = new.get("properties", {})
        for name, schema in old.get("properties", {}).items():
            if name not in members:
                yield f"{where}.{name} is gone"
            else:
                yield from self._schema(schema, members[name], f"{where}.{name}", sent=sent, depth=depth + 1)
        before, after = set(old.get("required", ())), set(new.get("required", ()))
        for name in after - before if sent else ():
            yield f"{where}.{name} is required now"
        for name in () if sent else (before - after) & members.keys():
            yield f"{where}.{name} may be missing now"
        rest = old.get("additionalProperties"), new.get("additionalProperties")
        if isinstance(rest[0], dict) and isinstance(rest[1], dict):
            yield from self._schema(*rest, f"{where}.*", sent=sent, depth=depth + 1)


def _forms(document: Json, schema: Json) -> list[Json]:
    """The forms that a schema allows, references followed."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        return [form for each in alternatives for form in _forms(document, each)]
    types = schema.get("type")
    return [{**schema, "type": each} for each in types] if isinstance(types, list) else [schema]


def _type_fits(narrow: str | None, wide: str | None) -> bool:
    return wide is None or narrow == wide or (narrow, wide) == ("integer", "number")


def _bounds(old: Json, new: Json, where: str, *, sent: bool) -> Iterator[str]:
    """What of the values of the narrower side does not fit the wider: words, bounds, forms."""
    narrow, wide = (old, new) if sent else (new, old)
    words = _words(wide)
    if words is not None:
        strangers = None if _words(narrow) is None else sorted(_words(narrow) - words, key=str)
        if strangers is None or strangers:
            yield f"{where} other words: {strangers or 'any'}"
    for name in (*LEAST, *MOST):
        if name not in wide:
            continue
        sign = 1 if name in LEAST else -1
        if name not in narrow or sign * narrow[name] < sign * wide[name]:
            yield f"{where} {name} {new.get(name, 'none')}, was {old.get(name, 'none')}"
    for name in SAME:
        if name in wide and narrow.get(name) != wide[name]:
            yield f"{where} {name} {new.get(name, 'none')}, was {old.get(name, 'none')}"


def _words(schema: Json) -> set[Any] | None:
    """The only values that there are, if they are listed."""
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def main() -> None:
    """Release the present document."""
    document = present()
    broken = breaks(orjson.loads(RELEASED.read_bytes()), document) if RELEASED.exists() else []
    if broken:
        lines = "\n".join(f"  {line}" for line in broken)
        sys.exit(f"not written: clients of the released API would break\n{lines}")
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    RELEASED.write_bytes(orjson.dumps(document, option=options))
    sys.stdout.write(f"{RELEASED.name}: {len(document['paths'])} paths\n")


if __name__ == "__main__":
    main()
