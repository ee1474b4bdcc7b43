"""Objects in an S3 bucket, such as Cloudflare R2, through boto3.

Knows conditional writes and what each refusal means. Does not know what the bytes are. Every call is bounded:
ATTEMPTS tries, each with CONNECT_S and READ_S, and botocore's pauses of under a second between.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from core.snapshot.objects import Order, Overtaken, Standing, StoreFailed

CONNECT_S: Final = 2.0
READ_S: Final = 3.0
ATTEMPTS: Final = 2
READ_BYTES_MAX: Final = 2_000_000
_CHUNK: Final = 65_536
_ORDER: Final = "chrono-order"
_MISSING: Final = {"404", "NoSuchKey", "NotFound"}
_CHANGED: Final = {409, 412}


class S3Objects:
    """One bucket. The region is R2's `auto` unless the endpoint wants another."""

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        key_id: str,
        secret: str,
        *,
        region: str = "auto",
        read_s: float = READ_S,
    ) -> None:
        self._bucket = bucket
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=read_s,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={"addressing_style": "path"},
            # R2 and its like take checksums only where S3 asks for them.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._s3: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            region_name=region,
            config=config,
        )

    def get(self, name: str) -> bytes | None:
        """The bytes, at most READ_BYTES_MAX, or None if there are none."""
        with _failures():
            try:
                answer = self._s3.get_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            return _whole(answer["Body"])

    def standing(self, name: str) -> Standing | None:
        """What is there, without its bytes."""
        with _failures():
            try:
                answer = self._s3.head_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            return Standing(answer["ETag"], _read_order(answer.get("Metadata", {})))

    def put(self, name: str, body: bytes, order: Order, replaces: str | None) -> str:
        """Write, if what is there has the mark `replaces` (None: if nothing is there); the new mark."""
        condition = {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": replaces}
        with _failures():
            try:
                answer = self._s3.put_object(
                    Bucket=self._bucket,
                    Key=name,
                    Body=body,
                    ContentType="application/json",
                    CacheControl="no-store",
                    Metadata={_ORDER: f"{order[0]} {order[1]}"},
                    **condition,
                )
            except ClientError as error:
                gone = replaces is not None and _code(error) in _MISSING
                if gone or error.response["ResponseMetadata"]["HTTPStatusCode"] in _CHANGED:
                    raise Overtaken(f"{name} is not what was to be replaced") from None
                raise
            return str(answer["ETag"])


def _whole(body: Any) -> bytes:
    """Read to the end: only there does botocore see that an answer was cut."""
    read = b""
    with body:
        while chunk := body.read(_CHUNK):
            read += chunk
            if len(read) > READ_BYTES_MAX:
                raise StoreFailed("refused", f"the object has more than {READ_BYTES_MAX} bytes")
    return read


@contextmanager
def _failures() -> Iterator[None]:
    """Whatever botocore raises, as StoreFailed. No text of it holds the secret."""
    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        reason = "credentials" if status in (401, 403) else "refused"
        raise StoreFailed(reason, f"{_code(error)} with status {status}") from None  # type: ignore[arg-type]
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise StoreFailed("timeout", type(error).__name__) from None
    except BotoCoreError as error:
        raise StoreFailed("unreachable", type(error).__name__) from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _read_order(metadata: dict[str, str]) -> Order | None:
    at_ms, _, sequence = metadata.get(_ORDER, "").partition(" ")
    return (int(at_ms), int(sequence)) if at_ms.isdecimal() and sequence.isdecimal() else None
