"""What netio costs, measured on the machine at hand: `sudo ./netio bench`.

cli            options, the order of things, the exit status
measurements/  one question a module, one explicit list
plans          which workload is run under which conditions, and what is asked of netio there
conditions     netio in its ways of watching; rivals/ are other tools; watcher is what both are
workload       the traffic, made by programs in C, and servers: nginx, redis-server
taken          what was measured of a workload under one condition
daemon         a netiod of our own, and its viewers; subscriber is the lightest of them
running        processes: start, end, CPU time, memory; hooks: has the kernel time them
results        numbers and goals; report and markdown show them, and plots/ draws them
machine        on what, and with what, this was measured; versions: of other programs
"""
