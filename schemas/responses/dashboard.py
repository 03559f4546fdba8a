"""Responses for a dashboard: this machine, its services, recently seen devices, the DNS records of a domain."""

from marshmallow import fields

from postroom.schemas.devices import ProtocolVersion
from postroom.schemas.fields import Bool, Input, Int


class DiskSchema(Input):
    """A disk and its usage, in bytes and percent."""

    percent = fields.Float(required=True)
    total = Int(required=True)
    used = Int(required=True)
    free = Int(required=True)
    device = fields.String(required=True)
    mountpoint = fields.String(required=True)
    filesystem = fields.String(required=True)


class CpuSchema(Input):
    """CPU usage, in percent of the time."""

    user = fields.Float(required=True)
    system = fields.Float(required=True)
    io = fields.Float(required=True)
    interrupt = fields.Float(required=True)
    steal = fields.Float(required=True)
    idle = fields.Float(required=True)


class SwapSchema(Input):
    """Swap usage, in bytes and percent; all 0 without swap."""

    percent = fields.Float(required=True)
    total = Int(required=True)
    free = Int(required=True)
    used = Int(required=True)


class MemorySchema(SwapSchema):
    """Memory usage, in bytes and percent."""

    buffer = Int(required=True)
    cache = Int(required=True)
    available = Int(required=True)


class DashboardSchema(Input):
    """System statistics of this machine. `load` has the averages over 1, 5 and 15 minutes."""

    disks = fields.List(fields.Nested(DiskSchema), required=True)
    averages = fields.List(fields.Float(), required=True, data_key="load")
    cpuPercent = fields.Nested(CpuSchema, required=True)
    memory = fields.Nested(MemorySchema, required=True)
    swap = fields.Nested(SwapSchema, required=True)
    booted = fields.String(required=True)


class ServiceSchema(Input):
    """A service, in systemd's terms. `autostart` is `unknown` if systemd does not report it."""

    state = fields.String(required=True)
    substate = fields.String(required=True)
    description = fields.String(required=True)
    autostart = fields.String(required=True)
    since = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    unit = fields.String(required=True)


class ServicesSchema(Input):
    """Services of this machine."""

    services = fields.List(fields.Nested(ServiceSchema), required=True)


class SeenDeviceSchema(Input):
    """A device and when it was last seen, as UNIX time. Values that are not reported are empty, 0, false, or -1
    (`command`).
    """

    pid = Int(required=True)
    ip = fields.String(required=True)
    user = fields.String(required=True)
    start = Int(required=True)
    devtype = fields.String(required=True)
    devid = fields.String(required=True)
    devagent = fields.String(required=True)
    command = Int(required=True)
    ended = Int(required=True)
    push = Bool(required=True)
    addinfo = fields.String(required=True)
    update = Int(required=True)
    asversion = ProtocolVersion(required=True)


class SeenLastSchema(Input):
    """Recently seen devices. `maxUpdated` and `maxEnded` repeat the filters of the request."""

    maxUpdated = Int()
    maxEnded = Int()
    data = fields.List(fields.Nested(SeenDeviceSchema), required=True)


class BothViewsSchema(Input):
    """The answer of this machine's resolvers and of one on the internet; null if there is none, or not in time."""

    internalDNS = fields.String(required=True, allow_none=True)
    externalDNS = fields.String(required=True, allow_none=True)


class MxCheckSchema(BothViewsSchema):
    """The preferred mail exchanger, its addresses, and the host name of the first address."""

    mxDomain = fields.String(required=True, allow_none=True)
    reverseLookup = fields.String(required=True, allow_none=True)


class SrvCheckSchema(BothViewsSchema):
    """SRV records, and the addresses of the preferred host."""

    ip = fields.String(required=True, allow_none=True)


class DnsCheckSchema(Input):
    """The DNS records of a domain as text: addresses, or records as in a zone file. `txt` has the SPF record."""

    localIp = fields.String(required=True, allow_none=True)
    externalIp = fields.String(required=True, allow_none=True)
    mxRecords = fields.Nested(MxCheckSchema, required=True)
    autodiscover = fields.Nested(BothViewsSchema, required=True)
    autoconfig = fields.Nested(BothViewsSchema, required=True)
    txt = fields.Nested(BothViewsSchema, required=True)
    dkim = fields.Nested(BothViewsSchema, required=True)
    dmarc = fields.Nested(BothViewsSchema, required=True)
    caldavTXT = fields.Nested(BothViewsSchema, required=True)
    carddavTXT = fields.Nested(BothViewsSchema, required=True)
    autodiscoverSRV = fields.Nested(SrvCheckSchema, required=True)
    submissionSRV = fields.Nested(BothViewsSchema, required=True)
    imapSRV = fields.Nested(BothViewsSchema, required=True)
    imapsSRV = fields.Nested(BothViewsSchema, required=True)
    pop3SRV = fields.Nested(BothViewsSchema, required=True)
    pop3sSRV = fields.Nested(BothViewsSchema, required=True)
    caldavSRV = fields.Nested(BothViewsSchema, required=True)
    caldavsSRV = fields.Nested(BothViewsSchema, required=True)
    carddavSRV = fields.Nested(BothViewsSchema, required=True)
    carddavsSRV = fields.Nested(BothViewsSchema, required=True)
