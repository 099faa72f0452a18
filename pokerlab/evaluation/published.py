"""What others published, to be drawn beside what was measured; sources in docs/published.md."""

from collections.abc import Mapping

PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "leduc": {
        "Deep CFR, 4,945 iterations": 0.081,
        "DREAM": 0.06,
        "NFSP, 3e8 nodes": 0.057,
        "value net + search, 1,000 iterations": 0.047,
    },
    "liars_dice_1x4f": {"ReBeL, CFR-D": 0.017, "ReBeL, fictitious play": 0.041},
    "liars_dice_1x5f": {"ReBeL, CFR-D": 0.015, "ReBeL, fictitious play": 0.020},
    "liars_dice_1x6f": {"ReBeL, CFR-D": 0.024, "ReBeL, fictitious play": 0.040},
    "liars_dice_2x3f": {"ReBeL, CFR-D": 0.017, "ReBeL, fictitious play": 0.020},
}
"""Exploitability (NashConv/2, chips) of published neural agents."""

LEAGUES: Mapping[str, Mapping[str, tuple[tuple[float, float, float | None], ...]]] = {
    "leduc": {
        "psro_v2 (OpenSpiel)": ((20, 0.82, 22), (50, 0.34, 113), (60, 0.317, 207)),
        "tabular PSRO (XDO's authors)": ((186, 0.088, None),),
        "XDO (its authors)": ((16, 0.00096, None),),
        "PSRO with PPO (psrolab)": ((20, 0.80, 65 * 60),),
    },
    "kuhn": {"psro_v2 (OpenSpiel)": ((20, 0.0055, 35),)},
    "kuhn3": {"psro_v2 (OpenSpiel)": ((9, 0.0897 / 3, 39),)},
}
"""Rounds, exploitability (NashConv / players, chips) and seconds of others; see docs/league.md."""
