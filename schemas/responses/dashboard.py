"""What a dashboard shows: this machine, its services, the devices that were seen last, the DNS of a domain."""

from marshmallow import fields

from postroom.schemas.devices import ProtocolVersion
from postroom.schemas.fields import Bool, Input, Int


class DiskSchema(Input):
    """A disk and how full it is, in bytes and percent."""

    percent = fields.Float(required=True)
    total = Int(required=True)
    used = Int(required=True)
    free = Int(required=True)
    device = fields.String(required=True)
    mountpoint = fields.String(required=True)
    filesystem = fields.String(required=True)


class CpuSchema(Input):
    """What the processors do, in percent of their time."""

    user = fields.Float(required=True)
    system = fields.Float(required=True)
    io = fields.Float(required=True)
    interrupt = fields.Float(required=True)
    steal = fields.Float(required=True)
    idle = fields.Float(required=True)


class SwapSchema(Input):
    """How full the swap is, in bytes and percent; all 0 where there is none."""

    percent = fields.Float(required=True)
    total = Int(required=True)
    free = Int(required=True)
    used = Int(required=True)


class MemorySchema(SwapSchema):
    """How full the memory is, in bytes and percent."""

    buffer = Int(required=True)
    cache = Int(required=True)
    available = Int(required=True)


class DashboardSchema(Input):
    """Figures of this machine. `load` has the averages over 1, 5 and 15 minutes."""

    disks = fields.List(fields.Nested(DiskSchema), required=True)
    averages = fields.List(fields.Float(), required=True, data_key="load")
    cpuPercent = fields.Nested(CpuSchema, required=True)
    memory = fields.Nested(MemorySchema, required=True)
    swap = fields.Nested(SwapSchema, required=True)
    booted = fields.String(required=True)


class ServiceSchema(Input):
    """A service, in systemd's words. `autostart` is `unknown` where systemd does not tell."""

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
    """A device and when it was seen last, as UNIX time. What nobody reports is empty, 0, false, or (`command`) -1."""

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
    """The devices that were seen last. `maxUpdated` and `maxEnded` repeat the filters that were given."""

    maxUpdated = Int()
    maxEnded = Int()
    data = fields.List(fields.Nested(SeenDeviceSchema), required=True)


class BothViewsSchema(Input):
    """What the resolvers of this machine say, and what one on the internet says; null: nothing, or not in time."""

    internalDNS = fields.String(required=True, allow_none=True)
    externalDNS = fields.String(required=True, allow_none=True)


class MxCheckSchema(BothViewsSchema):
    """The host that takes the mail first, its addresses, and the name that the first of these has."""

    mxDomain = fields.String(required=True, allow_none=True)
    reverseLookup = fields.String(required=True, allow_none=True)


class SrvCheckSchema(BothViewsSchema):
    """SRV records, and the addresses of the first host."""

    ip = fields.String(required=True, allow_none=True)


class DnsCheckSchema(Input):
    """What the DNS says of a domain, each as text: addresses, or records as in a zone file. `txt` has the SPF."""

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
