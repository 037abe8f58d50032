"""The manifests in examples/kubernetes, against the schemas of what they are sent to.

``make test-orchestrators`` runs this file. Kubernetes' own resources are checked against its
published schemas, Workflows against the types of Argo's client, and what operators and Volcano
define against the parts of their schemas in ``schemas/``.
"""

from __future__ import annotations

import copy
import json
import re
import shlex
import subprocess
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from hera.workflows.models import Workflow

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMAS = Path(__file__).resolve().parent / "schemas"
FOLDER = ROOT / "examples" / "kubernetes"
DOCUMENTS = [
    pytest.param(document, id=f"{path.name}-{document['kind']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
JOB = re.compile(r"/opt/sparkml_dist/jobs/(\w+)\.py$")


def check(document) -> None:
    """Raise for a document that its receiver would refuse, or in which it would ignore a field."""
    group = document["apiVersion"].rpartition("/")[0]
    own = SCHEMAS / f"{document['apiVersion'].replace('/', '-')}.yaml"
    if own.exists():
        schema = yaml.safe_load(own.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(document, schema)
    elif group == "argoproj.io":
        read = Workflow.model_validate(document)
        kept = json.loads(read.model_dump_json(by_alias=True, exclude_none=True))
        assert kept == document
        for template in document["spec"]["templates"]:
            if "container" in template:
                check_container(template["container"], document["spec"]["volumes"])
    else:
        kubernetes_validate.validate(document, "1.34", strict=True)


def check_container(container, volumes) -> None:
    pod = {"containers": [{"name": "main", **container}], "volumes": volumes}
    metadata = {"name": "pod"}
    check({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_manifest_is_valid(document):
    check(document)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_misspelt_field_is_noticed(document):
    broken = copy.deepcopy(document)
    inner = broken.get("spec") or broken
    inner["replicants"] = 3
    with pytest.raises((AssertionError, jsonschema.ValidationError, ValueError)):
        check(broken)
    broken = copy.deepcopy(document)
    broken["kind"] = 7
    with pytest.raises(Exception):  # noqa: B017 - each validator has its own
        check(broken)


def command_lines():
    """Yield job and arguments of every manifest."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            spec = document.get("spec", {})
            if document["kind"] == "Job":
                (container,) = spec["template"]["spec"]["containers"]
                yield path.name, container["command"][-1], container["args"]
            elif document["kind"] == "SparkApplication":
                file = spec.get("mainApplicationFile") or spec["pyFiles"]
                yield path.name, file, spec.get("arguments") or spec["driverArgs"]
            elif document["kind"] == "Workflow":
                (dag,) = (t["dag"] for t in spec["templates"] if "dag" in t)
                for task in dag["tasks"]:
                    given = {
                        p["name"]: p["value"]
                        for p in task.get("arguments", {}).get("parameters", ())
                    }
                    if "options" in given:
                        file = f"/opt/sparkml_dist/jobs/{given['job']}.py"
                        yield path.name, file, shlex.split(given["options"])


@pytest.mark.parametrize(
    ("job", "arguments"),
    [pytest.param(j, a, id=f"{n}-{JOB.search(j)[1]}") for n, j, a in command_lines()],
)
def test_the_jobs_take_the_options(job, arguments, environment):
    code = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('job', sys.argv[1])\n"
        "job = importlib.util.module_from_spec(spec); spec.loader.exec_module(job)\n"
        "job.options().parse_args(sys.argv[2:])"
    )
    file = ROOT / "jobs" / f"{JOB.search(job)[1]}.py"
    python = environment["PYSPARK_PYTHON"]
    command = [python, "-c", code, str(file), *arguments]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-1000:]


def test_what_is_permanent_is_the_same_everywhere():
    from sparkml_dist.orchestrators.outcome import Outcome

    permanent = [status for status in range(1, 256) if Outcome(status).permanent]
    (job,) = yaml.safe_load_all((FOLDER / "job.yaml").read_text())
    assert job["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == permanent
    assert f"not in {permanent}" in (FOLDER / "workflow.yaml").read_text()


def test_the_gang_fits_its_pod_group():
    """The reserved resources are those of the driver and its executors."""
    conf = yaml.safe_load((FOLDER / "spark-application-apache.yaml").read_text())["spec"][
        "sparkConf"
    ]
    group = yaml.safe_load((FOLDER / "pod-group.yaml").read_text())["spec"]["minResources"]
    executors = int(conf["spark.executor.instances"])
    assert int(group["cpu"]) == 1 + executors * int(conf["spark.executor.cores"])

    def gib(name: str) -> int:
        return int(conf[name].removesuffix("g"))

    executor = gib("spark.executor.memory") + gib("spark.executor.memoryOverhead")
    # Spark adds two fifths to the memory of a driver in Python.
    driver = 1.4 * gib("spark.driver.memory")
    assert int(group["memory"].removesuffix("Gi")) >= driver + executors * executor


def test_spark_has_the_step_that_makes_pod_groups(environment):
    code = (
        "import pyspark, zipfile, pathlib\n"
        "jar, = pathlib.Path(pyspark.__path__[0], 'jars').glob('spark-kubernetes_*.jar')\n"
        "names = zipfile.ZipFile(jar).namelist()\n"
        "assert 'org/apache/spark/deploy/k8s/features/VolcanoFeatureStep.class' in names"
    )
    subprocess.run([environment["PYSPARK_PYTHON"], "-c", code], env=environment, check=True)
