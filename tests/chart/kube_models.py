"""Strict validation of Kubernetes objects against type declarations that are generated from its OpenAPI document.

Every field must exist, required ones must be there, and types must fit: what the API server's own strict field
validation would say, without a server.
"""
import pathlib
import re

# A map's type stands on a line of its own.
FIELD = re.compile(r"^    '([^']+)'(\??): (?:\{\s*\[key: string\]: ([^;]+);\s*\}|([^{;]+));", re.MULTILINE)
GROUPS = {
    "v1": "V1", "apps/v1": "V1", "batch/v1": "V1", "policy/v1": "V1", "autoscaling/v2": "V2",
    "networking.k8s.io/v1": "V1", "rbac.authorization.k8s.io/v1": "V1",
    "admissionregistration.k8s.io/v1": "V1", "scheduling.k8s.io/v1": "V1",
}


class Models:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.cache = {}

    def fields(self, model):
        """name -> (required, type) of a model."""
        if model not in self.cache:
            fields = {}
            declaration = (self.folder / f"{model}.d.ts").read_text()
            for name, optional, values, kind in FIELD.findall(declaration):
                # The generator puts an underscore before the language's own words ("from").
                fields[name.removeprefix("_")] = (not optional, f"map {values}" if values else kind)
            if not fields:
                raise ValueError(f"no fields found in {model}")
            self.cache[model] = fields
        return self.cache[model]

    def knows(self, document):
        return document.get("apiVersion") in GROUPS

    def check(self, document):
        """List of faults of a whole object; empty: valid."""
        model = GROUPS[document["apiVersion"]] + document["kind"]
        if not (self.folder / f"{model}.d.ts").exists():
            return [f"{document['apiVersion']} has no kind {document['kind']}"]
        return list(self._object(document, model, document["kind"]))

    def _object(self, value, model, path):
        if not isinstance(value, dict):
            yield f"{path}: an object is wanted, not {value!r}"
            return
        fields = self.fields(model)
        for name in value:
            if name not in fields:
                yield f"{path}.{name}: no such field in {model}"
        for name, (required, kind) in fields.items():
            if name in value:
                yield from self._value(value[name], kind, f"{path}.{name}")
            elif required:
                yield f"{path}.{name}: required by {model}"

    def _value(self, value, kind, path):
        if kind.startswith("Array<"):
            if not isinstance(value, list):
                yield f"{path}: a list is wanted, not {value!r}"
                return
            for index, item in enumerate(value):
                yield from self._value(item, kind[6:-1], f"{path}[{index}]")
        elif kind.startswith("map "):
            if not isinstance(value, dict):
                yield f"{path}: an object is wanted, not {value!r}"
                return
            for name, item in value.items():
                yield from self._value(item, kind[4:], f"{path}[{name}]")
        elif kind in ("any", "Date"):
            return
        elif kind == "string":
            if not isinstance(value, str):
                yield f"{path}: a text is wanted, not {value!r}"
        elif kind == "boolean":
            if not isinstance(value, bool):
                yield f"{path}: true or false is wanted, not {value!r}"
        elif kind == "number":
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                yield f"{path}: a number is wanted, not {value!r}"
        elif kind == "IntOrString":
            if isinstance(value, bool) or not isinstance(value, (int, str)):
                yield f"{path}: a number or text is wanted, not {value!r}"
        else:
            yield from self._object(value, kind, path)
