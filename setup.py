"""The list of packages, which pyproject.toml cannot say: those found, and the C sources.

Those stand at the top of a checkout; a wheel carries them inside netiod.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["netiod*", "netioctl*"]), "netiod.bpf"],
    package_dir={"netiod.bpf": "bpf"},
)
