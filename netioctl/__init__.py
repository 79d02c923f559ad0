"""netioctl: watch what processes send and receive; client of netiod."""

__version__ = "0.1.0"
