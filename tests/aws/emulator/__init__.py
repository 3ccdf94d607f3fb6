"""AWS on this machine: moto, with what it drops or gets wrong put right, and with volumes that are real disks.

`python -m emulator --dir DIR [--disks]`, run in tests/aws. What it does and does not do: tests/aws/README.md.
"""
