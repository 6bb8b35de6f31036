"""Settings for all tests: examples may take their time on a busy machine, and a failure prints how to repeat it."""

from hypothesis import HealthCheck, settings

settings.register_profile("strongroom", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("strongroom")
