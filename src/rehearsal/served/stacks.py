"""What a deployment has left in CloudFormation and S3, as far as the commands read it. Nothing of it can be changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import yaml
from werkzeug.wrappers import Response

from rehearsal.secret_descriptions import Refused

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_STACK_ID = "arn:aws:cloudformation:{region}:{account}:stack/{name}/00000000-0000-4000-8000-000000000000"


class Stacks:
    """The stacks of an account.

    Args:
        parameters: of each, by its name.
        outputs: of those that have some.
    """

    def __init__(
        self,
        parameters: Mapping[str, Mapping[str, str]],
        outputs: Mapping[str, Mapping[str, str]],
        region: str,
        account: str,
    ) -> None:
        self._parameters = parameters
        self._outputs = outputs
        self._region = region
        self._account = account
        self.operations = {"DescribeStacks": self._describe, "GetTemplateSummary": self._summarize}

    def _describe(self, form: Mapping[str, str]) -> str:
        """Answer https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html."""
        asked = form.get("StackName", "").rpartition(":stack/")[2].partition("/")[0]
        if asked and asked not in self._parameters:
            raise Refused("ValidationError", f"Stack with id {asked} does not exist")
        return "<Stacks>" + "".join(self._stack(name) for name in self._parameters if asked in ("", name)) + "</Stacks>"

    def _stack(self, name: str) -> str:
        identity = _STACK_ID.format(region=self._region, account=self._account, name=name)
        parameters = "".join(_parameter(key, "ParameterValue", it) for key, it in self._parameters[name].items())
        outputs = "".join(
            f"<member><OutputKey>{key}</OutputKey><OutputValue>{escape(it)}</OutputValue></member>"
            for key, it in self._outputs.get(name, {}).items()
        )
        return (
            f"<member><StackName>{name}</StackName><StackId>{identity}</StackId>"
            "<CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>"
            f"<Parameters>{parameters}</Parameters><Outputs>{outputs}</Outputs></member>"
        )

    def _summarize(self, form: Mapping[str, str]) -> str:
        """Answer https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplateSummary.html."""
        declared = yaml.load(form.get("TemplateBody", "{}"), _Template).get("Parameters", {})  # noqa: S506 - a SafeLoader
        return f"<Parameters>{''.join(_declared(declared))}</Parameters>"


class _Template(yaml.SafeLoader):
    """Reads a template without looking at its functions, such as !Sub."""


_Template.add_multi_constructor("!", lambda *_: None)


def _declared(parameters: Mapping[str, Any]) -> Iterator[str]:
    for key, told in parameters.items():
        yield _parameter(key, "DefaultValue", str(told["Default"]) if "Default" in told else None)


def _parameter(key: str, what: str, value: str | None) -> str:
    said = "" if value is None else f"<{what}>{escape(value)}</{what}>"
    return f"<member><ParameterKey>{key}</ParameterKey>{said}</member>"


class Bucket:
    """S3, with one bucket."""

    def __init__(self, name: str, region: str) -> None:
        self._name = name
        self._region = region

    def answer(self, environ: WSGIEnvironment) -> Response:
        """Answer https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html.

        Raises:
            Refused: anything else is asked.
        """
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/")) != ("HEAD", self._name):
            raise Refused("NotImplemented", f"The rehearsal's S3 tells that {self._name} is there, and nothing else.")
        return Response(headers={"x-amz-bucket-region": self._region})
