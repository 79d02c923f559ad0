"""Does netio count every byte once? `sudo ./netio accuracy` finds out."""
