"""A proxy in front of AWS, or of the emulator, that lets calls fail as a plan says.

`python -m faults --upstream URL [--plan JSON|FILE]`, run in tests/aws. What a plan says: plan.py.
"""
