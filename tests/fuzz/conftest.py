"""Bad input in bulk. ``make faults`` gives each test many more examples: ``--hypothesis-profile=thorough``."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=1000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
