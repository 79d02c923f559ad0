"""The verbs of netioctl: one module each, named like its verb, with a click command `command`."""

#: What --help lists, in this order, below these titles. A verb's module is imported when the verb
#: is called.
SECTIONS = (
    ("Watch live", ("watch", "run", "top", "pick")),
    ("Keep", ("record", "report")),
    ("Count", ("add", "remove", "list", "summary")),
    ("Share", ("exporter",)),
    ("Set up", ("status", "doctor", "completion")),
)
COMMANDS = tuple(verb for _, verbs in SECTIONS for verb in verbs)
