"""How much a model file may ask for before anything is believed: each limit with its reason.

The largest published network has about 700 tensors in 70 MB, and the names take 0.2 MB.
"""

MOST_PICKLE_BYTES = 1 << 20
"""Of one pickle in a torch file: five times the largest published one, and read in half a second
whatever is in it."""

MOST_TABLE_BYTES = 2 << 20
"""Of a safetensors header: twenty times the largest published one, room for long metadata."""

MOST_TENSORS = 4096
"""In one file: `params`, `params_ema` and an optimiser's state of the largest network."""

MOST_NAME_LENGTH = 256
"""Characters of a tensor's name: those of transformers have up to 90."""

MOST_DIMENSIONS = 8
"""Of a tensor: weights have up to four, tables up to six."""

MOST_SIDE = 1 << 31
"""Of a tensor's shape; products of sides stay numbers that are quickly made."""

MOST_MEMBERS = 3 * MOST_TENSORS
"""In a torch archive: one per tensor, and a few more."""

MOST_DIRECTORY_BYTES = 256 * MOST_MEMBERS
"""Of a zip archive's directory: what so many members of torch's have, with their padding."""

MOST_INFLATION = 4
"""A file's content over its size: weights are stored as they are, and trained ones hardly shrink
when somebody packs them."""

MOST_MODEL_BYTES = 8 << 30
"""Of a model file: a hundred times the largest published one."""

MOST_DOWNLOAD_BYTES = 4 << 30
"""Of a download of which nobody knows the size."""
