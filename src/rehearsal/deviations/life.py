"""Tokens that are made, changed, disabled or deleted otherwise than assumed."""

from __future__ import annotations

from typing import Any

import flask
from flask import Response

from rehearsal.deviations.kinds import LATE_SECONDS, OfTokens, TakesDisabledTokens, deviates, refusal
from rehearsal.docker_hub import DockerHub, Token


@deviates("creation")
class _MakesTokensOfAnotherForm(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        if token["token"] != "***":
            self.tokens[token["uuid"]].value = token["token"] = token["token"].replace("dckr_pat_", "dckr_new_")


@deviates("scopes-kept")
class _TellsNoScopes(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["scopes"] = []


@deviates("creation-time")
class _TellsTimesWithoutZone(OfTokens):
    def tell(self, token: dict[str, Any]) -> None:
        token["created_at"] = token["created_at"].removesuffix("Z")


@deviates("expiry")
class _TakesNoExpiry(DockerHub):
    def _create_token(self) -> Response:
        if "expires_at" in flask.request.get_json():
            return refusal(400, "body is invalid")
        return super()._create_token()


@deviates("change-answer")
class _ChangesWithoutAWord(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        super()._patch_token(uuid)
        return Response(status=204)


@deviates("change-takes-effect")
class _DisablesNoToken(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        answer = super()._patch_token(uuid)
        self.tokens[uuid].active = True
        return answer


@deviates("change-keeps-the-rest")
class _ChangesScopesAsWell(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        self._require_manager()
        self._existing_token(uuid).scopes = ("repo:read",)
        return super()._patch_token(uuid)


@deviates("label-kept")
class _LabelsAreCutOff(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        answer = super()._patch_token(uuid)
        self.tokens[uuid].label = self.tokens[uuid].label[:64]
        return answer


@deviates("change-again")
class _RefusesWhatChangesNothing(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        self._require_manager()
        token = self._existing_token(uuid)
        before = token.label, token.active
        answer = super()._patch_token(uuid)
        return answer if (token.label, token.active) != before else refusal(400, "nothing to change")


@deviates("disabled-at-hub")
class _HubTakesDisabledTokens(TakesDisabledTokens):
    def takes(self, token: Token, at_the_hub: bool) -> bool:
        return at_the_hub


@deviates("disabled-at-registry")
class _RegistryTakesDisabledTokens(TakesDisabledTokens):
    def takes(self, token: Token, at_the_hub: bool) -> bool:
        return not at_the_hub


@deviates("disabled-at-once")
class _DisablesSlowly(TakesDisabledTokens):
    def __post_init__(self) -> None:
        super().__post_init__()
        self._disabled_at: dict[str, float] = {}

    def takes(self, token: Token, at_the_hub: bool) -> bool:
        return self.clock() - self._disabled_at[token.uuid] < LATE_SECONDS

    def _patch_token(self, uuid: str) -> Response:
        answer = super()._patch_token(uuid)
        self._disabled_at[uuid] = self.clock()
        return answer


@deviates("enabled-again")
class _DisablesForGood(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        was_active = self.tokens[uuid].active if uuid in self.tokens else True
        answer = super()._patch_token(uuid)
        if not was_active:
            self.tokens[uuid].expires_at = self._now()
        return answer


@deviates("deletion")
class _DeletesWithABody(DockerHub):
    def _delete_token(self, uuid: str) -> Response:
        super()._delete_token(uuid)
        return flask.make_response({"deleted": True}, 200)


@deviates("deletion-again")
class _RefusesASecondDeletion(DockerHub):
    def _delete_token(self, uuid: str) -> Response:
        self._require_manager()
        return super()._delete_token(uuid) if uuid in self.tokens else refusal(400, "bad request")


@deviates("change-of-gone")
class _RefusesToChangeWhatIsGone(DockerHub):
    def _patch_token(self, uuid: str) -> Response:
        self._require_manager()
        return super()._patch_token(uuid) if uuid in self.tokens else refusal(400, "bad request")


@deviates("gone-token")
class _RefusesToReadWhatIsGone(DockerHub):
    def _get_token(self, uuid: str) -> Response:
        self._require_manager()
        return super()._get_token(uuid) if uuid in self.tokens else refusal(410, "gone")
