"""Which pods of which namespaces a webhook entry or a policy of the chart is asked about."""
import rendering
from rendering import REQUIRED, documents, of_kind, template

KEY = "sidetap.io/inject"


class Questions:
    @staticmethod
    def pod(annotation, label, **spec):
        metadata = {"name": "web"}
        if annotation is not None:
            metadata["annotations"] = {KEY: annotation}
        if label is not None:
            metadata["labels"] = {KEY: label}
        return {"metadata": metadata, "spec": {"containers": [{"name": "web"}], **spec}}

    @staticmethod
    def namespace(label, name="shop"):
        labels = {"kubernetes.io/metadata.name": name}
        if label is not None:
            labels[KEY] = label
        return {"metadata": {"name": name, "labels": labels}}

    def called(self, entry, questions):
        """For each (namespace, pod): does this webhook entry or policy match?"""
        constraints = entry.get("spec", {}).get("matchConstraints", entry)
        conditions = entry.get("spec", entry).get("matchConditions", [])
        matched = [
            rendering.selector_matches(constraints["namespaceSelector"], namespace["metadata"]["labels"])
            and rendering.selector_matches(constraints["objectSelector"], pod["metadata"].get("labels", {}))
            for namespace, pod in questions]
        for condition in conditions:
            results = rendering.evaluate([
                {"expression": condition["expression"], "variables": {"object": pod}} for _, pod in questions])
            matched = [before and result for before, result in zip(matched, results)]
        return matched

    def entries(self, version="1.36", *arguments):
        """Those for new pods."""
        return self.entries_for("pods", version, *arguments)

    @staticmethod
    def entries_for(resource, version="1.36", *arguments):
        docs = documents(template(*REQUIRED, *arguments, version=version))
        webhooks = of_kind(docs, "MutatingWebhookConfiguration")[0]["webhooks"]
        return {webhook["name"].split(".")[0]: webhook for webhook in webhooks
                if webhook["rules"][0]["resources"] == [resource]}
