"""The verbs of netioctl: one module each, named like its verb, with a click command `command`."""

#: In the order of --help. A verb's module is imported when the verb is called.
COMMANDS = ("watch", "summary", "add", "remove", "list", "status")
