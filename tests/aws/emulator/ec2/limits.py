"""What gp3 allows: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html"""

from .refusals import refuse

SIZE = 1, 65_536
IOPS = 3_000, 80_000
THROUGHPUT = 125, 2_000
IOPS_PER_GIB = 500
MIB_PER_IOPS = 0.25


def check(kind, size, iops, throughput):
    """Refuses what AWS refuses of a volume's figures; only gp3 has limits here."""
    if throughput and kind != "gp3":
        refuse("InvalidParameterCombination", f"The parameter throughput is not supported for {kind} volumes.")
    if kind != "gp3":
        return
    if size and not SIZE[0] <= size <= SIZE[1]:
        word, bound = ("small", f"minimum is {SIZE[0]}") if size < SIZE[0] else ("large", f"maximum is {SIZE[1]}")
        refuse("InvalidParameterValue", f"Volume of {size}GiB is too {word} for volume type gp3; {bound}GiB.")
    for name, value, (low, high) in (("iops", iops, IOPS), ("throughput", throughput, THROUGHPUT)):
        if value and value < low:
            refuse("InvalidParameterValue", f"Volume {name} of {value} is too low; minimum is {low}.")
        if value and value > high:
            refuse("InvalidParameterValue", f"Volume {name} of {value} is too high; maximum is {high}.")
    iops, throughput = iops or IOPS[0], throughput or THROUGHPUT[0]
    if size and iops > IOPS[0] and iops > size * IOPS_PER_GIB:
        refuse(
            "InvalidParameterCombination",
            f"Iops to volume size ratio of {iops / size:.6f} is too high; maximum is {IOPS_PER_GIB} IOPS per GiB.",
        )
    if throughput > iops * MIB_PER_IOPS:
        refuse(
            "InvalidParameterCombination",
            f"Throughput (MiBps) to iops ratio of {throughput / iops:.6f} is too high; "
            f"maximum is {MIB_PER_IOPS:.6f} MiBps per iops.",
        )
