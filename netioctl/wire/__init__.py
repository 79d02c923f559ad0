"""What daemon and client share: layouts, frames, control messages, errors. See PROTOCOL.md."""

#: Version of the control protocol and of the stream's frames.
PROTOCOL_VERSION = 2
