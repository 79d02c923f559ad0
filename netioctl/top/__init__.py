"""`netioctl top`: counters polled (sampler), rates (model), rows and lines (order, view), keys."""
