"""Many pictures over many workers, with a manifest by which a batch is gone on with."""
