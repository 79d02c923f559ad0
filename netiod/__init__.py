"""netiod: loads the BPF programs, counts and streams what processes send and receive.

Processes: main becomes the supervisor (root, holds the descriptors), which forks the loader
(root, short-lived), the broker and the gates (user netio, no capabilities).
"""
