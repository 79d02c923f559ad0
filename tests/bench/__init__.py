"""What netio costs, measured on the machine at hand: `sudo ./netio bench`.

cli            options, the order of things, the exit status
measurements/  one question a module, one explicit list
conditions     what a workload is run beside: nothing, netio in its ways of watching
workload       the traffic; udp_pairs.c makes it, and udp_many, where the same comes from many
daemon         a netiod of our own, and its viewers; subscriber is the lightest of them
running        processes: start, end, CPU time, memory
hooks          has the kernel time them
results        numbers and goals; report and markdown show them, and plots/ draws them
machine        on what, and with what, this was measured
"""
