"""`swin2sr serve`: pictures over HTTP. The app knows no torch; children read and compute."""
