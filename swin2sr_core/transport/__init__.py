"""HTTP for downloads and servers: deadlines at every read, limits, redirects that stay."""
