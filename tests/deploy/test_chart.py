"""The chart: rendered over many values, held against Kubernetes' and operators' schemas."""

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

yaml = pytest.importorskip("yaml")
jsonschema = pytest.importorskip("jsonschema")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "swin2sr"
CRDS = {
    path.stem: json.loads(path.read_text())
    for path in (Path(__file__).parent / "crds").glob("*.json")
}
VERSIONS = ("1.27", "1.35")
HELM = os.environ.get("SWIN2SR_HELM") or shutil.which("helm")
pytestmark = pytest.mark.skipif(
    HELM is None, reason="no helm; .ci/helm DIR unpacks one, for PATH or SWIN2SR_HELM"
)

TEXT = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["C", "Z"]), max_size=20)
KEYS = {"apiKeys": {"secret": "keys"}}
TABLE = {
    "as small as can be": {"noAuth": True},
    "keys and routes": {
        **KEYS,
        "ingress": {"enabled": True, "className": "nginx", "host": "a.example", "tlsSecret": "tls"},
        "httpRoute": {"enabled": True, "parents": [{"name": "gate"}], "hostnames": ["a.example"]},
        "networkPolicy": {"ingressFrom": [{"podSelector": {}}], "egress": [{"to": []}]},
    },
    "gpus and keda": {
        **KEYS,
        "device": "cuda",
        "autoscaling": {"kind": "keda", "max": 8},
        "serviceMonitor": {"enabled": True, "keySecret": "scraper", "labels": {"release": "p"}},
        "models": {"names": ["classical-x4"], "download": ["classical-x4"], "claim": "models"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
    },
    "cpus and hpa": {**KEYS, "autoscaling": {"kind": "hpa"}, "options": {"max-queue": 64}},
    "one with a spool that stays": {**KEYS, "spool": {"claim": "spool"}, "podLabels": {"a": "b"}},
    "ray": {**KEYS, "mode": "ray", "device": "cuda", "ray": {"redis": "r:1"}},
    "ray on cpus": {"noAuth": True, "mode": "ray", "ingress": {"enabled": True}},
}


def helm(*words, values=None):
    return subprocess.run(
        [str(HELM), *map(str, words), *([] if values is None else ["--values", "-"])],
        input=None if values is None else json.dumps(values),
        capture_output=True,
        text=True,
    )


def rendered(values):
    """Every object, checked by the schema that there is for it."""
    done = helm("template", "upscaling", CHART, values=values)
    assert done.returncode == 0, done.stderr
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    for each in objects:
        if each["kind"] in CRDS:
            jsonschema.validate(each, CRDS[each["kind"]])
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(each, version, strict=True)
    return {each["kind"]: each for each in objects}


def pods(objects):
    """The specifications of all pods."""
    if "Deployment" in objects:
        return [objects["Deployment"]["spec"]["template"]["spec"]]
    cluster = objects["RayService"]["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


@pytest.mark.parametrize("values", TABLE.values(), ids=TABLE.keys())
def test_lint_and_schemas(values):
    done = helm("lint", "--strict", CHART, values=values)
    assert done.returncode == 0, done.stdout
    objects = rendered(values)
    for pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in (*pod["containers"], *pod.get("initContainers", [])):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            mounts = {mount["name"] for mount in container["volumeMounts"]}
            assert mounts <= {volume["name"] for volume in pod["volumes"]}


@settings(max_examples=25, deadline=None)
@given(
    st.fixed_dictionaries(
        {"noAuth": st.just(True)},
        optional={
            "mode": st.sampled_from(["pods", "ray"]),
            "device": st.sampled_from(["cpu", "cuda"]),
            "replicas": st.integers(0, 50),
            "drain": st.integers(0, 3600),
            "options": st.dictionaries(
                st.from_regex(r"[a-z][a-z-]{0,15}", fullmatch=True),
                st.integers() | st.booleans() | TEXT,
            ),
            "ingress": st.fixed_dictionaries({"enabled": st.booleans(), "host": TEXT}),
            "networkPolicy": st.fixed_dictionaries({"enabled": st.booleans()}),
            "podDisruptionBudget": st.booleans(),
            "serviceMonitor": st.fixed_dictionaries({"enabled": st.booleans()}),
            "podAnnotations": st.dictionaries(st.just("a/b"), TEXT),
        },
    )
)
def test_whatever_the_schema_lets_in_renders(values):
    objects = rendered(values)
    for pod in pods(objects):
        assert pod["terminationGracePeriodSeconds"] == values.get("drain", 60) + 30


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "set apiKeys.secret"),
        ({**KEYS, "replicas": 2, "spool": {"claim": "a"}}, "belongs to one server"),
        ({**KEYS, "device": "cuda", "autoscaling": {"kind": "hpa"}}, "take keda for GPUs"),
        ({**KEYS, "autoscaling": {"min": 5, "max": 2}}, "is over autoscaling.max"),
        ({**KEYS, "httpRoute": {"enabled": True}}, "has to name a Gateway"),
        ({**KEYS, "mode": "swarm"}, "mode"),
        ({**KEYS, "replica": 2}, "replica"),
        ({**KEYS, "image": {"digest": "sha256:1"}}, "digest"),
    ],
)
def test_what_cannot_be_meant_is_told(values, sentence):
    done = helm("template", "upscaling", CHART, values=values)
    assert done.returncode != 0 and sentence in done.stderr


def test_the_defaults_are_what_the_schema_takes():
    names = json.loads((CHART / "values.schema.json").read_text())["properties"]
    assert set(names) - {"global"} == set(yaml.safe_load((CHART / "values.yaml").read_text()))


def test_a_pod_has_time_to_finish_and_no_way_out():
    objects = rendered({**KEYS, "drain": 120})
    spec = objects["Deployment"]["spec"]["template"]["spec"]
    env = {each["name"]: each["value"] for each in spec["containers"][0]["env"]}
    assert spec["terminationGracePeriodSeconds"] == 150 and env["SWIN2SR_DRAIN"] == "120"
    assert env["SWIN2SR_API_KEYS"] == "/etc/swin2sr/keys" and "SWIN2SR_NO_AUTH" not in env
    policy = objects["NetworkPolicy"]["spec"]
    ports = list(itertools.chain(*(rule["ports"] for rule in policy["egress"])))
    assert policy["policyTypes"] == ["Ingress", "Egress"] and {p["port"] for p in ports} == {53}
