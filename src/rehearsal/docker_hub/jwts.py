"""JSON web tokens: issued and checked, for the Hub API and for the registry."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from flask import request

from rehearsal.docker_hub.account import Account


class Jwts(Account):
    """Docker Hub's signature.

    Attributes:
        certificate: Its own, whose key signs every JWT: what a registry must trust to take the tokens of `/token`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _self_signed(self._key)
        self._verified: dict[tuple[str, str], dict[str, Any]] = {}  # claims by JWT and audience, which last for ever

    def _sign(self, issuer: str, audience: str, lifetime: float, **claims: object) -> str:
        """Sign in a way that a registry can check: https://distribution.github.io/distribution/spec/auth/jwt/."""
        now = int(self.clock())
        claims |= {"iss": issuer, "aud": audience, "iat": now, "exp": now + int(lifetime)}
        chain = [base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()]
        signed = jwt.encode(claims, self._key, "ES256", {"x5c": chain})
        self.issued.add(signed)
        return signed

    def _bearer_claims(self, audience: str) -> dict[str, Any] | None:
        bearer = request.authorization
        if bearer is None or bearer.type != "bearer" or bearer.token is None:
            return None
        options: jwt.types.Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        seen = (bearer.token, audience)
        try:
            if seen not in self._verified:
                claims = jwt.decode(bearer.token, self._key.public_key(), ["ES256"], options, audience=audience)
                self._verified[seen] = claims
        except jwt.InvalidTokenError:
            return None
        claims = self._verified[seen]
        return claims if claims["exp"] > self.clock() else None  # PyJWT would ask the machine's clock


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Certify a key as Docker's, for all times: a registry goes by the machine's clock, Docker Hub by its own."""
    docker = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "auth.docker.io")])
    return (
        x509.CertificateBuilder(docker, docker, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
