"""Settings of every test run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The suite shares its cores with other work: how long an example takes says nothing about the code under test.
settings.register_profile("peelvit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("peelvit")
