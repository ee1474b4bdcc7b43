"""Who is let in, what it costs them, and what is told about those who are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from core.gateway.callers import Place
from core.gateway.entrance import Admitted, Asking, Entrance, Event
from core.gateway.errors import (
    AddressBlocked,
    KeyRefused,
    KeyRequired,
    QuotaSpent,
    RateLimited,
    ScopeMissing,
    TooManySockets,
)
from core.gateway.keys import DEFAULT_SCOPES, ApiKey, make_key
from core.gateway.limiter import LocalLimiter
from core.gateway.meter import Meter
from core.gateway.tiers import LIMITS, Tier

NOW = 1_790_000_000.0
HOME, FAR = Place("127.0.0.1", ours=True), Place("203.0.113.7", ours=False)
MADE, SIBLING = make_key(b"\1" * 40), make_key(b"\2" * 40)
KEY = ApiKey(MADE.prefix, MADE.digest, "acme", Tier.DEVELOPER, "a", DEFAULT_SCOPES, NOW)
TOKEN = "operator-token-of-many-characters"


@dataclass
class Door:
    """An entrance and what it told."""

    anonymous: bool = True
    now: float = NOW
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.entrance = Entrance(
            limiter=LocalLimiter(lambda: self.now),
            meter=Meter(lambda: bytes(16)),
            clock=lambda: self.now,
            anonymous=self.anonymous,
            admin_token=TOKEN,
            tell=self.events.append,
        )
        self.entrance.learn([KEY, replace(KEY, prefix=SIBLING.prefix, digest=SIBLING.digest)])

    async def ask(
        self,
        key: str | None = None,
        place: Place = FAR,
        scope: str | None = "prices",
        *,
        page: bool = False,
        cost: int = 1,
    ) -> Admitted:
        return await self.entrance.admit(Asking(place, key, page, scope, cost))

    async def until_refused(self, ask: Callable[[], object]) -> int:
        for count in range(10_000):
            try:
                await ask()  # type: ignore[misc]
            except (RateLimited, QuotaSpent, AddressBlocked):
                return count
        raise AssertionError("never refused")


async def test_without_a_key_an_address_has_the_free_tier() -> None:
    door = Door()
    admitted = await door.ask()
    assert (admitted.limits.tier, admitted.key) == (Tier.FREE, None)
    assert await door.until_refused(door.ask) == LIMITS[Tier.FREE].burst - 1
    await door.ask(place=Place("203.0.113.8", ours=False))


async def test_all_keys_of_an_account_share_its_limits() -> None:
    door = Door()
    await door.ask(MADE.text, cost=60)
    with pytest.raises(RateLimited) as refused:
        await door.ask(SIBLING.text, cost=60)
    assert refused.value.retry_after_s == pytest.approx(20 / 25)


async def test_this_machine_is_not_limited_and_never_blocked() -> None:
    door = Door(anonymous=False)
    for _ in range(1_000):
        assert (await door.ask(place=HOME)).verdict is None
        with pytest.raises(KeyRefused):
            await door.ask("nonsense", place=HOME)
    await door.ask(place=HOME)


async def test_a_key_used_at_home_has_its_own_limits() -> None:
    assert (await Door().ask(MADE.text, place=HOME)).limits.tier is Tier.DEVELOPER


async def test_where_nobody_is_anonymous_a_key_is_asked_for() -> None:
    door = Door(anonymous=False)
    for page in (False, True):
        with pytest.raises(KeyRequired):
            await door.ask(page=page)
    await door.ask(MADE.text)


async def test_our_own_page_has_more_patience_than_a_stranger() -> None:
    assert (await Door().ask(page=True)).limits.tier is Tier.PAGE


async def test_guessing_is_slowed_and_then_blocked() -> None:
    door = Door()
    guess = f"chr_{MADE.prefix}_{'a' * 43}"
    answers = list[type[Exception]]()
    for _ in range(12):
        with pytest.raises((KeyRefused, RateLimited, AddressBlocked)) as refused:
            await door.ask(guess)
        answers.append(refused.type)
    assert answers == [KeyRefused] * 4 + [RateLimited] * 6 + [AddressBlocked] * 2
    assert [event.signal for event in door.events] == ["bad-key"] * 10
    assert len(door.entrance.new_blocks) == 1
    with pytest.raises(AddressBlocked):
        await door.ask(MADE.text)
    door.now += 61
    await door.ask(MADE.text)


async def test_the_holder_of_an_ended_key_is_told_that_it_ended() -> None:
    door = Door()
    door.entrance.learn([replace(KEY, revoked_at=NOW)])
    with pytest.raises(KeyRefused, match="was revoked"):
        await door.ask(MADE.text)
    assert (door.events[0].signal, door.events[0].detail) == ("ended-key", MADE.prefix)


async def test_a_key_opens_what_its_scopes_say() -> None:
    door = Door()
    door.entrance.learn([replace(KEY, scopes=frozenset({"prices"}))])
    await door.ask(MADE.text)
    with pytest.raises(ScopeMissing):
        await door.ask(MADE.text, scope="history")
    with pytest.raises(ScopeMissing):
        await door.ask(MADE.text, scope="admin")


async def test_only_an_admin_enters_the_admin_api_even_from_here() -> None:
    door = Door()
    with pytest.raises(KeyRequired):
        await door.ask(place=HOME, scope="admin")
    assert (await door.ask(TOKEN, scope="admin")).who == "operator"
    with pytest.raises(KeyRefused):
        await door.ask(TOKEN + "x", scope="admin")


async def test_streams_are_counted_and_given_back() -> None:
    door = Door()
    admitted = await door.ask()
    with (
        door.entrance.socket(admitted),
        door.entrance.socket(admitted),
        pytest.raises(TooManySockets),
        door.entrance.socket(admitted),
    ):
        pass
    with door.entrance.socket(admitted):
        pass


async def test_a_flood_that_goes_on_is_blocked() -> None:
    door = Door()
    for _ in range(LIMITS[Tier.FREE].burst):
        await door.ask()
    for _ in range(500):
        with pytest.raises(RateLimited):
            await door.ask()
    with pytest.raises(AddressBlocked) as refused:
        await door.ask()
    assert refused.value.reason == "flood"


async def test_a_key_used_everywhere_at_once_is_told() -> None:
    door = Door()
    for number in range(25):
        await door.ask(MADE.text, place=Place(f"198.51.100.{number}", ours=False))
    assert [(event.signal, event.detail, event.block) for event in door.events] == [
        ("spread-key", MADE.prefix, None)
    ]
