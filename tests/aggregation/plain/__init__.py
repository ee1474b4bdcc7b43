"""The slow, obvious twin of the aggregation: lists, floats and loops, no numpy. It specifies the kernel.

Where the kernel keeps sums in buckets, the twin keeps every trade and every price and adds them up when
asked. Where the kernel sorts a matrix, the twin sorts a list. None stands for what is not known.
Only the numbers in `Rules`, the feed table and the names of reasons are shared with the kernel.
"""

from tests.aggregation.plain.passes import FeedResult, LegResult, estimate, pulled
from tests.aggregation.plain.window import PlainTick, PlainWindow

__all__ = ["FeedResult", "LegResult", "PlainTick", "PlainWindow", "estimate", "pulled"]
