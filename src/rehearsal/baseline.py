"""A plain rotation function's first step, with boto3 and requests: what `make bench` compares the cold start with.

Its steps are those that tutorials show: read the account's parameters one by one, log in, create a token, store it.
It has no timeouts, checks nothing and repeats nothing.
"""

import datetime as dt
import os

import boto3
import requests


def lambda_handler(event: dict[str, str], _context: object) -> None:
    """Make a token and store it as the pending version's value."""
    hub = os.environ["DOCKERHUB_API_URL"]
    ssm = boto3.client("ssm")

    def parameter(name: str) -> str:
        return ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]

    credential = {"username": parameter("DOCKER_HUB_USERNAME"), "password": parameter("DOCKER_HUB_PASSWORD")}
    login = requests.post(f"{hub}/v2/users/login", json=credential).json()["token"]  # noqa: S113 - as tutorials do
    created = requests.post(  # noqa: S113
        f"{hub}/v2/access-tokens",
        headers={"Authorization": f"Bearer {login}"},
        json={"token_label": f"Token:{dt.datetime.now()}", "scopes": ["repo:admin"]},  # noqa: DTZ005
    ).json()
    boto3.client("secretsmanager").put_secret_value(
        SecretId=event["SecretId"],
        ClientRequestToken=event["ClientRequestToken"],
        SecretString=created["token"],
        VersionStages=["AWSPENDING"],
    )
