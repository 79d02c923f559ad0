"""`netioctl pick`: which processes have sockets, how active they are, and a choice of them."""
