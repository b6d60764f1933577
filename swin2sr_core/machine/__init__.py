"""What the machine has: devices, precisions, memory, and what is used of it."""
