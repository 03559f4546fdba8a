"""What each of several workers may have of what is limited for all together."""

import math
from dataclasses import replace

from postroom.app.config import Config
from postroom.app.limits.clients import Limits


def share_of(config: Config, limits: Limits) -> Config:
    """The settings of one worker: what is counted in each of them counts for all together."""

    def share(whole: int) -> int:
        return math.ceil(whole / config.workers)

    return replace(
        config,
        login_failures=share(config.login_failures),
        max_connections=share(limits.connections),
        max_connections_per_source=share(limits.per_source),
    )
