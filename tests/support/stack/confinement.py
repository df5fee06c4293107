"""Privileges of the processes in a container, and its default route, as the kernel reports them."""

NO_CAPABILITIES = "0000000000000000"
UNPRIVILEGED = {
    "CapEff:": (NO_CAPABILITIES,),
    "CapPrm:": (NO_CAPABILITIES,),
    "CapBnd:": (NO_CAPABILITIES,),
    "NoNewPrivs:": ("1",),
}


def privileges_beyond(process, user):
    """Return the fields in which a process differs from an unprivileged one of this user."""
    wanted = {"Uid:": (user,) * 4, "Gid:": (user,) * 4} | UNPRIVILEGED
    return {name: process[name] for name in wanted if process[name] != wanted[name]}


def processes(stack, service):
    """Return /proc/*/status of each process in a container, by field.

    runc is left out: Docker starts it as root for each health check until it executes the check.
    """
    output = stack.compose("exec", "-T", service, "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null").stdout
    statuses = []
    for name, *values in (line.split() for line in output.splitlines() if line.strip()):
        if name == "Name:":
            statuses.append({})
        statuses[-1][name] = tuple(values)
    processes = [process for process in statuses if not process["Name:"][0].startswith("runc")]
    assert processes
    return processes


def has_default_route(stack, service):
    """Whether the container has a default route."""
    table = stack.compose("exec", "-T", service, "cat", "/proc/net/route").stdout
    return any(row.split()[1] == "00000000" for row in table.splitlines()[1:])
