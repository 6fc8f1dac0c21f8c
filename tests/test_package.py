"""The house: who knows which library, and that each room says what it is for. Its layers are in pyproject.toml."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

import dockerhub_rotation
import operate

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "dockerhub_rotation"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
FUNCTION = PYPROJECT["dependency-groups"]["function"]

AWS_MODULES = {"aws", "entrance", "parameters", "secrets_manager"}


def imports(tree: ast.Module) -> set[str]:
    """Return the full names of what a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def users_of(*libraries: str) -> set[str]:
    return {name for name, tree in MODULES.items() if {it.partition(".")[0] for it in imports(tree)} & set(libraries)}


def test_the_package_the_commands_and_the_project_have_one_version() -> None:
    assert dockerhub_rotation.__version__ == operate.__version__ == PROJECT["version"]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(MODULES[name])


@pytest.mark.parametrize("name", MODULES)
def test_whatever_is_public_says_what_it_does(name: str) -> None:
    silent = [
        node.name
        for node in ast.walk(MODULES[name])
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
        if node in MODULES[name].body and not ast.get_docstring(node)
    ]

    assert silent == []


def test_one_module_speaks_to_docker_hub() -> None:
    assert users_of("httpx") == {"docker_hub.http"}


def test_few_modules_know_the_aws_sdk() -> None:
    assert users_of("boto3", "botocore") <= AWS_MODULES
    assert users_of("mypy_boto3_secretsmanager", "mypy_boto3_ssm") <= AWS_MODULES


def test_one_module_knows_the_secrets_client() -> None:
    assert users_of("mypy_boto3_secretsmanager") == {"secrets_manager"}


def test_what_ships_needs_nothing_but_what_is_declared() -> None:
    """The SDK's types are for the type checker alone; botocore comes with boto3."""
    declared = {requirement.partition("[")[0].replace("-", "_") for requirement in FUNCTION}
    used = {imported.partition(".")[0] for tree in MODULES.values() for imported in imports(tree)}

    foreign = used - sys.stdlib_module_names - {"dockerhub_rotation", "botocore"}
    assert {name for name in foreign if not name.startswith("mypy_boto3_")} <= declared


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
