"""What the full viewer's page may load: only from here, but more than our own pages need."""

from __future__ import annotations

PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # decoders are WebAssembly
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",  # it writes its styles while it runs
        "img-src 'self' data: blob:",
        "connect-src 'self' data: blob:",
        "font-src 'self' data:",
        "object-src 'self' blob:",  # PDF
        "frame-src 'self' blob:",
        "media-src 'self' blob:",
        "frame-ancestors 'self'",
        "base-uri 'none'",
        "form-action 'self'",
    ]
)
# A worker lives under the policy of its own script. Its JPEG decoders make functions of text,
# which no page of ours may.
FILE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' blob: 'unsafe-eval'",
        "worker-src 'self' blob:",
        "connect-src 'self' data: blob:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
