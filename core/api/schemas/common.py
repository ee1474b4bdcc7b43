"""What the shapes of all answers have in common, and the document of a refusal."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PriceText = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$", examples=["64012.3150"])]
Seconds = Annotated[float, Field(description="Unix seconds", examples=[1790000000.25])]


class Shape(BaseModel):
    """An answer: exactly these members."""

    model_config = ConfigDict(extra="forbid")


class ProblemDocument(BaseModel):
    """RFC 9457. Further members are the evidence of the problem's type."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:chrono:problem:unknown-feed",
                    "title": "Unknown feed",
                    "status": 404,
                    "detail": "no such feed: FOO/USD",
                    "instance": "/v1/prices",
                    "feeds": ["FOO/USD"],
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str
