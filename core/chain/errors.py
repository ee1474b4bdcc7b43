"""The errors of the chain adapter that stay inside it; the provider sees those of its own ports."""

from __future__ import annotations

from chrono.errors import ChronoError


class RpcRefusal(ChronoError):
    """An endpoint answered with a JSON-RPC error: it understood, and said no."""

    def __init__(self, method: str, code: int, message: str) -> None:
        self.method, self.code, self.message = method, code, message
        super().__init__(f"{method}: {message} ({code})")

    def says(self, *words: str) -> bool:
        """Whether the message holds one of the words; nodes have no common codes."""
        return any(word in self.message.lower() for word in words)


class BadKey(ChronoError):
    """A key file that cannot be used; the text never shows what is in it."""


class SignerUnavailable(ChronoError):
    """A remote signer gave no answer in time; it may be asked again."""


class SignerRefused(ChronoError):
    """A remote signer answered, and not with our signature of what was asked."""


class MissingContract(ChronoError):
    """The registry does not know a contract by this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"FlareContractRegistry knows no {name}")
