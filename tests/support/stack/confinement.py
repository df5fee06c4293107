"""What the kernel says of the processes in a service's container, and whether they know a way out."""

NO_CAPABILITIES = "0000000000000000"
UNPRIVILEGED = {
    "CapEff:": (NO_CAPABILITIES,),
    "CapPrm:": (NO_CAPABILITIES,),
    "CapBnd:": (NO_CAPABILITIES,),
    "NoNewPrivs:": ("1",),
}


def privileges_beyond(process, user):
    """Return the fields in which a process differs from one of this user that has no capability and can gain none."""
    wanted = {"Uid:": (user,) * 4, "Gid:": (user,) * 4} | UNPRIVILEGED
    return {name: process[name] for name in wanted if process[name] != wanted[name]}


def processes(stack, service):
    """Return what the kernel says of each process in a container, by field.

    Left out is runc, which Docker starts as root in there for each health check, until it has become that check.
    """
    output = stack.compose("exec", "-T", service, "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null").stdout
    found = []
    for name, *values in (line.split() for line in output.splitlines() if line.strip()):
        if name == "Name:":
            found.append({})
        found[-1][name] = tuple(values)
    seen = [process for process in found if not process["Name:"][0].startswith("runc")]
    assert seen
    return seen


def has_default_route(stack, service):
    """Whether the container knows a way to any address."""
    table = stack.compose("exec", "-T", service, "cat", "/proc/net/route").stdout
    return any(row.split()[1] == "00000000" for row in table.splitlines()[1:])
