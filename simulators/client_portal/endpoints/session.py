"""Pages of the sessions: keep-alive, status, sign in again, sign out."""

from typing import Any

from simulators.client_portal.call import Call
from simulators.client_portal.session import Standing
from simulators.client_portal.wire import Json, Refusal

_MACHINE = {"MAC": "00:00:00:00:00:00", "hardware_info": "simulated|00:00:00:00:00:00"}
_SERVER = {"serverName": "JifSimulated", "serverVersion": "Build 10.25.0m, simulated"}
USER = 99_000_001


def _status(call: Call) -> Json:
    session = call.gateway.session
    up = session.standing is Standing.UP
    return {
        "authenticated": up,
        "competing": session.competing,
        "connected": session.standing in (Standing.UP, Standing.COMPETING, Standing.UNAUTHENTICATED),
        "message": "",
        **_MACHINE,
        "serverInfo": dict(_SERVER),
    }


def status(call: Call) -> Json:
    """Answer ``/iserver/auth/status``."""
    return {**_status(call), "fail": ""}


def tickle(call: Call) -> Json:
    """Answer ``/tickle``."""
    session = call.gateway.session
    return {
        "session": session.key,
        "ssoExpires": session.expires_in_ms(call.now),
        # spelled so by the gateway
        "collission": False,
        "userId": USER,
        "hmds": {"error": "no bridge"},
        "iserver": {"authStatus": _status(call)},
    }


def validate(call: Call) -> Json:
    """Answer ``/sso/validate``."""
    return {
        "USER_ID": USER,
        "USER_NAME": "simulated",
        "RESULT": True,
        "AUTH_TIME": round(call.now.timestamp() * 1000),
        "SF_ENABLED": False,
        "IS_FREE_TRIAL": False,
        "CREDENTIAL": "simulated",
        "IP": "127.0.0.1",
        "EXPIRES": call.gateway.session.expires_in_ms(call.now),
        "LOGIN_TYPE": 2,
        "PAPER_USER_NAME": "simulated",
        "REGION": "NJ",
    }


def initialise(call: Call) -> Json:
    """Answer ``/iserver/auth/ssodh/init``: open the brokerage session; ``publish`` has to be true."""
    fields = call.fields()
    if fields.get("publish") is not True:
        raise Refusal(500, "failed to generate sso dh token")
    call.gateway.session.authenticate(call.now, compete=fields.get("compete") is True)
    return status(call)


def reauthenticate(call: Call) -> Json:
    """Answer ``/iserver/reauthenticate``, the older way, which takes nothing over from another session."""
    call.gateway.session.authenticate(call.now, compete=False)
    return {"message": "triggered"}


def log_out(call: Call) -> Any:
    """Answer ``/logout``."""
    call.gateway.session.log_out()
    return {"status": True}
