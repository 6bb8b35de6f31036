"""The store's routes as typed calls, each through the attested channel; there is no other way to make one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import httpx2

from strongroom.base.errors import (
    AnchorUnavailable,
    ClientNotAttested,
    Conflict,
    Denied,
    DevicePending,
    DeviceRevoked,
    HeadMoved,
    Malformed,
    MalformedEntry,
    MalformedMessage,
    MalformedRecord,
    NotAuthorised,
    QuotaExceeded,
    SecondFactorMissing,
    SecondFactorNeeded,
    StorageUnavailable,
    StoreUnreachable,
    StrongroomError,
    TenantSuspended,
    TenantUnknown,
    TooManyGuesses,
    Unavailable,
    VaultBehind,
)
from strongroom.formats import account_api, device_api
from strongroom.formats import store_api as api

if TYPE_CHECKING:
    from strongroom.transport.client import AttestedTransport
    from strongroom.verifier.binding import AttestedPeer

__all__ = ["AccountExists", "StoreApi"]

T = TypeVar("T", bound=api.Body)


class AccountExists(Conflict):
    """The name is taken."""

    code = "account-exists"


_FAMILIES: dict[str, type[StrongroomError]] = {
    family.code: family
    for family in (
        AccountExists,
        AnchorUnavailable,
        ClientNotAttested,
        Conflict,
        Denied,
        DevicePending,
        DeviceRevoked,
        HeadMoved,
        Malformed,
        MalformedEntry,
        MalformedMessage,
        MalformedRecord,
        NotAuthorised,
        QuotaExceeded,
        SecondFactorMissing,
        SecondFactorNeeded,
        StorageUnavailable,
        TenantSuspended,
        TenantUnknown,
        TooManyGuesses,
        Unavailable,
        VaultBehind,
    )
}


class StoreApi:
    """One store, spoken to by one client. ``tenant`` is whose store it is within the deployment (16 bytes)."""

    def __init__(self, transport: AttestedTransport, *, tenant: bytes | None = None) -> None:
        self._transport = transport
        self._http = httpx2.Client(
            transport=transport,
            base_url="https://store.strongroom.invalid",
            headers={} if tenant is None else {api.TENANT_HEADER: tenant.hex()},
            trust_env=False,
        )

    def peer(self) -> AttestedPeer:
        """Return whom this client is talking to, proven."""
        return self._transport.peer()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def register_start(self, body: api.RegisterStart) -> api.RegisterStarted:
        """Send an OPAQUE registration request."""
        return self.call("/v1/accounts/register/start", body, api.RegisterStarted)

    def register_finish(self, body: api.RegisterFinish) -> api.Appended:
        """Make the account and its vault; ``AccountExists`` when the name is taken."""
        return self.call("/v1/accounts/register/finish", body, api.Appended)

    def login_start(self, body: api.LoginStart) -> api.LoginStarted:
        """Send KE1."""
        return self.call("/v1/sessions/login/start", body, api.LoginStarted)

    def login_finish(self, body: api.LoginFinish) -> api.AccountView:
        """Send KE3; ``NotAuthorised`` when it does not fit."""
        return self.call("/v1/sessions/login/finish", body, api.AccountView)

    def prove_device(self, body: api.DeviceSession) -> api.DeviceProven:
        """Prove this device in this session."""
        return self.call("/v1/sessions/device", body, api.DeviceProven)

    def restores(self, body: api.AskRestores) -> api.Restores:
        """Ask what the deployment has signed about restores."""
        return self.call("/v1/restores", body, api.Restores)

    def ask_factor(self, body: account_api.AskFactor) -> account_api.FactorAsked:
        """Ask which second factors will do."""
        return self.call("/v1/sessions/factor/start", body, account_api.FactorAsked)

    def prove_factor(self, body: account_api.ProveFactor) -> api.AccountView:
        """Show a second factor."""
        return self.call("/v1/sessions/factor", body, api.AccountView)

    def list_factors(self, body: account_api.ListFactors) -> account_api.FactorList:
        """List the account's second factors."""
        return self.call("/v1/account/factors/list", body, account_api.FactorList)

    def add_totp(self, body: account_api.AddTotp) -> account_api.TotpSecret:
        """Get a secret for an authenticator application."""
        return self.call("/v1/account/factors/totp/start", body, account_api.TotpSecret)

    def add_totp_finish(self, body: account_api.AddTotpFinish) -> account_api.FactorAdded:
        """Show that the application has it."""
        return self.call("/v1/account/factors/totp/finish", body, account_api.FactorAdded)

    def add_key(self, body: account_api.AddKey) -> account_api.KeyOptions:
        """Get a challenge for a new security key."""
        return self.call("/v1/account/factors/key/start", body, account_api.KeyOptions)

    def add_key_finish(self, body: account_api.AddKeyFinish) -> account_api.FactorAdded:
        """Give the key's answer."""
        return self.call("/v1/account/factors/key/finish", body, account_api.FactorAdded)

    def remove_factor(self, body: account_api.RemoveFactor) -> account_api.FactorRemoved:
        """Remove a second factor."""
        return self.call("/v1/account/factors/remove", body, account_api.FactorRemoved)

    def password_start(self, body: account_api.PasswordStart) -> account_api.PasswordStarted:
        """Send an OPAQUE registration request for another password."""
        return self.call("/v1/account/password/start", body, account_api.PasswordStarted)

    def password_finish(self, body: account_api.PasswordFinish) -> account_api.PasswordChanged:
        """Exchange the password."""
        return self.call("/v1/account/password/finish", body, account_api.PasswordChanged)

    def read_log(self, body: account_api.ReadLog) -> account_api.AccountLog:
        """Read what happened to the account."""
        return self.call("/v1/account/log", body, account_api.AccountLog)

    def delete_account(self, body: account_api.DeleteAccount) -> account_api.Deleted:
        """Delete the account and its vault."""
        return self.call("/v1/account/delete", body, account_api.Deleted)

    def fetch(self, body: api.FetchPage) -> api.Page:
        """Fetch the head and entries."""
        return self.call("/v1/vault/fetch", body, api.Page)

    def append(self, body: api.Append) -> api.Appended:
        """Append entries; ``HeadMoved`` when the head is no longer the expected one."""
        return self.call("/v1/vault/append", body, api.Appended)

    def read_account(self, body: api.ReadAccount) -> api.AccountView:
        """Ask for the account as it is now."""
        return self.call("/v1/accounts/view", body, api.AccountView)

    def renew_keys(self, body: api.RenewKeys) -> api.Appended:
        """Renew the account's keys; ``HeadMoved`` when the head is no longer the expected one."""
        return self.call("/v1/accounts/renew-keys", body, api.Appended)

    def prove_history(self, body: api.ProveHistory) -> api.HistoryProven:
        """Ask for consistency paths."""
        return self.call("/v1/vault/prove", body, api.HistoryProven)

    def publish_view(self, body: api.PublishView) -> api.ViewKept:
        """Give the store this device's new statement."""
        return self.call("/v1/vault/view", body, api.ViewKept)

    def hand_back(self, body: api.HandBack) -> api.Appended:
        """Give the store entries back that it has lost."""
        return self.call("/v1/vault/hand-back", body, api.Appended)

    def list_devices(self, body: device_api.ListDevices) -> device_api.DeviceList:
        """Fetch what the store notes of the account's devices."""
        return self.call("/v1/devices/list", body, device_api.DeviceList)

    def ask_for_approval(self, body: device_api.AskForApproval) -> device_api.Done:
        """Ask the account's devices to admit this one."""
        return self.call("/v1/devices/ask", body, device_api.Done)

    def await_approval(self, body: device_api.AwaitApproval) -> device_api.Awaited:
        """Ask what has become of that."""
        return self.call("/v1/devices/await", body, device_api.Awaited)

    def approve_device(self, body: device_api.Approve) -> api.Appended:
        """Admit a device; ``HeadMoved`` when the head is no longer the expected one."""
        return self.call("/v1/devices/approve", body, api.Appended)

    def enrol(self, body: device_api.Enrol) -> device_api.Enrolled:
        """Get a certificate for the device that this session has proven."""
        return self.call("/v1/devices/enrol", body, device_api.Enrolled)

    def demand_evidence(self, body: device_api.DemandEvidence) -> device_api.Done:
        """Have the account admit attested devices only, or any again."""
        return self.call("/v1/devices/demand-evidence", body, device_api.Done)

    def refuse_device(self, body: device_api.RefuseDevice) -> device_api.Done:
        """Have a request forgotten."""
        return self.call("/v1/devices/refuse", body, device_api.Done)

    def call(self, path: str, body: api.Body, answer: type[T]) -> T:
        """Ask any route; raises the family that the store names."""
        response = self._http.post(path, content=api.encode(body), headers={"content-type": "application/json"})
        if response.status_code == 200:
            return api.decode(response.content, answer)
        raise _error(response)


def _error(response: httpx2.Response) -> StrongroomError:
    """Turn the store's refusal into its family. It came through the channel, so it is the enclave's own word."""
    try:
        body = api.decode(response.content, api.ErrorBody)
    except MalformedMessage:
        return StoreUnreachable(f"the store answered with status {response.status_code}")
    family = _FAMILIES.get(body.error, StoreUnreachable)
    return family(body.message or f"the store answered with status {response.status_code}", hint=body.hint)
