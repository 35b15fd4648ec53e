"""Sign-in through a company's own OpenID provider: the code flow with PKCE, in front of Streamlit. The provider says who somebody is; the books alone
say whether that is a user, and with which roles.

Order: 1. the browser gets a signed cookie with state, nonce and verifier, and goes to the provider; 2. it comes back with a code; 3. the code is
changed for an ID token, whose signature, issuer, audience, times and nonce are checked; 4. its claim names the user. Nothing is stored on the way:
who stops in between begins again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx2
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

START, BACK = "/oidc/login", "/oidc/back"
ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA"]
"""Signatures with a key that the provider alone has."""
WAIT_S = 600
"""How long somebody may take at the provider."""
TIMEOUT_S = 8.0
LEEWAY_S = 60
"""How far the clocks of the provider and of this machine may differ."""


class Refused(Exception):
    """Nobody is signed in; the text says why, for the person."""


@dataclass(frozen=True)
class Provider:
    """`claim`: what names the user; of "email" the provider must have verified the address. `label`: as on the form."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    claim: str = "email"
    label: str = "your company's sign-in"


class Begun(NamedTuple):
    """Where the browser goes, and the cookie that it brings back."""

    url: str
    cookie: str


class Oidc:
    """Asks one provider. `key` signs the cookie. Its methods wait for the provider: call them in a thread."""

    def __init__(self, provider: Provider, key: bytes) -> None:
        self.provider = provider
        self._key = hmac.new(key, b"oidc", "sha256").digest()
        self._known: dict[str, Any] = {}

    def begin(self, redirect_uri: str, after: str, now_s: int) -> Begun:
        """Raises `Refused` where the provider does not answer."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code", "client_id": self.provider.client_id, "redirect_uri": redirect_uri, "scope": "openid email profile",
            "state": state, "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        place = str(self._metadata()["authorization_endpoint"])
        return Begun(f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}", self._sealed([state, nonce, verifier, after, now_s + WAIT_S]))

    def end(self, query: Mapping[str, str], cookie: str, redirect_uri: str, now_s: int) -> tuple[str, str]:
        """The name of who signed in at the provider, and where to go. Raises `Refused`."""
        state, nonce, verifier, after, until_s = self._opened(cookie)
        if now_s >= until_s or not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
            raise Refused("This sign-in was begun in another browser, or more than ten minutes ago. Begin again.")
        if "code" not in query:
            reason = query.get("error_description") or query.get("error") or "it gives no reason"
            raise Refused(f"{self.provider.issuer} has not signed you in: {reason[:200]}.")
        sent = {"grant_type": "authorization_code", "code": query["code"], "redirect_uri": redirect_uri, "code_verifier": verifier}
        known = self._metadata()
        basic = "client_secret_basic" in known.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        own = (self.provider.client_id, self.provider.client_secret)
        if not basic:
            sent |= dict(zip(("client_id", "client_secret"), own, strict=True))
        answer = self._fetch("POST", str(known["token_endpoint"]), data=sent, auth=own if basic else None)
        return self.name_of(str(answer.get("id_token", "")), nonce, now_s), after

    def name_of(self, token: str, nonce: str, now_s: int) -> str:
        """The user that an ID token names, in small letters. Raises `Refused`."""
        try:
            keys = KeySet.import_key_set(self._fetch("GET", str(self._metadata()["jwks_uri"])))  # type: ignore[arg-type]
            claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                now=now_s, leeway=LEEWAY_S, iss={"essential": True, "value": self.provider.issuer}, exp={"essential": True},
                aud={"essential": True, "value": self.provider.client_id}, nonce={"essential": True, "value": nonce},
            ).validate(claims)  # fmt: skip
        except (JoseError, ValueError) as wrong:
            raise Refused(f"What {self.provider.issuer} says of you cannot be trusted: {wrong}.") from None
        if claims.get("azp", self.provider.client_id) != self.provider.client_id:
            raise Refused(f"What {self.provider.issuer} says of you is for another application.")
        name = claims.get(self.provider.claim)
        if not isinstance(name, str) or not name:
            raise Refused(f"{self.provider.issuer} does not say your {self.provider.claim}.")
        if self.provider.claim == "email" and claims.get("email_verified") is not True:
            raise Refused(f"{self.provider.issuer} has not verified the address {name[:80]}.")
        return name.lower()

    def _metadata(self) -> dict[str, Any]:
        """What the provider says of itself, fetched once."""
        if not self._known:
            found = self._fetch("GET", f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.provider.issuer:
                itself = str(found.get("issuer"))[:80]
                raise Refused(f"{self.provider.issuer} calls itself {itself!r}: RINGFENCE_PAGES_OIDC_ISSUER must be just that.")
            self._known = found
        return self._known

    def _fetch(self, method: str, url: str, **sent: Any) -> dict[str, Any]:
        try:
            answer = httpx2.request(method, url, timeout=TIMEOUT_S, headers={"Accept": "application/json"}, **sent)
            answer.raise_for_status()
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except (httpx2.HTTPError, msgspec.DecodeError) as wrong:
            what = f"{self.provider.issuer} does not answer as an OpenID provider does: {type(wrong).__name__}"
            raise Refused(f"{what}. A password still works.") from None

    def _sealed(self, content: list[Any]) -> str:
        body = base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")
        return f"{body}.{hmac.new(self._key, body.encode(), 'sha256').hexdigest()}"

    def _opened(self, cookie: str) -> tuple[str, str, str, str, int]:
        body, _, signature = cookie.rpartition(".")
        own = hmac.new(self._key, body.encode("utf-8", "replace"), "sha256").hexdigest()
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), own.encode()):
            raise Refused("This sign-in was begun in another browser, or more than ten minutes ago. Begin again.")
        return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=tuple[str, str, str, str, int])
