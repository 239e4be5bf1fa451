"""What Azure downloads for its callers: templates, parameters and scripts at public addresses.

Only http and https; nothing is sent along but the request itself. What is asked for, and what comes
back, is kept nowhere here: an address may hold a key (a SAS token).
"""

from __future__ import annotations

from urllib.parse import urlsplit

TIME_OUT = 30.0
"""Seconds for one address, from the look-up of its name to the last byte."""

_CHUNK = 64 * 1024


class DownloadError(Exception):
    """Something cannot be had; the message says why and holds neither query string nor user."""


def bare(url: str) -> str:
    """An address without what may be secret in it: its query string and its user."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else url.partition("?")[0]


def is_web_address(url: str) -> bool:
    """Whether it is an absolute http or https address."""
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


async def download(url: str, limit: int, time_out: float = TIME_OUT) -> bytes:
    """What is at an address.

    Args:
        url: http or https; redirections to either are followed.
        limit: The most bytes that it may have.
        time_out: Seconds until it is given up.

    Raises:
        DownloadError: There is no such host, it does not answer in time, it answers with another
            status than 200, or there is more of it.
    """
    import aiohttp

    if not is_web_address(url):
        raise DownloadError("it is no http or https address")
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=time_out), trust_env=True
            ) as session,
            session.get(url, max_redirects=5) as answer,
        ):
            if answer.status != 200:
                raise DownloadError(f"it answered {answer.status} {answer.reason or ''}".rstrip())
            found = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                found += chunk
                if len(found) > limit:
                    raise DownloadError(f"it has more than {limit:,} bytes")
            return bytes(found)
    except TimeoutError:
        raise DownloadError(f"it did not answer within {time_out:g} s") from None
    except aiohttp.ClientConnectorError as error:
        raise DownloadError(f"it cannot be reached ({error.os_error.strerror})") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The words of some of these have the whole address in them.
        raise DownloadError(f"it cannot be read ({type(error).__name__})") from None
