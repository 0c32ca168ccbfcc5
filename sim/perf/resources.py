"""What the configuration takes of its device, from `hls.area`: estimated from the rendered source."""

from __future__ import annotations

from hls.area.estimate import estimate, margins
from hls.lint.errors import LintError
from hls.spec.config import ConfigError, HardwareConfig
from host.errors import PeelVitError


def resources(config: HardwareConfig) -> tuple[dict[str, int], str]:
    """Counts of what the device has (dsp, bram36, lut, ff, some uram), and a line that sets them beside its limits."""
    try:
        found = estimate(config)
        limits = margins(found)
    except (ConfigError, LintError) as error:
        raise PeelVitError(f"the resources of {config.name} cannot be estimated: {error}") from None
    parts = [f"{name} {used:,.0f} of {limit:,.0f}" for name, (used, limit) in limits.items()]
    fits = all(used <= limit for used, limit in limits.values())
    line = f"resources of {config.name}, estimated: {', '.join(parts)}: {'fits' if fits else 'DOES NOT FIT'}"
    return {name: round(used) for name, (used, _) in limits.items()}, line
