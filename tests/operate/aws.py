"""An AWS account in this process, behind boto3's own wire: requests are signed and read, answers written and parsed.

It keeps state, and refuses what AWS refuses. `refuse` and `broken` have an operation answer an error of AWS's, or none;
what is `denied` has not been done.
Time is the test's clock: see `later`.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.parse import QueryParser
from moto.core.serialize import JSONSerializer, QuerySerializer
from moto.core.utils import get_service_model
from werkzeug.datastructures import MultiDict

from . import storage
from .changes import evaluated
from .cloudformation import ACCOUNT, REGION, AwsError, CloudFormation, Stack
from .storage import Bucket, checksum, header

FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:dockerhub-rotation"
_SNAKE = re.compile("(?<=[a-z])(?=[A-Z])")


@dataclass
class Secret:
    """A secret of Secrets Manager.

    Attributes:
        labels: version id to staging labels.
        described: what DescribeSecret says beside, which a test may change.
        value: the current one.
        made: version id to when it was made.
    """

    name: str
    arn: str
    labels: dict[str, list[str]]
    described: dict[str, Any] = field(default_factory=dict)
    value: str = ""
    made: dict[str, float] = field(default_factory=dict)


class Account:
    """The account.

    Attributes:
        requests: every operation that was asked for, as in "s3:PutObject", in order.
        bodies: what was sent with each.
        regions: the Regions that were asked.
        signed_with: the access keys of the requests.
        parameters: name to what PutParameter was sent.
        parameter_tags: name to the tags of a parameter.
        tried: what was tried at Docker Hub.
        functions: name to the SHA-256 of a function's code, as Lambda tells it.
        modified: name to when a function was changed, where that is known.
        invoked: what a function answers that is invoked, by its name and the event; as bytes, if that is no JSON.
        listed_late: names of secrets that are still listed, although they are to be deleted.
        rotate: what RotateSecret begins; it returns the version.
        first_rotation: what a secret's schedule begins when it is made.
        date: what AWS's clock says; None, if the same as this machine's.
    """

    def __init__(self) -> None:
        self.formation = CloudFormation()
        self.formation.made, self.formation.unmade = self._made, self._unmade
        self.requests: list[str] = []
        self.bodies: list[str] = []
        self.regions: set[str] = set()
        self.signed_with: list[str] = []
        self.buckets: dict[str, Bucket] = {}
        self.parameters: dict[str, dict[str, Any]] = {}
        self.parameter_tags: dict[str, dict[str, str]] = {}
        self.functions: dict[str, str] = {}
        self.modified: dict[str, str] = {}
        self.tried: list[tuple[str, ...]] = []
        self.secrets: dict[str, Secret] = {}
        self.log: dict[str, list[tuple[float, str]]] = {}
        self.refuse: dict[str, AwsError] = {}
        self.broken: dict[str, Exception] = {}
        self.denied: set[str] = set()
        self.listed_late: set[str] = set()
        self.invoked: Callable[[str, Any], dict[str, Any] | bytes] = lambda name, event: {}
        self.rotate: Callable[[Secret], str] = self._pending
        self.first_rotation: Callable[[Secret], None] = _succeeds
        self.date: datetime | None = None
        self._later: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something happen, once so much time has passed."""
        self._later.append((time.time() + seconds, act))

    def add_secret(self, name: str, **described: Any) -> Secret:
        """Have a secret that the function rotates, with a value that it was given."""
        arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"
        rotated = {"RotationEnabled": True, "RotationLambdaARN": FUNCTION_ARN}
        self.secrets[name] = Secret(name, arn, {"old": ["AWSCURRENT"]}, {**rotated, **described})
        return self.secrets[name]

    # --- The wire ---

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer a request; takes the place of botocore's own sender."""
        url = urlsplit(request.url)
        host = url.hostname or ""
        service = "s3" if ".s3." in host or host.startswith("s3.") else host.partition(".")[0]
        body = _bytes(request.body)
        for due, act in [it for it in self._later if it[0] <= time.time()]:
            self._later.remove((due, act))
            act()
        if host == "169.254.170.2":  # where a container's role is
            return self._answer(request, 200, {}, json.dumps(_credentials("ASIACONTAINER")).encode())
        self.signed_with += re.findall("Credential=([^/]+)/", header(request, "Authorization"))
        self.regions.add(host.removesuffix(".amazonaws.com").rpartition(".")[2])
        if service == "s3":
            return self._s3(request, host.partition(".s3.")[0], unquote(url.path).lstrip("/"), body)
        if service == "lambda":
            return self._lambda(request, url.path, body)
        name = dict(parse_qsl(body.decode())).get("Action") or header(request, "X-Amz-Target").partition(".")[2]
        model = get_service_model(service).operation_model(name)
        self._note(service, name, body)
        try:
            self._require_allowed(f"{service}:{name}")
            if service in ("sts", "cloudformation"):
                result = self._query(service, name, model, body)
            else:
                result = getattr(self, f"_{_SNAKE.sub('_', name).lower()}")(json.loads(body))
            self._interfere(f"{service}:{name}")
        except AwsError as error:
            return self._error(request, service, error)
        written = (QuerySerializer if service in ("sts", "cloudformation") else JSONSerializer)(model).serialize(result)
        return self._answer(request, written["status_code"], dict(written["headers"]), _bytes(written["body"]))

    def _note(self, service: str, name: str, body: bytes) -> None:
        self.requests.append(f"{service}:{name}")
        self.bodies.append(body.decode(errors="replace"))
        assert len(self.requests) < 1000, "it asks for ever"
        if error := self.broken.get(f"{service}:{name}"):
            raise error

    def _require_allowed(self, operation: str) -> None:
        if operation in self.denied:
            raise AwsError("AccessDeniedException", "Not you")

    def _interfere(self, operation: str) -> None:
        if error := self.refuse.get(operation):
            raise error

    def _query(self, service: str, name: str, model: Any, body: bytes) -> Any:
        self._interfere(f"{service}:{name}")
        if name == "AssumeRole":
            return {"Credentials": _credentials("ASIAROLE") | {"SessionToken": "session"}}
        if service == "sts":
            return {"Account": ACCOUNT, "UserId": "AID", "Arn": f"arn:aws:iam::{ACCOUNT}:user/it"}
        values = MultiDict(parse_qsl(body.decode(), keep_blank_values=True))
        asked = QueryParser(model).parse({"values": values})  # type: ignore[typeddict-item] # all that it looks at
        return getattr(self.formation, _SNAKE.sub("_", name).lower())(asked)

    def _error(self, request: AWSPreparedRequest, service: str, error: AwsError) -> AWSResponse:
        if service in ("sts", "cloudformation"):
            told = (
                f"<Error><Type>Sender</Type><Code>{error.code}</Code><Message>{_xml(error.message)}</Message></Error>"
            )
            return self._answer(request, error.status_code, {}, f"<ErrorResponse>{told}</ErrorResponse>".encode())
        told = json.dumps({"__type": error.code, "message": error.message})
        return self._answer(request, error.status_code, {}, told.encode())

    def _answer(self, request: AWSPreparedRequest, status: int, headers: dict[str, str], body: bytes) -> AWSResponse:
        date = format_datetime(self.date or datetime.now(UTC), usegmt=True)
        told = HTTPHeaders()
        for name, value in {**headers, "Date": date}.items():
            told[name] = value
        return AWSResponse(request.url, status, told, _Raw(body))

    # --- S3 and Lambda ---

    def _s3(self, request: AWSPreparedRequest, name: str, key: str, body: bytes) -> AWSResponse:
        operation = storage.operation(request, key)
        self._note("s3", operation, b"")
        if error := self.refuse.get(f"s3:{operation}"):
            return self._answer(request, error.status_code, {}, b"")
        return self._answer(request, *storage.answer(self.buckets, request, name, key, body))

    def _lambda(self, request: AWSPreparedRequest, path: str, body: bytes) -> AWSResponse:
        name = unquote(path).split("/")[3].rpartition(":")[2]
        operation = "Invoke" if path.endswith("/invocations") else "GetFunctionConfiguration"
        self._note("lambda", operation, body)
        error = self.refuse.get(f"lambda:{operation}")
        if not error and name not in self.functions:
            error = AwsError("ResourceNotFoundException", "Function not found", 404)
        if error:
            told = json.dumps({"Type": "User", "Message": error.message}).encode()
            return self._answer(request, error.status_code, {"x-amzn-errortype": error.code}, told)
        if operation == "Invoke":
            assert header(request, "X-Amz-Invocation-Type") in ("", "RequestResponse")
            answer = self.invoked(name, json.loads(body))
            if isinstance(answer, bytes):
                return self._answer(request, 200, {}, answer)
            failed = {"X-Amz-Function-Error": "Unhandled"} if "errorMessage" in answer else {}
            return self._answer(request, 200, failed, json.dumps(answer).encode())
        changed = {"LastModified": self.modified[name]} if name in self.modified else {}
        told = json.dumps({"FunctionName": name, "CodeSha256": self.functions[name], **changed}).encode()
        return self._answer(request, 200, {}, told)

    # --- Parameter Store, Secrets Manager, CloudWatch Logs ---

    def _put_parameter(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._interfere("ssm:PutParameter")
        if asked["Name"] in self.parameters and not asked.get("Overwrite"):
            raise AwsError("ParameterAlreadyExists", "The parameter already exists.")
        if asked.get("Overwrite") and asked.get("Tags"):
            raise AwsError("ValidationException", "Invalid request: tags and overwrite can't be used together.")
        self.parameters[asked["Name"]] = asked
        self.parameter_tags.setdefault(asked["Name"], {}).update(
            {it["Key"]: it["Value"] for it in asked.get("Tags", [])}
        )
        return {"Version": 1}

    def _get_parameters(self, asked: dict[str, Any]) -> dict[str, Any]:
        there = [self.parameters[name] for name in asked["Names"] if name in self.parameters]
        missing = [name for name in asked["Names"] if name not in self.parameters]
        return {"Parameters": [{"Name": it["Name"]} for it in there], "InvalidParameters": missing}

    def _list_tags_for_resource(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["ResourceType"] == "Parameter"
        self._require_parameter(asked["ResourceId"])
        tags = self.parameter_tags.get(asked["ResourceId"], {})
        return {"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _add_tags_to_resource(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._require_parameter(asked["ResourceId"])
        tags = self.parameter_tags.setdefault(asked["ResourceId"], {})
        tags.update({it["Key"]: it["Value"] for it in asked["Tags"]})
        return {}

    def _require_parameter(self, name: str) -> None:
        if name not in self.parameters:
            raise AwsError("InvalidResourceId", "The resource ID is not valid.")

    def _find_secret(self, secret_id: str) -> Secret:
        """Find a secret by its name, its ARN, or its ARN without the last six characters."""
        for secret in self.secrets.values():
            if secret_id in (secret.name, secret.arn, secret.arn[:-7]):
                return secret
        raise AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")

    def _describe_secret(self, asked: dict[str, Any]) -> dict[str, Any]:
        secret = self._find_secret(asked["SecretId"])
        said = {"Name": secret.name, "ARN": secret.arn, "VersionIdsToStages": secret.labels, **secret.described}
        return {key: value for key, value in said.items() if value is not None}

    def _rotate_secret(self, asked: dict[str, Any]) -> dict[str, Any]:
        secret = self._find_secret(asked["SecretId"])
        self._interfere("secretsmanager:RotateSecret")
        return {"Name": secret.name, "ARN": secret.arn, "VersionId": self.rotate(secret)}

    def _list_secrets(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Two a page. What is scheduled for deletion is not listed unless that is asked for."""
        told = [self._describe_secret({"SecretId": it.name}) for it in self.secrets.values()]
        there = [it for it in told if "DeletedDate" not in it or it["Name"] in self.listed_late]
        first = int(asked.get("NextToken", 0))
        page = [{key: it[key] for key in it if key != "VersionIdsToStages"} for it in there[first : first + 2]]
        return {"SecretList": page, **({"NextToken": str(first + 2)} if first + 2 < len(there) else {})}

    def _list_secret_version_ids(self, asked: dict[str, Any]) -> dict[str, Any]:
        secret = self._find_secret(asked["SecretId"])
        return {"Versions": [{"VersionId": version, "CreatedDate": at} for version, at in secret.made.items()]}

    def _update_secret_version_stage(self, asked: dict[str, Any]) -> dict[str, Any]:
        secret, label, version = (
            self._find_secret(asked["SecretId"]),
            asked["VersionStage"],
            asked["RemoveFromVersionId"],
        )
        if label not in secret.labels.get(version, ()):
            raise AwsError("InvalidParameterException", f"The staging label {label} isn't attached to {version}.")
        kept = {it: [one for one in held if (it, one) != (version, label)] for it, held in secret.labels.items()}
        if moved := asked.get("MoveToVersionId"):
            kept[moved] = [*kept.get(moved, []), label]
        secret.labels = {it: held for it, held in kept.items() if held}
        return {"Name": secret.name, "ARN": secret.arn}

    def _pending(self, secret: Secret) -> str:
        if any("AWSPENDING" in it and "AWSCURRENT" not in it for it in secret.labels.values()):
            raise AwsError(
                "InvalidRequestException",
                "A previous rotation isn\u2019t complete. That rotation will be reattempted.",
            )
        secret.labels = {**secret.labels, "new": ["AWSPENDING"]}
        return "new"

    def _describe_log_groups(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._interfere("logs:DescribeLogGroups")
        names = sorted(name for name in self.log if name.startswith(asked["logGroupNamePrefix"]))
        return {"logGroups": [{"logGroupName": name} for name in names]}

    def _filter_log_events(self, asked: dict[str, Any]) -> dict[str, Any]:
        group = asked["logGroupName"]
        if group not in self.log:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        begin = asked.get("startTime", 0)
        events = [it for it in self.log[group] if begin <= it[0] * 1000 <= time.time() * 1000]
        first = int(asked.get("nextToken", 0))
        scanned = [it for it in events[first : first + 2] if _lets_through(asked.get("filterPattern", ""), it[1])]
        page = [{"timestamp": int(at * 1000), "message": text} for at, text in scanned]
        return {"events": page, **({"nextToken": str(first + 2)} if first + 2 < len(events) else {})}

    # --- What stacks make ---

    def _made(self, stack: Stack) -> None:
        given = stack.parameters
        if "BucketName" in given:
            usual = f"{given['ProjectName']}-{ACCOUNT}-{REGION}"
            earlier = f"{given['ProjectName']}-lambda-archive-{REGION}"
            name = {"<project>-<account>-<Region>": usual, "": earlier}.get(given["BucketName"], given["BucketName"])
            self.buckets.setdefault(name, Bucket())
            stack.outputs = {"BucketName": name}
        elif "ArtifactKey" in given:
            name, project = _function_of(given), given["ProjectName"]
            window = evaluated(stack.template, given).outputs.get("RotationWindow", "")
            outputs = {**function_outputs(project), "RotationWindow": window}
            stack.outputs = outputs if name == project else dict(caretaker_outputs(project))
            code = self.buckets[given["ArtifactBucket"]].objects[given["ArtifactKey"]]
            self.functions[name] = checksum(code)
        else:
            self._make_secret(stack)

    def _make_secret(self, stack: Stack) -> None:
        """Make a secret, or store what the template says again if that has changed."""
        name = stack.parameters.get("NamePrefix", "") + stack.parameters["SecretName"]
        new, value = name not in self.secrets, _secret_string(stack.template, stack.parameters)
        attached = {"RotationLambdaARN": stack.parameters["RotationFunctionArn"]}
        secret = self.add_secret(name, **attached) if new else self.secrets[name]
        if new or value != _secret_string(*stack.before):
            secret.value = value
        key = {"KeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"} if stack.parameters["OwnKey"] == "true" else {}
        stack.outputs = {"SecretArn": secret.arn, **key}
        if new and stack.parameters["RotateImmediately"] == "true":
            self.first_rotation(secret)

    def _unmade(self, stack: Stack) -> None:
        if "ArtifactKey" in stack.parameters:
            self.functions.pop(_function_of(stack.parameters), None)
        self.secrets = {
            name: it for name, it in self.secrets.items() if it.arn != stack.outputs.get("SecretArn", "none")
        }


def _lets_through(pattern: str, message: str) -> bool:
    """Tell whether a filter pattern lets a line through: one field that is a text, in quotation marks, or anything."""
    if not pattern:
        return True
    asked = re.fullmatch(r'\{ \$\.([a-z_]+) = "([^"*]+)" \}', pattern)
    assert asked, f"CloudWatch Logs does not take {pattern}, or takes it for something else"
    try:
        entry = json.loads(message)
    except ValueError:
        return False
    return isinstance(entry, dict) and entry.get(asked[1]) == asked[2]


def _succeeds(secret: Secret) -> None:
    secret.labels = {"old": ["AWSPREVIOUS"], "first": ["AWSCURRENT", "AWSPENDING"]}
    secret.value = "dckr_pat_made-by-the-first-rotation"


def _secret_string(template: str, parameters: Mapping[str, str]) -> str:
    return str(evaluated(template, parameters).properties("Secret")["SecretString"]) if template else ""


def function_outputs(project: str) -> Mapping[str, str]:
    """Return what the function's stack puts out."""
    return {
        "FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{project}",
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{project}",
        "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:{project}-alarms",
        "AlarmRoleArn": f"arn:aws:iam::{ACCOUNT}:role/{project}-alarms",
    }


def caretaker_outputs(project: str) -> Mapping[str, str]:
    """Return what the caretaker's stack puts out."""
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{project}-caretaker"
    return {"CaretakerArn": arn, "LogGroupName": f"/aws/lambda/{project}-caretaker"}


def _function_of(given: Mapping[str, str]) -> str:
    """Return the name of the function that a stack with these parameters has."""
    return f"{given['ProjectName']}-caretaker" if "RotationFunctionArn" in given else given["ProjectName"]


def _credentials(key: str) -> dict[str, str]:
    return {"AccessKeyId": key, "SecretAccessKey": "x", "Token": "session", "Expiration": "2099-01-01T00:00:00Z"}


class _Raw(io.BytesIO):
    """An answer's body, as botocore reads it."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def _bytes(body: Any) -> bytes:
    if hasattr(body, "read"):
        return _bytes(body.read())
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
