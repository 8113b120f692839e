"""What a worker holds for one person while it gets them a token: calls that were claimed, and the lease on them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass

from bridge import deadline
from bridge.budgeting import Account, Lease
from bridge.errors import BridgeError
from bridge.services.leases import LeaseHeld, Leases


@dataclass(slots=True)
class Purse:
    """Calls claimed for one person and not used yet, the lease on them, and how to give both back.

    It is this thread's own for as long as a `with` block lasts, and that ends in time.
    """

    tenant: str
    sub: str
    account: Account | None = None
    calls: int = 0
    give_back: Callable[[int], object] = int
    lease: Lease | None = None
    leases: Leases | None = None
    outlast: Callable[[], object] = int
    _tokens: tuple[Token["Purse | None"], Token[float]] | None = None

    def wanted(self, leases: Leases) -> Lease:
        """Return the lease that the next claim needs: a new one, or more time for the one there is."""
        if self.leases is None:
            self.leases, self.outlast = leases, leases.patience(self.tenant, self.sub)
        return leases.wanted(self.tenant, self.sub)

    def held(self) -> LeaseHeld:
        """Return what is raised when the lease is another worker's, or was lost before its token was kept."""
        return LeaseHeld(self.outlast)

    def taken(self) -> LeaseHeld:
        """Return what is raised when the lease has just become ours: nothing changes from now on, so look once more."""
        return LeaseHeld(int)

    def __enter__(self) -> None:
        self._tokens = _purse.set(self), deadline.begin(deadline.PATIENCE_S)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._tokens is not None:
            _purse.reset(self._tokens[0])
            deadline.over(self._tokens[1])
        self._close(error if isinstance(error, BridgeError) else None)

    def give_back_calls(self) -> None:
        if self.calls:
            self.give_back(self.calls)
            self.calls = 0

    def _close(self, failure: BridgeError | None) -> None:
        self.give_back_calls()
        if self.lease and self.leases:
            self.leases.end(self.lease, failure)


_purse: ContextVar[Purse | None] = ContextVar("purse", default=None)


def purse() -> Purse | None:
    """Return the purse of this thread."""
    return _purse.get()


def for_one_person(tenant: str, sub: str) -> Purse:
    """Let the first claim of this thread take the lease on a person along, and a login the call of the mint.

    What is left over at the end is given back; an error that leaves is what those who wait for the lease find.
    No person keeps a thread for longer than their deadline.
    """
    return Purse(tenant, sub)


def hand_over(put: Callable[[Lease | None], bool]) -> LeaseHeld | None:
    """Let *put* end this thread's lease with the token that came of it; return what to raise where it was lost."""
    mine = _purse.get()
    is_kept = put(mine.lease if mine else None)
    if mine is None:
        return None
    mine.lease = None
    return None if is_kept else mine.held()


@contextmanager
def not_spent_if_it_fails() -> Iterator[None]:
    """Put a call that this thread's purse has just paid back into it, where it comes to nothing before it is made."""
    try:
        yield
    except BaseException:
        if (mine := _purse.get()) is not None and mine.account is not None:
            mine.calls += 1
        raise


@contextmanager
def for_nobody() -> Iterator[None]:
    """Let this thread claim calls that no one person is admitted for."""
    token = _purse.set(None)
    try:
        yield
    finally:
        _purse.reset(token)
