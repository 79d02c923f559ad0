"""Abuse of netiod, in short for the tests and at length for `sudo ./netio soak`."""
