"""netiod as a service: Debian with systemd as the first process, in a virtual machine."""
