"""Boots a kernel in QEMU, drives it step by step and records what becomes of its direct map."""
