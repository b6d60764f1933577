"""How much a server may send, and how slowly: each limit with its reason."""

MOST_HEAD_BYTES = 1 << 18
"""Of everything before a body: status lines, headers, interim replies. Servers send hundreds."""

MOST_REDIRECTS = 5
"""In a row: a mirror takes two, a login page none that end."""

MOST_JSON_BYTES = 64 << 20
"""Of a server's JSON: /object_info of a ComfyUI with hundreds of node packs has under 20 MB."""

MOST_ERROR_BYTES = 1 << 20
"""Of a server's explanation of an error: ComfyUI's has a sentence for each node."""

MOST_OUTPUT_BYTES = 16 << 30
"""Of one output that a server sends: an hour of video, or 5 gigapixels of 16-bit PNG."""

MOST_EVENT_BYTES = 16 << 20
"""Of one event on a WebSocket: previews are pictures of up to some megabytes."""

LEAST_PACE = 1024
"""Bytes per second that a transfer must make on average once it has had its first timeout: what
is slower does not end, and is meant so."""
