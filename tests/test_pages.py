"""What the pages in docs say is so."""

import json
import re
from collections.abc import Iterable
from dataclasses import fields
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from dockerhub_rotation import errors, settings, tags
from dockerhub_rotation.settings import Settings

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    """Return a page of docs."""
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def as_set(value: object) -> str:
    """Return a setting's value as the variable has it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int():
            return f"{value // 86_400}d" if value >= 86_400 else str(value)
        case tuple():
            return " ".join(value)
        case _:
            return str(value)


def test_the_settings_table_names_every_variable_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\S+) \|", page("configuration"), re.MULTILINE))
    stated = {name: default.strip("`").replace("unset", "") for name, default in rows.items()}

    default = Settings()
    by_variables = [field.name for field in fields(default) if field.name != "organization"]  # which a tag alone says
    assert list(stated.values()) == [as_set(getattr(default, name)) for name in by_variables]
    source = Path(settings.__file__).read_text()
    assert set(stated) == set(re.findall(r'ask\(\s*"([A-Z_]+)"', source))


def test_the_settings_table_names_the_parameter_that_sets_each_variable() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| \S+ \|(?: `(\w+)`)? \| ", page("configuration"), re.MULTILINE))
    template = (ROOT / "infra/function.yaml").read_text()
    set_there = dict(re.findall(r"^          ([A-Z_]+): (.*)$", template, re.MULTILINE))

    assert {name for name, parameter in rows.items() if not parameter} == {"ROTATION_FUNCTION_ARN"}
    extension = rows.pop("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT")
    assert f"\n  {extension}:\n" in template
    del rows["ROTATION_FUNCTION_ARN"]
    assert [name for name, parameter in rows.items() if f"!Ref {parameter}" not in set_there[name]] == []


def test_the_table_of_tags_names_every_tag_and_the_deny_statement_reserves_them_all() -> None:
    section = page("configuration").partition("### For one secret")[2].partition("\n### ")[0]
    (statement,) = map(json.loads, re.findall(r"```json\n(.*?)```", section, re.DOTALL))

    rows = re.findall(r"^\| `(dockerhub-rotation:[a-z-]+)` \|.*`([A-Za-z]+)`[^`]*\|$", section, re.MULTILINE)
    template = (ROOT / "infra/secret.yaml").read_text()
    assert {tag for tag, _ in rows} == {f"dockerhub-rotation:{name}" for name in tags._KNOWN}
    for tag, parameter in rows:
        assert re.search(rf'- Key: "{tag}"\n +Value: !Ref {parameter}\n', template)
        assert fnmatchcase(tag, statement["Condition"]["ForAnyValue:StringLike"]["aws:TagKeys"])


def test_the_error_table_names_every_error_that_is_raised() -> None:
    leaves = {
        name
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, errors.RotationError) and not error.__subclasses__()
    }

    section = page("errors").partition("## What each error means")[2].partition("\n## ")[0]

    assert set(re.findall(r"`([A-Z][a-z]+[A-Za-z]+)`", section)) >= leaves


def test_the_metrics_that_are_named_are_those_that_are_emitted() -> None:
    source = (ROOT / "src/dockerhub_rotation/step_report.py").read_text()
    emitted = set(re.findall(r'"([A-Za-z]+)"', " ".join(re.findall(r'add_metric\((.*), "(?:Count|Milli)', source))))

    named = page("errors").partition("Metrics (CloudWatch")[2].partition("\n\n")[0]

    assert set(re.findall(r"`([A-Z][A-Za-z]+)`", named)) == emitted | {"DockerHubRotation"}


def test_two_projects_and_two_regions_take_five_lines() -> None:
    section = page("accounts").partition("## Two projects")[2].partition("\n## ")[0]
    blocks = [block.splitlines() for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL)]
    (lines,) = [block for block in blocks if any("PROJECT=" in line for line in block)]

    assert len(lines) == 5
    credentials, deploy, region, *again = lines
    assert (credentials.split()[2], deploy.split()[2]) == ("credentials", "deploy")
    assert region.startswith("$ export AWS_REGION=")
    assert again == [credentials, deploy]


def templates() -> dict[str, str]:
    """Return what is deployed."""
    return {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "infra").glob("*.yaml")}


def test_what_rings_is_every_alarm_there_is() -> None:
    section = page("errors").partition("| what rings |")[2].partition("\n\n")[0]
    named = re.findall(r"`([a-z]+-?[a-z-]+)`", section)
    alarms = [
        it for text in templates().values() for it in re.findall(r'AlarmName: !Sub "\$\{ProjectName\}-(.+)"', text)
    ]
    events = re.findall(r"^            - (\w+Rotation\w*|Rotation\w+)$", templates()["secret"], re.MULTILINE)

    assert sorted(named) == sorted(alarms)
    assert set(events) <= set(re.findall(r"`(\w+)`", section))
    assert len(set(events)) == 3


def test_what_a_month_costs_counts_the_alarms_metrics_and_dashboards_that_are_made() -> None:
    """Secrets, alarms, metrics of the caretaker and dashboards at their prices; the sums are those of the rows."""
    section = page("costs").partition("## A month, in money")[2].partition("What may come on top")[0]
    rows = {what: float(usd) for what, usd in re.findall(r"^\| (.+?) \| ([0-9.]+) \|", section, re.MULTILINE)}
    alarms = {name: text.count("Type: AWS::CloudWatch::Alarm") for name, text in templates().items()}
    reconcile = (ROOT / "src/dockerhub_rotation/tasks/reconcile.py").read_text(encoding="utf-8")
    metrics = len(
        re.findall(r'^        "\w+": ', reconcile.partition("metrics = {")[2].partition("}\n")[0], re.MULTILINE)
    )
    total, least = re.findall(r"([0-9]+\.[0-9]{2}) USD", section)[:2]

    assert rows["the caretaker's four metrics"] == pytest.approx(0.30 * metrics)
    assert rows["its three alarms"] == pytest.approx(0.10 * alarms["caretaker"])
    assert rows["the function's three alarms"] == pytest.approx(0.10 * alarms["function"])
    assert sum(text.count("Type: AWS::CloudWatch::Dashboard") for text in templates().values()) == 1
    assert sum(rows.values()) == pytest.approx(float(total))
    assert rows["the secret"] + 0.02 == pytest.approx(float(least))
    assert f"[About {total} USD]" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_sample_event_is_described() -> None:
    described = set(re.findall(r"`([a-z_]+\.json)`", page("rehearsing")))

    assert described == {path.name for path in (ROOT / "events").glob("*.json")}


# The modules of the verbs that operate what is there, and what they share with those that deploy.
OPERATING = {
    *("status", "watch", "standing", "versions", "logs", "unblock", "rollback"),
    *("reconcile", "retire", "leaked", "caretaker"),
}
SHARED = {"secret", "function_log", "rotations", "pending", "session"}


def asked_of_aws(modules: Iterable[Path]) -> set[str]:
    """Return the permissions for what modules ask."""
    source = "\n".join(file.read_text() for file in modules)
    services = "cloudformation|cloudtrail|iam|kms|lambda|s3|ssm|secretsmanager|logs|sts"
    calls = re.findall(rf'"({services})",\s*"([a-z_]+)"', source)
    objects = {"s3:HeadBucket": "s3:ListBucket", "s3:HeadObject": "s3:GetObject"}
    asked = {f"{service}:{operation.title().replace('_', '')}" for service, operation in calls}
    return {objects.get(it, it) for it in asked}


def test_the_permissions_to_deploy_are_what_the_commands_ask_and_what_the_templates_make() -> None:
    modules = [it for it in (ROOT / "src/operate").glob("*.py") if it.stem not in OPERATING]
    asked, looked_at = asked_of_aws(modules), asked_of_aws((ROOT / "src/operate/preflight_aws").glob("*.py"))
    made = {
        kind
        for template in (ROOT / "infra").glob("*.yaml")
        for kind in re.findall(r"^    Type: (AWS::\S+)", template.read_text(), re.MULTILINE)
    }

    section = page("permissions").partition("## Permissions to deploy")[2].partition("\n## ")[0]
    permissions, looks, resources = (block.split() for block in re.findall(r"```text\n(.*?)```", section, re.DOTALL))

    # These belong to RotateSecret, to DescribeStacks where it names no stack, and to a package that is pinned.
    more = {"lambda:InvokeFunction", "cloudformation:ListStacks", "s3:GetObjectVersion"}
    assert set(permissions) == asked | more
    assert set(looks) == looked_at - asked
    assert set(resources) == made


def test_the_permissions_to_operate_are_what_those_verbs_ask() -> None:
    modules = [ROOT / f"src/operate/{name}.py" for name in (*OPERATING, *SHARED)]
    section = page("permissions").partition("## Permissions to operate")[2].partition("\n## ")[0]
    (permissions,) = (block.split() for block in re.findall(r"```text\n(.*?)```", section, re.DOTALL))

    assert set(permissions) == asked_of_aws(modules) | {"lambda:InvokeFunction"}
