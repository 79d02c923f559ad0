"""Reports: what a recording holds, summed up and drawn."""
