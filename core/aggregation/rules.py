"""The numbers of the aggregation, in one place: every limit, half-life, factor and floor, with its reason.

Knows values only. What they mean is told by the module that uses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits and factors. Times are seconds, the others are plain ratios.

    Raises ValueError on a venue share that could hold a majority or that three venues could not fill.
    """

    # staleness: `core.aggregation.freshness`
    dead_s: float = 30.0  # the whole venue said nothing for so long: its legs are out
    receipt_s: float = 300.0  # the venue answers, this leg was not shown for so long (delisted)
    told_s: float = 600.0  # the leg's own time is so old that a quiet market is no excuse
    stuck_s: float = 60.0  # rows of a venue came in while the newest time on any of them was so old
    doubt_s: float = 60.0  # a leg's time is so old that its price must agree with the others
    future_s: float = 5.0  # a venue's time so far ahead of ours is no time

    # weights: `core.aggregation.weights`
    receipt_half_life_s: float = 10.0
    told_half_life_s: float = 60.0
    freshness_min: float = 1 / 16  # a quiet leg counts little, but counts
    liquidity_min: float = 0.1  # the least, and what an unknown volume counts
    converted_factor: float = 0.75  # a leg that rests on a rate errs with the rate
    venue_share_max: float = 0.4  # of a feed's weight; below a half so that one venue holds no majority

    # how well a rate is known: `core.aggregation.conversion`
    settle_s: float = 30.0  # venues are so far behind each other when a currency moves
    walk_slow_s: float = 45.0  # a currency's move is measured from where it was about so long ago
    walk_half_life_s: float = 900.0

    # outliers: `core.aggregation.outliers`
    mad_factor: float = 3.0 * 1.4826  # three standard deviations of a normal spread, from its MAD
    floor_bands: float = 3.0  # never out within so many secondary bands of the centre
    floor_min: float = 0.001  # nor within 10 bps: a stablecoin's band of 1 bp is under every venue's spread

    # aggregators of decentralized exchanges: `core.aggregation.pools`
    dex_agreement: float = 0.01  # another venue must show a price as near as this
    dex_share_max: float = 0.2  # of a feed's weight, all together, while an exchange has any
    leap_max: float = 0.1  # of the last live price, for one or two venues: `core.aggregation.leaps`
    leap_hold_s: float = 300.0
    dex_move_per_minute: float = 0.01  # of the price of a feed that rests on them alone

    # a leg's price and the estimate's band: `core.aggregation.window`, `core.aggregation.estimate`
    book_width_max: float = 0.05  # of the mid; the middle of a wider book is no price
    band_floor_bands: float = 0.5  # the band reaches at least so many secondary bands to each side

    # the centre of the used legs: `core.aggregation.location`
    pull_bands: float = 0.5
    pull_mads: float = 2.0 * 1.4826

    # what legs have shown themselves to be: `core.aggregation.legs`
    lesson_s_max: float = 60.0  # the most that one pass can teach, however long the silence before it
    teach_reach: float = 0.002  # a residual beyond this teaches nothing ...
    teach_deviations: float = 6.0  # ... unless the leg is known to be so noisy
    teach_first_s: float = 600.0  # ... or has taught for less than this: then up to `offset_max`
    offset_half_life_s: float = 600.0
    offset_noise: float = 6e-4  # legs that noisy teach an offset at half the pace
    offset_memory_s: float = 14_400.0  # an offset that is not renewed fades
    offset_max: float = 0.005
    bias_half_life_s: float = 86_400.0
    bias_bands: float = 0.5
    offset_doubt: float = 1.5e-4
    bias_doubt: float = 5e-4
    noise_half_life_s: float = 1_800.0
    noise_prior_bands: float = 0.2
    noise_floor_bands: float = 1.0
    trust_min: float = 1 / 16
    move_half_life_s: float = 10.0
    move_min: float = 1e-5
    move_max: float = 0.02  # a jump starts the slow price anew
    hidden_half_life_s: float = 120.0
    hidden_apart: float = 0.002
    hidden_ratio: float = 0.25
    hidden_square_max: float = 0.05**2

    # what the others will say: `core.aggregation.follow`
    follow_unit_min: float = 1e-3  # bands narrower than this are no measure of how far venues stand apart
    follow_units: float = 2.0
    follow_max: float = 0.002
    follow_news_bands: float = 0.3  # from one end to the other 0.6 of a band, whatever a venue shows
    follow_standing_rounds: float = 10.0  # after so many what a venue says is no news
    follow_apart_units: float = 3.0
    follow_trade_units: float = 3.0
    follow_move_units: float = 3.0
    follow_usual: float = 3.0
    follow_usual_min_units: float = 0.05
    follow_trade_s: float = 20.0  # by which Flare's example provider weighs a trade's age
    follow_teach_units: float = 2.0
    follow_odd_units: float = 10.0
    follow_rounds: float = 1_000.0
    follow_score_rounds: float = 30.0
    follow_rounds_min: float = 10.0
    follow_ridge: float = 5.0
    follow_own_ridge: float = 8.0
    follow_constant_ridge: float = 0.5  # venues stand apart for hours: that must not take hours to learn
    follow_noise_power: float = 1.0
    follow_noise_floor_units: float = 0.02
    follow_margin: float = 0.01
    follow_stale_s: float = 900.0
    follow_history: int = 256
    follow_spacing_s: float = 1.0
    follow_near_s: float = 10.0

    # how wide the band must be: `core.aggregation.calibration`
    stretch_max: float = 16.0
    stretch_step: float = 0.1
    stretch_common_step: float = 0.3
    stretch_prior_rounds: float = 2.0  # for how many rounds the width that the legs show counts
    stretch_round_s: float = 3_600.0

    # VWAP and TWAP: `core.aggregation.window`
    bucket_s: float = 5.0
    buckets: int = 12

    def __post_init__(self) -> None:
        if not 1 / 3 < self.venue_share_max < 1 / 2:
            raise ValueError(f"a venue's share must be within (1/3, 1/2): {self.venue_share_max}")

    @property
    def window_s(self) -> float:
        """The span of VWAP and TWAP; the oldest bucket leaves whole, so up to one bucket less."""
        return self.bucket_s * self.buckets


RULES: Final = Rules()
