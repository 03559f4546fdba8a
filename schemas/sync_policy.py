"""ActiveSync policies: the defaults, and the possible values (schema `syncPolicy` of the public API description)."""

from typing import Any

from marshmallow import ValidationError, fields, validate

from postroom.schemas.fields import Input, Int, Listed, Text

DEFAULT_SYNC_POLICY: dict[str, Any] = {
    "allowbluetooth": 2,
    "allowbrowser": 1,
    "allowcam": 1,
    "allowconsumeremail": 1,
    "allowdesktopsync": 1,
    "allowhtmlemail": 1,
    "allowinternetsharing": 1,
    "allowirda": 1,
    "allowpopimapemail": 1,
    "allowremotedesk": 1,
    "allowsimpledevpw": 1,
    "allowsmimeencalgneg": 2,
    "allowsmimesoftcerts": 1,
    "allowstoragecard": 1,
    "allowtextmessaging": 1,
    "allowunsignedapps": 1,
    "allowunsigninstallpacks": 1,
    "allowwifi": 1,
    "alphanumpwreq": 0,
    "approvedapplist": [],
    "attenabled": 1,
    "devencenabled": 0,
    "devpwenabled": 0,
    "devpwexpiration": 0,
    "devpwhistory": 0,
    "maxattsize": "",
    "maxcalagefilter": 0,
    "maxdevpwfailedattempts": 8,
    "maxemailagefilter": 0,
    "maxemailbodytruncsize": -1,
    "maxemailhtmlbodytruncsize": -1,
    "maxinacttimedevlock": 900,
    "mindevcomplexchars": 3,
    "mindevpwlenngth": 4,
    "pwrecoveryenabled": 0,
    "reqdevenc": 0,
    "reqencsmimealgorithm": 0,
    "reqencsmimemessages": 0,
    "reqmansyncroam": 0,
    "reqsignedsmimealgorithm": 0,
    "reqsignedsmimemessages": 0,
    "reqstoragecardenc": 0,
    "unapprovedinromapplist": [],
}

_CHOICES = {
    "allowbluetooth": (0, 1, 2),
    "allowsmimeencalgneg": (0, 1, 2),
    "maxcalagefilter": (0, 4, 5, 6, 7),
    "maxemailagefilter": (0, 1, 2, 3, 4, 5),
    "reqencsmimealgorithm": (0, 1, 2, 3, 4),
}
_INT32_MAX = 2**31 - 1
_RANGES = {
    "devpwexpiration": (0, _INT32_MAX),
    "devpwhistory": (0, _INT32_MAX),
    "maxdevpwfailedattempts": (4, 16),
    "maxemailbodytruncsize": (-1, _INT32_MAX),
    "maxemailhtmlbodytruncsize": (-1, _INT32_MAX),
    "maxinacttimedevlock": (0, _INT32_MAX),
    "mindevcomplexchars": (1, 4),
    "mindevpwlenngth": (1, 16),
}


class _AttachmentSize(fields.Field[int | str]):
    """A size in bytes, or empty text for "unlimited"."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int | str:
        if value == "" or (type(value) is int and 0 <= value <= _INT32_MAX):
            return value  # type: ignore[no-any-return]
        raise ValidationError('Not a size in bytes, nor "" for unlimited.')


def _field(name: str, default: object) -> fields.Field[Any]:
    if name == "maxattsize":
        return _AttachmentSize()
    if isinstance(default, list):
        return Listed(Text(256), validate=validate.Length(max=1000))
    if name in _RANGES:
        low, high = _RANGES[name]
        return Int(validate=validate.Range(low, high))
    return Int(validate=validate.OneOf(_CHOICES.get(name, (0, 1))))


#: A policy in a request: any of the keys, each in its range. Generated from the tables above.
SyncPolicySchema = Input.from_dict(
    {name: _field(name, default) for name, default in DEFAULT_SYNC_POLICY.items()}, name="SyncPolicySchema"
)


def effective_policy(*overrides: dict[str, Any] | None) -> dict[str, Any]:
    """The defaults overlaid with the domain's policy, then with the user's."""
    policy = dict(DEFAULT_SYNC_POLICY)
    for override in overrides:
        policy |= override or {}
    return policy
