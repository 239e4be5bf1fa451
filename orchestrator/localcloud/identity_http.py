"""The HTTP faces of identity.

Plain HTTP, as Container Apps serves it to a replica:
    GET /msi/token?api-version=2019-08-01&resource=…[&client_id=|object_id=|mi_res_id=]
        with X-IDENTITY-HEADER
On the HTTPS port, without a token of their own:
    POST /{tenant}/oauth2/v2.0/token, /{tenant}/oauth2/token      client credentials
    POST /{tenant}/oauth2[/v2.0]/devicecode, GET …/authorize      refused: nobody signs in here
    GET  /{tenant}[/v2.0]/.well-known/openid-configuration, /{tenant}/discovery[/v2.0]/keys
    GET  /metadata/endpoints, /common/discovery/instance

Sources: "Managed identities in Azure Container Apps" (REST endpoint reference); "Microsoft identity
platform and the OAuth 2.0 client credentials flow"; az's cloud.py for the metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from orchestrator.localcloud.identity import ARM, ARM_AUDIENCES, Identity, Principal

LIFETIME = 24 * 3600
"""Seconds; managed identity tokens are valid for 24 hours."""


def identity_app(
    identity: Identity,
    stop: Callable[[], None],
    add_routes: Callable[[web.Application], None] = lambda app: None,
) -> web.Application:
    """The plain-HTTP listener's application.

    `POST /local/stop` with the header of the person at the machine calls `stop`: how a server is
    stopped where there are no signals. `add_routes` puts more under `/local/`.
    """
    app = web.Application(client_max_size=64 * 1024)
    add_routes(app)

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/local/stop" and request.method == "POST":
            if not is_owner(identity, request):
                return _msi_error(403, "Only the person at the machine may stop the local cloud.")
            stop()
            return web.json_response({"stopping": True}, status=202)
        if request.path.rstrip("/").lower() not in ("/msi/token", "/msi"):
            return _msi_error(404, "There is nothing here; tokens are at /msi/token.")
        if request.method != "GET":
            return _msi_error(405, f"{request.method} is not supported, only GET is.", allow="GET")
        return _managed_identity(identity, request)

    app.router.add_route("*", "/{path:.*}", handle)
    return app


def is_owner(identity: Identity, request: web.Request) -> bool:
    """Whether a request carries the header of the person at the machine, not of a replica."""
    grant = identity.grant(request.headers.get("X-IDENTITY-HEADER", ""))
    return grant is not None and grant.default is identity.owner


def _managed_identity(identity: Identity, request: web.Request) -> web.Response:
    header = request.headers.get("X-IDENTITY-HEADER")
    if header is None:
        return _msi_error(403, "The header X-IDENTITY-HEADER is missing.")
    grant = identity.grant(header)
    if grant is None:
        return _msi_error(403, "The header X-IDENTITY-HEADER is not the value of IDENTITY_HEADER.")
    query = {name.lower(): value for name, value in request.query.items()}
    resource = query.get("resource", "")
    if not resource:
        return _msi_error(400, "The query parameter 'resource' is missing.")
    named = [
        (kind, query[name])
        for name, kind in (
            ("client_id", "client_id"),
            ("clientid", "client_id"),
            ("object_id", "object_id"),
            ("principal_id", "object_id"),
            ("mi_res_id", "mi_res_id"),
            ("msi_res_id", "mi_res_id"),
        )
        if query.get(name)
    ]
    if len(named) > 1:
        return _msi_error(400, "Name one identity: client_id, object_id or mi_res_id.")
    principal: Principal | None
    if named:
        principal = identity.find(grant, *named[0])
        if principal is None:
            return _msi_error(
                400,
                "No User Assigned or Delegated Managed Identity found for specified "
                "ClientId/ResourceId/PrincipalId.",
            )
    else:
        principal = grant.default
        if principal is None:
            return _msi_error(
                400,
                "No System Assigned Managed Identity found: the job has none. Name one of its "
                "user-assigned identities, for instance with AZURE_CLIENT_ID.",
            )
    audience = resource.removesuffix("/.default") or resource
    token = identity.issue(
        audience,
        client_id=principal.client_id,
        object_id=principal.object_id,
        lifetime=LIFETIME,
        extra={"xms_mirid": principal.resource_id} if principal.resource_id else None,
    )
    return web.json_response(
        {
            "access_token": token,
            "expires_on": str(identity.expiry(token)),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": principal.client_id,
        },
        headers=_NO_STORE,
    )


_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _msi_error(status: int, message: str, *, allow: str = "") -> web.Response:
    headers = {"Allow": allow} if allow else None
    return web.json_response(
        {"statusCode": status, "message": message}, status=status, headers=headers
    )


# ------------------------------------------------------------- the HTTPS side ----


def add_login_routes(app: web.Application, identity: Identity) -> None:
    """Put the token endpoint, the discovery documents and the cloud metadata on `app`."""

    async def token(request: web.Request) -> web.Response:
        return await _token(identity, request)

    async def openid(request: web.Request) -> web.Response:
        if (error := _tenant_error(identity, request)) is not None:
            return error
        return web.json_response(_openid(identity, base_of(request)))

    async def keys(request: web.Request) -> web.Response:
        return web.json_response(identity.jwks())

    async def metadata(request: web.Request) -> web.Response:
        return web.json_response(
            cloud_metadata(base_of(request), request.query.get("api-version", ""))
        )

    async def instance(request: web.Request) -> web.Response:
        base = base_of(request)
        host = base.partition("://")[2]
        return web.json_response(
            {
                "tenant_discovery_endpoint": f"{base}/{identity.tenant}/v2.0"
                "/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [
                    {
                        "preferred_network": host,
                        "preferred_cache": host,
                        "aliases": [host],
                    }
                ],
            }
        )

    async def device_code(request: web.Request) -> web.Response:
        return _oauth_error(400, "unauthorized_client", 7000218, _NO_SIGN_IN)

    async def authorize(request: web.Request) -> web.Response:
        return web.Response(text=f"{_NO_SIGN_IN}\n", status=400, headers=_NO_STORE)

    add = app.router.add_route
    for path in ("/{tenant}/oauth2/v2.0", "/{tenant}/oauth2"):
        add("POST", f"{path}/token", token)
        add("POST", f"{path}/devicecode", device_code)
        add("GET", f"{path}/authorize", authorize)
    for path in (
        "/{tenant}/v2.0/.well-known/openid-configuration",
        "/{tenant}/.well-known/openid-configuration",
    ):
        add("GET", path, openid)
    for path in ("/{tenant}/discovery/v2.0/keys", "/{tenant}/discovery/keys"):
        add("GET", path, keys)
    add("GET", "/metadata/endpoints", metadata)
    add("GET", "/common/discovery/instance", instance)


def base_of(request: web.Request) -> str:
    """Where the caller reached us: `https://127.0.0.1:14443`."""
    return f"{request.scheme}://{request.host}"


_NO_SIGN_IN = (
    "Nobody signs in to the local cloud with a browser or a device code: whoever is at the machine "
    "is known by its identity endpoint (`az login --identity`; ManagedIdentityCredential with what "
    "`orchestrator local env` exports), programs by the secret of the application."
)

_TENANT_WORDS = ("common", "organizations", "consumers")


def _tenant_error(identity: Identity, request: web.Request) -> web.Response | None:
    tenant = request.match_info["tenant"]
    if tenant.lower() in (identity.tenant.lower(), *_TENANT_WORDS):
        return None
    return _oauth_error(
        400,
        "invalid_request",
        90002,
        f"Tenant '{tenant[:80]}' not found. This local cloud's tenant is {identity.tenant}.",
    )


async def _token(identity: Identity, request: web.Request) -> web.Response:
    if (error := _tenant_error(identity, request)) is not None:
        return error
    form = await request.post()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    grant = fields.get("grant_type", "")
    if not grant:
        return _oauth_error(
            400,
            "invalid_request",
            900144,
            "The request body must contain the following parameter: 'grant_type'.",
        )
    if grant != "client_credentials":
        return _oauth_error(
            400,
            "unsupported_grant_type",
            70003,
            f"The app requested an unsupported grant type '{grant[:80]}'; the local cloud knows "
            "client_credentials, and managed identities at its identity endpoint.",
        )
    if "client_assertion" in fields:
        return _oauth_error(
            401,
            "invalid_client",
            700027,
            "Client assertion failed signature validation: the local cloud knows no certificates "
            "and no federated tokens. Log in with the secret of its application, which is in "
            "cloud.json, or use its identity endpoint.",
        )
    client_id, secret = _client(request, fields)
    allowed = identity.application_allowed(client_id, secret)
    if allowed is None:
        return _oauth_error(
            400,
            "unauthorized_client",
            700016,
            f"Application with identifier '{client_id[:80]}' was not found in the directory.",
        )
    if not allowed:
        return _oauth_error(
            401,
            "invalid_client",
            7000215,
            "Invalid client secret provided. `orchestrator local env` shows the right one.",
        )
    scopes = fields.get("scope", "").split()
    resource = fields.get("resource")
    audience = resource or next((it for it in scopes if it.endswith("/.default")), "")
    if scopes and not audience:
        return _oauth_error(
            400,
            "invalid_scope",
            1002012,
            f"The provided value for scope {scopes[0][:200]} is not valid. Client credential flows "
            "must have a scope value with /.default suffixed to the resource identifier "
            "(application ID URI).",
        )
    if not audience:
        return _oauth_error(
            400,
            "invalid_request",
            900144,
            "The request body must contain the following parameter: 'scope'.",
        )
    audience = audience.removesuffix("/.default")
    token = identity.issue(
        audience,
        client_id=identity.application.client_id,
        object_id=identity.application.object_id,
    )
    body: dict[str, Any] = {
        "token_type": "Bearer",
        "expires_in": 3600,
        "ext_expires_in": 3600,
        "access_token": token,
    }
    if "resource" in fields:
        body |= {"expires_on": str(identity.expiry(token)), "resource": audience}
    return web.json_response(body, headers=_NO_STORE)


def _client(request: web.Request, fields: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret: from the form, or from HTTP Basic (RFC 6749, section 2.3.1)."""
    if "client_secret" not in fields and request.headers.get("Authorization", "")[:6] == "Basic ":
        from urllib.parse import unquote_plus

        from aiohttp import BasicAuth

        try:
            auth = BasicAuth.decode(request.headers["Authorization"], encoding="utf-8")
        except ValueError:
            return fields.get("client_id", ""), ""
        return unquote_plus(auth.login), unquote_plus(auth.password)
    return fields.get("client_id", ""), fields.get("client_secret", "")


def _oauth_error(status: int, error: str, code: int, message: str) -> web.Response:
    return web.json_response(
        {
            "error": error,
            "error_description": f"AADSTS{code}: {message}",
            "error_codes": [code],
        },
        status=status,
        headers=_NO_STORE,
    )


def _openid(identity: Identity, base: str) -> dict[str, Any]:
    tenant = f"{base}/{identity.tenant}"
    return {
        "issuer": identity.issuer,
        "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
        "token_endpoint": f"{tenant}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{tenant}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{tenant}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "response_types_supported": ["code", "id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "tenant_region_scope": None,
    }


def cloud_metadata(base: str, api_version: str) -> Any:
    """`/metadata/endpoints`: this cloud as one object since 2022-09-01, a list of clouds from
    2019-05-01 on, and only the three oldest endpoints before.

    `az cloud register` asks with 2022-09-01; `ARM_CLOUD_METADATA_URL` wants the list.
    `az cloud register` indexes `name`, `authentication.loginEndpoint` and
    `authentication.audiences[0]` without asking whether they are there. The tenant is `common` and
    the identity provider `AAD`, as in each of Azure's clouds: by anything else go-azure-sdk knows
    an Azure Stack, which Terraform's azurerm provider refuses.
    """
    authentication = {
        "loginEndpoint": base,
        "audiences": [f"{ARM}/", f"{ARM_AUDIENCES[1]}/"],
        "tenant": "common",
        "identityProvider": "AAD",
    }
    if api_version and api_version < "2019":
        return {
            "galleryEndpoint": base,
            "graphEndpoint": base,
            "portalEndpoint": base,
            "authentication": authentication,
        }
    cloud = {
        "name": "OrchestratorLocal",
        "portal": base,
        "authentication": authentication,
        "resourceManager": f"{base}/",
        "graph": base,
        "graphAudience": f"{base}/",
        "microsoftGraphResourceId": f"{base}/",
        "activeDirectoryDataLake": "",
        "batch": f"{base}/",
        "media": base,
        "sqlManagement": base,
        "gallery": base,
        "logAnalyticsResourceId": base,
        # By this name `az monitor log-analytics query` asks every cloud but Azure's public one.
        "logAnalyticslogAnalyticsResourceId": base,
        "vmImageAliasDoc": "",
        "suffixes": {
            "acrLoginServer": "azurecr.io",
            "attestationEndpoint": "attest.azure.net",
            "azureFrontDoorEndpointSuffix": "azurefd.net",
            "keyVaultDns": "vault.azure.net",
            "mariadbServerEndpoint": "mariadb.database.azure.com",
            "mhsmDns": "managedhsm.azure.net",
            "mysqlServerEndpoint": "mysql.database.azure.com",
            "postgresqlServerEndpoint": "postgres.database.azure.com",
            "serviceBus": "servicebus.windows.net",
            "sqlServerHostname": "database.windows.net",
            "storage": "core.windows.net",
            "storageSyncEndpointSuffix": "afs.azure.net",
            "synapseAnalytics": "dev.azuresynapse.net",
        },
    }
    return cloud if api_version >= "2022" else [cloud]
