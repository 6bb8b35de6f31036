"""The store's routes, declared once: the router (``store.http``) and the OpenAPI document derive from this table.

A route is one line of it: path, operation, the bodies both ways, what the session has to have proven, and the errors
that the operation itself can end in. What any route can end in is in ``COMMON_ERRORS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from strongroom.base.errors import (
    AnchorUnavailable,
    ChannelRefused,
    ClientNotAttested,
    Conflict,
    DevicePending,
    DeviceRevoked,
    HeadMoved,
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
from strongroom.formats import account_api, device_api
from strongroom.formats import store_api as api
from strongroom.store.account_operations import AccountOperations
from strongroom.store.accounts import AccountExists
from strongroom.store.device_operations import DeviceOperations
from strongroom.store.service import StoreService
from strongroom.store.sessions import ChannelSession, Grade

if TYPE_CHECKING:
    from strongroom.base.errors import StrongroomError

__all__ = ["COMMON_ERRORS", "STORE_ROUTES", "Route", "route"]

S = TypeVar("S")
Asked = TypeVar("Asked", bound=api.Body)
Given = TypeVar("Given", bound=api.Body)

COMMON_ERRORS: Final[tuple[type[StrongroomError], ...]] = (
    MalformedMessage,
    ChannelRefused,
    NotAuthorised,
    TenantUnknown,
    TenantSuspended,
    QuotaExceeded,
    StorageUnavailable,
    Unavailable,
)
"""What every route can end in: no body, no channel, another tenant's session, a closed tenant, no database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[S]):
    """One route of a service of type ``S``. ``operation`` takes that service, the session and the decoded body."""

    method: str
    path: str
    operation: Callable[[S, ChannelSession, Any], api.Body]
    request: type[api.Body]
    response: type[api.Body]
    summary: str
    grade: Grade
    errors: tuple[type[StrongroomError], ...]

    @property
    def name(self) -> str:
        """The operation's name, the same in the OpenAPI document, in metrics and in traces."""
        return self.path.removeprefix("/v1/").replace("/", "_").replace("-", "_")


def route(
    path: str,
    operation: Callable[[S, ChannelSession, Asked], Given],
    request: type[Asked],
    response: type[Given],
    summary: str,
    *,
    grade: Grade,
    errors: tuple[type[StrongroomError], ...] = (),
) -> Route[S]:
    """Declare a route; the types of its bodies are held to those of its operation by the type checker."""
    needs = () if grade is Grade.NOTHING else (DevicePending, DeviceRevoked, ClientNotAttested)
    every = tuple(dict.fromkeys((*errors, *needs, *COMMON_ERRORS)))
    return Route(
        method="POST",
        path=path,
        operation=operation,
        request=request,
        response=response,
        summary=summary,
        grade=grade,
        errors=every,
    )


def _of_devices(
    operation: Callable[[DeviceOperations, ChannelSession, Asked], Given],
) -> Callable[[StoreService, ChannelSession, Asked], Given]:
    def call(service: StoreService, session: ChannelSession, body: Asked) -> Given:
        return operation(service.devices, session, body)

    return call


def _of_owner(
    operation: Callable[[AccountOperations, ChannelSession, Asked], Given],
) -> Callable[[StoreService, ChannelSession, Asked], Given]:
    def call(service: StoreService, session: ChannelSession, body: Asked) -> Given:
        return operation(service.owner, session, body)

    return call


STORE_ROUTES: Final[tuple[Route[StoreService], ...]] = (
    route(
        "/v1/accounts/register/start",
        StoreService.register_start,
        api.RegisterStart,
        api.RegisterStarted,
        "Answer an OPAQUE registration request",
        grade=Grade.NOTHING,
    ),
    route(
        "/v1/accounts/register/finish",
        StoreService.register_finish,
        api.RegisterFinish,
        api.Appended,
        "Make the account and its vault with the first device",
        grade=Grade.NOTHING,
        errors=(AccountExists, Conflict, MalformedEntry),
    ),
    route(
        "/v1/sessions/login/start",
        StoreService.login_start,
        api.LoginStart,
        api.LoginStarted,
        "Answer KE1 of a login with KE2, once the attempt is counted",
        grade=Grade.NOTHING,
        errors=(TooManyGuesses, AnchorUnavailable),
    ),
    route(
        "/v1/sessions/login/finish",
        StoreService.login_finish,
        api.LoginFinish,
        api.AccountView,
        "Check KE3; the session then is the account's, or a second factor is still to come",
        grade=Grade.NOTHING,
        errors=(SecondFactorNeeded,),
    ),
    route(
        "/v1/sessions/device",
        StoreService.prove_device,
        api.DeviceSession,
        api.DeviceProven,
        "Check a device's signature over this session; the session then is that device's",
        grade=Grade.NOTHING,
        errors=(DevicePending, DeviceRevoked),
    ),
    route(
        "/v1/vault/fetch",
        StoreService.fetch,
        api.FetchPage,
        api.Page,
        "Give a page of the vault's entries and the head of this moment",
        grade=Grade.ACCOUNT,
        errors=(SecondFactorMissing, MalformedEntry),
    ),
    route(
        "/v1/vault/append",
        StoreService.append,
        api.Append,
        api.Appended,
        "Append entries to exactly this head, all or none",
        grade=Grade.ACCOUNT,
        errors=(HeadMoved, Conflict, MalformedEntry, MalformedRecord, SecondFactorMissing, VaultBehind),
    ),
    route(
        "/v1/accounts/view",
        StoreService.read_account,
        api.ReadAccount,
        api.AccountView,
        "Give a device its account as it is now",
        grade=Grade.DEVICE,
    ),
    route(
        "/v1/accounts/renew-keys",
        StoreService.renew_keys,
        api.RenewKeys,
        api.Appended,
        "Keep the account's keys with a new generation and append the entries that begin it",
        grade=Grade.DEVICE,
        errors=(HeadMoved, Conflict, MalformedEntry, MalformedRecord, VaultBehind),
    ),
    route(
        "/v1/vault/prove",
        StoreService.prove_history,
        api.ProveHistory,
        api.HistoryProven,
        "Show that shorter logs are beginnings of a longer one",
        grade=Grade.ACCOUNT,
        errors=(MalformedEntry,),
    ),
    route(
        "/v1/restores",
        StoreService.restores,
        api.AskRestores,
        api.Restores,
        "Give the deployment's signed notices of restores of its database",
        grade=Grade.NOTHING,
    ),
    route(
        "/v1/vault/view",
        StoreService.publish_view,
        api.PublishView,
        api.ViewKept,
        "Keep what this device states to have seen, for its sisters",
        grade=Grade.DEVICE,
        errors=(MalformedEntry,),
    ),
    route(
        "/v1/vault/hand-back",
        StoreService.hand_back,
        api.HandBack,
        api.Appended,
        "Take back entries that this deployment had signed for and lost",
        grade=Grade.DEVICE,
        errors=(HeadMoved, Conflict, MalformedEntry),
    ),
    route(
        "/v1/devices/list",
        _of_devices(DeviceOperations.listed),
        device_api.ListDevices,
        device_api.DeviceList,
        "Give the account's devices, and those that wait for approval",
        grade=Grade.DEVICE,
    ),
    route(
        "/v1/devices/ask",
        _of_devices(DeviceOperations.ask),
        device_api.AskForApproval,
        device_api.Done,
        "Ask the account's devices to admit this one",
        grade=Grade.ACCOUNT,
        errors=(Conflict,),
    ),
    route(
        "/v1/devices/await",
        _of_devices(DeviceOperations.awaited),
        device_api.AwaitApproval,
        device_api.Awaited,
        "Tell what has become of a request for approval",
        grade=Grade.ACCOUNT,
    ),
    route(
        "/v1/devices/approve",
        _of_devices(DeviceOperations.approve),
        device_api.Approve,
        api.Appended,
        "Admit a device that waits, and keep what was sealed to it",
        grade=Grade.DEVICE,
        errors=(HeadMoved, Conflict, MalformedEntry),
    ),
    route(
        "/v1/devices/enrol",
        _of_devices(DeviceOperations.enrol),
        device_api.Enrol,
        device_api.Enrolled,
        "Give this session's device a certificate, of the grade that the session has proven",
        grade=Grade.DEVICE,
    ),
    route(
        "/v1/devices/demand-evidence",
        _of_devices(DeviceOperations.demand_evidence),
        device_api.DemandEvidence,
        device_api.Done,
        "Have the account admit attested devices only, or any again",
        grade=Grade.DEVICE,
    ),
    route(
        "/v1/devices/refuse",
        _of_devices(DeviceOperations.refuse),
        device_api.RefuseDevice,
        device_api.Done,
        "Forget a device's request for approval",
        grade=Grade.DEVICE,
    ),
    route(
        "/v1/sessions/factor/start",
        _of_owner(AccountOperations.ask_factor),
        account_api.AskFactor,
        account_api.FactorAsked,
        "Say which second factors will do",
        grade=Grade.NOTHING,
    ),
    route(
        "/v1/sessions/factor",
        _of_owner(AccountOperations.prove_factor),
        account_api.ProveFactor,
        api.AccountView,
        "Check a second factor, once the attempt is counted; the session then is the account's",
        grade=Grade.NOTHING,
        errors=(
            TooManyGuesses,
            AnchorUnavailable,
        ),
    ),
    route(
        "/v1/account/factors/list",
        _of_owner(AccountOperations.list_factors),
        account_api.ListFactors,
        account_api.FactorList,
        "Give the account's second factors",
        grade=Grade.ACCOUNT,
    ),
    route(
        "/v1/account/factors/totp/start",
        _of_owner(AccountOperations.add_totp),
        account_api.AddTotp,
        account_api.TotpSecret,
        "Draw a secret for an authenticator application",
        grade=Grade.ACCOUNT,
    ),
    route(
        "/v1/account/factors/totp/finish",
        _of_owner(AccountOperations.add_totp_finish),
        account_api.AddTotpFinish,
        account_api.FactorAdded,
        "Take the secret whose code is shown",
        grade=Grade.ACCOUNT,
        errors=(Conflict,),
    ),
    route(
        "/v1/account/factors/key/start",
        _of_owner(AccountOperations.add_key),
        account_api.AddKey,
        account_api.KeyOptions,
        "Begin the registration of a security key",
        grade=Grade.ACCOUNT,
        errors=(Conflict,),
    ),
    route(
        "/v1/account/factors/key/finish",
        _of_owner(AccountOperations.add_key_finish),
        account_api.AddKeyFinish,
        account_api.FactorAdded,
        "Take the security key that answers",
        grade=Grade.ACCOUNT,
        errors=(Conflict,),
    ),
    route(
        "/v1/account/factors/remove",
        _of_owner(AccountOperations.remove_factor),
        account_api.RemoveFactor,
        account_api.FactorRemoved,
        "Remove a second factor",
        grade=Grade.ACCOUNT,
        errors=(Conflict,),
    ),
    route(
        "/v1/account/password/start",
        _of_owner(AccountOperations.password_start),
        account_api.PasswordStart,
        account_api.PasswordStarted,
        "Answer an OPAQUE registration request for another password",
        grade=Grade.ACCOUNT,
    ),
    route(
        "/v1/account/password/finish",
        _of_owner(AccountOperations.password_finish),
        account_api.PasswordFinish,
        account_api.PasswordChanged,
        "Exchange the OPAQUE record and the wrapped root key",
        grade=Grade.ACCOUNT,
        errors=(Conflict,),
    ),
    route(
        "/v1/account/log",
        _of_owner(AccountOperations.read_log),
        account_api.ReadLog,
        account_api.AccountLog,
        "Give what is kept of what happened to the account",
        grade=Grade.ACCOUNT,
    ),
    route(
        "/v1/account/delete",
        _of_owner(AccountOperations.delete),
        account_api.DeleteAccount,
        account_api.Deleted,
        "Remove every row of the account and its vault",
        grade=Grade.ACCOUNT,
        errors=(Conflict,),
    ),
)
