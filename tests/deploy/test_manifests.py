"""The manifests for Kubernetes, Cloud Run and KServe, the compose file, Heroku's: valid, and in line with the project.

Kubernetes' own kinds are held against its published schemas (package kubernetes-validate, strict). Of the kinds that
it does not know, a pod inside is held against the schema of a pod, and what is around it against the fields named
here, which were read in

- Knative Serving: config/core/300-resources/service.yaml of github.com/knative/serving, ``v1``, and for annotations
  Cloud Run's page "Cloud Run YAML Reference", https://docs.cloud.google.com/run/docs/reference/yaml/v1;
- KServe: V1beta1PredictorSpec and V1beta1ComponentExtensionSpec of https://kserve.github.io/website, ``v1beta1``;
- nuclio: the "Function-configuration reference" of https://docs.nuclio.io, ``v1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.config import VARIABLES, ContainerConfig
from gateway.limits import ServerLimits
from pointrend.weights import zoo

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PAGES = ROOT / "docs" / "deploy"
KUBERNETES = "1.31"
# The fields of a pod that a revision takes over, of those that are used or near to what is used.
REVISION = {"containerConcurrency", "timeoutSeconds", "serviceAccountName", "containers", "volumes"}
REVISION_ANNOTATIONS = {
    "autoscaling.knative.dev/minScale",
    "autoscaling.knative.dev/maxScale",
    "run.googleapis.com/cpu-throttling",
    "run.googleapis.com/startup-cpu-boost",
    "run.googleapis.com/sessionAffinity",
    "run.googleapis.com/execution-environment",
}
COMPONENT = {"minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "containerConcurrency", "timeout"}
NUCLIO = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "metadata": {"name", "namespace", "labels", "annotations"},
    "spec": {"description", "runtime", "handler", "eventTimeout", "env", "build", "triggers", "platform", "resources"},
    "spec/build": {"image", "baseImage", "directives", "commands", "registry"},
    "spec/build/directives": {"preCopy", "postCopy"},
    "spec/triggers/http": {"kind", "numWorkers", "workerAvailabilityTimeoutMilliseconds", "attributes"},
    "spec/platform": {"attributes"},
}
Tree = dict[str, Any]


def naming(value: object) -> str:
    return value if isinstance(value, str) else ""


def documents() -> Iterator[tuple[str, Tree]]:
    for path in sorted(DEPLOY.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield f"{path.relative_to(DEPLOY)}:{document['kind']}", document


def check(document: Tree) -> None:
    """Hold a document against the schema of its kind.

    Raises:
        kubernetes_validate.ValidationError: it does not fit.
        AssertionError: it does not fit, or there is no schema.
    """
    kind = (document["apiVersion"], document["kind"])
    if kind == ("serving.knative.dev/v1", "Service"):
        check_knative(document)
    elif kind == ("serving.kserve.io/v1beta1", "InferenceService"):
        check_kserve(document)
    elif kind == ("nuclio.io/v1", "NuclioFunction"):
        check_nuclio(document)
    else:
        try:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
        except kubernetes_validate.SchemaNotFoundError as error:
            raise AssertionError(f"There is no schema for {kind}.") from error


def check_pod(spec: Tree) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "inside"}, "spec": spec}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def check_knative(document: Tree) -> None:
    assert document.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert document["spec"].keys() <= {"template", "traffic"}
    template = document["spec"]["template"]
    assert template.keys() == {"metadata", "spec"}
    annotations = template["metadata"]["annotations"]
    assert annotations.keys() <= REVISION_ANNOTATIONS
    assert all(isinstance(value, str) for value in annotations.values())
    revision = template["spec"]
    assert revision.keys() <= REVISION
    assert isinstance(revision["containerConcurrency"], int)
    assert isinstance(revision["timeoutSeconds"], int)
    (container,) = revision["containers"]
    assert len(container["ports"]) == 1
    assert container["ports"][0]["name"] in ("http1", "h2c")
    inside = {key: value for key, value in revision.items() if key in ("volumes", "serviceAccountName")}
    check_pod({**inside, "containers": [{"name": "unnamed", **container}]})  # a pod wants a name, a revision does not


def check_kserve(document: Tree) -> None:
    assert document.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert document["spec"].keys() <= {"predictor", "transformer", "explainer"}
    predictor = document["spec"]["predictor"]
    for field in COMPONENT - {"scaleMetric"}:
        assert isinstance(predictor.get(field, 0), int)
    check_pod({key: value for key, value in predictor.items() if key not in COMPONENT})


def check_nuclio(document: Tree) -> None:
    for place, fields in NUCLIO.items():
        tree = document
        for name in filter(None, place.split("/")):
            tree = tree[name]
        assert tree.keys() <= fields, place
    for directives in document["spec"]["build"]["directives"].values():
        assert all(each.keys() == {"kind", "value"} for each in directives)
    check_pod({"containers": [{"name": "function", "env": document["spec"]["env"]}]})


@pytest.mark.parametrize(
    ("name", "document"), list(documents()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_fits_its_schema(name: str, document: Tree) -> None:
    check(document)
    assert document["metadata"]["name"].startswith("pointrend"), name


def test_all_kinds_are_there() -> None:
    kinds = {document["kind"] for _, document in documents()}
    assert kinds == {
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "InferenceService",
        "NuclioFunction",
    }


def spoil(document: Tree, path: str, value: object) -> None:
    *way, last = path.split("/")
    place: Any = document
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        ("kubernetes/server.yaml", "kind", "Deploiment"),
        ("kubernetes/server.yaml", "apiVersion", "apps/v9"),
        ("kubernetes/server.yaml", "spec/template/spec/containers/0/readinesProbe", {}),
        ("kubernetes/server.yaml", "spec/replicas", "two"),
        ("cloud-run/server.yaml", "kind", "Servise"),
        ("cloud-run/server.yaml", "spec/template/spec/concurrency", 20),
        ("cloud-run/server.yaml", "spec/template/spec/containers/0/env/0/vale", "server"),
        ("cloud-run/server.yaml", "spec/template/metadata/annotations/run.googleapis.com~cpu-boost", "true"),
        ("kserve/inference-service.yaml", "spec/predictor/minReplica", 1),
        ("kserve/inference-service.yaml", "spec/predictor/timeout", "150s"),
        ("kserve/inference-service.yaml", "apiVersion", "serving.kserve.io/v2"),
        ("cvat/nuclio/function.yaml", "spec/runtim", "python:3.11"),
        ("cvat/nuclio/function.yaml", "spec/build/directives/preCopy/0/kin", "RUN"),
    ],
)
def test_a_mistake_is_found(file: str, path: str, value: object) -> None:
    document = next(iter(yaml.safe_load_all((DEPLOY / file).read_text())))
    check(document)
    spoil(document, path, value)
    with pytest.raises((AssertionError, kubernetes_validate.ValidationError)):
        check(document)


def containers() -> Iterator[tuple[str, Tree]]:
    for name, document in documents():
        spec = document.get("spec", {})
        inside = spec.get("predictor") or spec.get("template", {}).get("spec", {})
        for container in inside.get("containers", []):
            yield name, container


@pytest.mark.parametrize(
    ("name", "container"), list(containers()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_variables_are_such_that_the_container_starts(name: str, container: Tree, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-secret-of-a-test")
    variables = {each["name"]: each.get("value", token.read_text()) for each in container["env"]}
    assert variables.keys() <= {variable.name for variable in VARIABLES}
    if "POINTREND_TOKEN_FILE" in variables:
        assert variables["POINTREND_TOKEN_FILE"].startswith(container["volumeMounts"][1]["mountPath"])
        variables["POINTREND_TOKEN_FILE"] = str(token)
    settings = ContainerConfig.read({"POINTREND_HOST": "0.0.0.0", **variables})
    assert settings.port == container["ports"][0]["containerPort"]


def test_concurrency_is_what_the_server_takes() -> None:
    takes = ServerLimits.read()
    run = yaml.safe_load((DEPLOY / "cloud-run" / "server.yaml").read_text())["spec"]["template"]["spec"]
    predictor = yaml.safe_load((DEPLOY / "kserve" / "inference-service.yaml").read_text())["spec"]["predictor"]
    assert run["containerConcurrency"] == predictor["containerConcurrency"] == takes.requests
    assert run["timeoutSeconds"] == predictor["timeout"] > takes.answer_seconds


def test_compose_and_heroku_name_what_exists() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    names = {variable.name for variable in VARIABLES}
    for service in compose["services"].values():
        assert service["environment"].keys() <= names
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
    arguments = set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert compose["services"]["server"]["build"]["args"].keys() <= arguments
    heroku = yaml.safe_load((DEPLOY / "heroku" / "heroku.yml").read_text())
    assert heroku["build"]["config"] == {"MODEL": "demo"}
    assert (ROOT / heroku["build"]["docker"]["web"]).is_file()
    assert heroku["run"]["web"] in " ".join((ROOT / "Dockerfile").read_text().replace('", "', " ").split())


@pytest.mark.parametrize(
    ("name", "container"), list(containers()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_images_are_tagged_with_their_model_which_the_page_says_how_to_build(name: str, container: Tree) -> None:
    tag = container["image"].partition(":")[2]
    assert tag in zoo.names()
    page = (PAGES / f"{name.split('/', maxsplit=1)[0]}.md").read_text()
    assert f":{tag} --build-arg MODEL={tag} . " in page
    assert zoo.find(tag).licence.split(",")[0] in page


def test_the_build_arguments_are_documented() -> None:
    (stage,) = re.findall(r"^FROM build AS model$.*?^FROM", (ROOT / "Dockerfile").read_text(), re.MULTILINE | re.DOTALL)
    page = (PAGES / "index.md").read_text()
    arguments = re.findall(r"^ARG (\w+)(?:=(.*))?$", stage, re.MULTILINE)
    assert len(arguments) == 4
    for argument, default in arguments:
        assert f"| `{argument}` | {default or '-'} | " in page


TARGETS = {
    **{path.name: PAGES / f"{path.name}.md" for path in DEPLOY.iterdir() if path.is_dir()},
    "spaces": ROOT / "spaces" / "README.md",
}


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_has_a_page(target: str) -> None:
    page = TARGETS[target].read_text()
    for heading in ("## Deploy", "## Check", "## Costs", "## Undo", "## What was tested"):
        assert heading in page
