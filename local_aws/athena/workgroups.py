"""Workgroups: where results go, and how much a query may read.

https://docs.aws.amazon.com/athena/latest/ug/workgroups.html
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local_aws.athena.requests import invalid, require_known
from local_aws.paging import without_none

NAME = re.compile(r"[a-zA-Z0-9._-]{1,128}")
MIN_CUTOFF = 10_000_000  # bytes
CONFIGURATION = frozenset(
    {
        *("ResultConfiguration", "EnforceWorkGroupConfiguration", "PublishCloudWatchMetricsEnabled"),
        *("BytesScannedCutoffPerQuery", "RequesterPaysEnabled", "EngineVersion"),
    }
)
UPDATES = (CONFIGURATION - {"ResultConfiguration"}) | {
    "ResultConfigurationUpdates",
    "RemoveBytesScannedCutoffPerQuery",
}
ENCRYPTIONS = ("SSE_S3",)
ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}


@dataclass
class WorkGroup:
    """One workgroup."""

    name: str
    enforced: bool = True
    output: str | None = None
    cutoff: int | None = None
    description: str = ""
    state: str = "ENABLED"
    metrics: bool = False
    encryption: dict[str, str] | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def configure(self, given: dict[str, Any]) -> None:
        """Take the configuration, or the update of one."""
        result = given.get("ResultConfiguration") or given.get("ResultConfigurationUpdates") or {}
        known = {"OutputLocation", "RemoveOutputLocation", "EncryptionConfiguration"}
        require_known("ResultConfiguration", result, known)
        encryption = result.get("EncryptionConfiguration", self.encryption)
        if encryption not in (None, *({"EncryptionOption": option} for option in ENCRYPTIONS)):
            require_known("ResultConfiguration", {f"EncryptionConfiguration {encryption}": None}, set())
        if given.get("RequesterPaysEnabled") or given.get("EngineVersion", ENGINE)["SelectedEngineVersion"] not in (
            "AUTO",
            ENGINE["EffectiveEngineVersion"],
        ):
            require_known("WorkGroupConfiguration", {"RequesterPaysEnabled or EngineVersion": given}, set())
        cutoff = given.get("BytesScannedCutoffPerQuery", self.cutoff)
        if given.get("RemoveBytesScannedCutoffPerQuery"):
            cutoff = None
        if cutoff is not None and cutoff < MIN_CUTOFF:
            raise invalid(f"BytesScannedCutoffPerQuery must be at least {MIN_CUTOFF} bytes, not {cutoff}")
        self.cutoff, self.encryption = cutoff, encryption
        self.output = None if result.get("RemoveOutputLocation") else result.get("OutputLocation", self.output)
        self.enforced = given.get("EnforceWorkGroupConfiguration", self.enforced)
        self.metrics = given.get("PublishCloudWatchMetricsEnabled", self.metrics)

    def describe(self) -> dict[str, Any]:
        """As GetWorkGroup gives it."""
        configuration = {
            "ResultConfiguration": without_none(
                {"OutputLocation": self.output, "EncryptionConfiguration": self.encryption}
            ),
            "EnforceWorkGroupConfiguration": self.enforced,
            "PublishCloudWatchMetricsEnabled": self.metrics,
            "BytesScannedCutoffPerQuery": self.cutoff,
            "RequesterPaysEnabled": False,
            "EngineVersion": ENGINE,
        }
        return {**self.summary(), "Configuration": without_none(configuration)}

    def summary(self) -> dict[str, Any]:
        """As ListWorkGroups gives it."""
        return {
            "Name": self.name,
            "State": self.state,
            "Description": self.description,
            "CreationTime": self.created.timestamp(),
        }


class WorkGroups:
    """The workgroups of an account and region: `primary`, and those made."""

    def __init__(self) -> None:
        self._groups = {"primary": WorkGroup("primary", enforced=False)}

    def get(self, name: str) -> WorkGroup:
        """The workgroup; raises InvalidRequestException."""
        if name not in self._groups:
            raise invalid(f"WorkGroup {name} is not found.")
        return self._groups[name]

    def create(self, given: dict[str, Any]) -> None:
        """CreateWorkGroup."""
        name = given["Name"]
        if not NAME.fullmatch(name):
            raise invalid(f"{name!r} is no name for a WorkGroup.")
        if name in self._groups:
            raise invalid("WorkGroup is already created")
        configuration = given.get("Configuration") or {}
        require_known("WorkGroupConfiguration", configuration, CONFIGURATION)
        group = WorkGroup(name, description=given.get("Description", ""))
        group.configure(configuration)
        self._groups[name] = group

    def update(self, given: dict[str, Any]) -> None:
        """UpdateWorkGroup."""
        group = self.get(given["WorkGroup"])
        updates = given.get("ConfigurationUpdates") or {}
        require_known("ConfigurationUpdates", updates, UPDATES)
        if given.get("State", "ENABLED") not in ("ENABLED", "DISABLED"):
            raise invalid("State must be ENABLED or DISABLED")
        group.configure(updates)
        group.state = given.get("State", group.state)
        group.description = given.get("Description", group.description)

    def delete(self, name: str) -> None:
        """DeleteWorkGroup."""
        if name == "primary":
            raise invalid("Cannot delete primary work group")
        del self._groups[self.get(name).name]

    def list(self) -> list[dict[str, Any]]:
        """ListWorkGroups."""
        return [group.summary() for _, group in sorted(self._groups.items())]
