"""What netio costs, measured on the machine at hand: `sudo ./netio bench`.

cli            options, the order of things, the exit status
measurements/  one question a module, one explicit list
conditions     what a workload is run beside: nothing, netio in its ways of watching
workload       the traffic; udp_pairs.c makes it
daemon         a netiod of our own, and its viewers; subscriber is the lightest of them
running        processes: start, end, CPU time, memory
results        numbers and goals; report and markdown show them
machine        on what, and with what, this was measured
"""
