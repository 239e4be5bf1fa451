"""The node `$cbs` of a connection: a client puts tokens there, and may then use what they grant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.localcloud.amqp.types import Int
from orchestrator.localcloud.servicebus.front.cbs import Grants, TokenRefusedError
from orchestrator.localcloud.servicebus.front.faults import Strike, server_busy
from orchestrator.localcloud.servicebus.front.links.request import Reply
from orchestrator.localcloud.servicebus.front.messages import Request, response

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.front.listeners import ServiceBusFront
    from orchestrator.localcloud.servicebus.front.peer import Peer


class CbsNode:
    """grants: what the tokens of the connection allow, to be added to. dialled: the name by which
    its client has reached this server."""

    def __init__(
        self, peer: Peer, front: ServiceBusFront, grants: Grants, dialled: str | None
    ) -> None:
        self._peer = peer
        self._front = front
        self._grants = grants
        self._dialled = dialled

    def serve(self, request: Request, reply: Reply) -> None:
        """Answer a request to put a token."""
        status, description = 202, "Accepted"
        strike = self._peer.strike("token", "", "")
        if strike in (Strike.CUT, Strike.CUT_AFTER):
            self._peer.cut()
            return
        if strike is Strike.BUSY:
            status, description = 503, server_busy().description
        elif request.text("operation") != "put-token":
            status, description = 400, "The only operation of $cbs is put-token."
        elif not isinstance(request.body, str):
            status, description = 400, "The body of a put-token request must be a string."
        else:
            name = request.text("name") or ""
            try:
                grant = self._front.tokens.check(request.body, name, self._front.token_clock.time())
            except TokenRefusedError as error:
                status, description = error.status, error.message
            else:
                missing = self._front.tokens.missing(name, self._dialled)
                if missing is not None:
                    status, description = 404, missing
                else:
                    self._grants.add(grant)
                    self._front.expiry_changed(grant.expires_at)
        reply(
            response(
                request,
                {"status-code": Int(status), "status-description": description},
                None,
            )
        )
