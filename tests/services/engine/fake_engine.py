"""A stand-in engine for testing the machinery around engines; it never produces a result.

``python fake_engine.py [--die-after S] [--never-ready] -- PORT NAME KEY`` answers like an OpenAI
server, slowly enough to be interrupted.
"""

import argparse
import asyncio
import json

from aiohttp import web

CHUNKS = [b'data: {"n": 0}\n\nda', b'ta: {"n": 1}\n\n', b"data: [DONE]\n\n"]


def build(
    name: str, key: str, weights: str = "[]", *, metrics: str = "", never_completes: bool = False
) -> web.Application:
    """The app; ``/cancelled`` counts streams whose client left, ``/weights`` tells ``weights``."""
    cancelled = {"count": 0}

    def refuse(request: web.Request) -> web.Response | None:
        if request.headers.get("authorization") == f"Bearer {key}":
            return None
        return web.json_response({"error": {"message": "unauthorized"}}, status=401)

    async def health(_request: web.Request) -> web.Response:
        return web.Response()

    async def models(request: web.Request) -> web.Response:
        return refuse(request) or web.json_response({"data": [{"id": name}]})

    async def completions(request: web.Request) -> web.StreamResponse:
        if (refusal := refuse(request)) is not None:
            return refusal
        body = json.loads(await request.read())
        if never_completes:
            await asyncio.Event().wait()
        if body.get("echo_headers"):
            return web.json_response(dict(request.headers))
        if not body.get("stream"):
            return web.json_response({"given": body})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            if body.get("breaks"):
                await response.write(CHUNKS[0])
                await asyncio.sleep(0.05)
                assert request.transport is not None
                request.transport.abort()
                return response
            for chunk in CHUNKS if not body.get("forever") else CHUNKS[1:2] * 10_000:
                await response.write(chunk)
                await asyncio.sleep(0.02)
        except (ConnectionResetError, asyncio.CancelledError):
            cancelled["count"] += 1
            raise
        return response

    async def count(_request: web.Request) -> web.Response:
        return web.json_response(cancelled)

    async def series(request: web.Request) -> web.Response:
        return refuse(request) or web.Response(text=metrics)

    async def held(_request: web.Request) -> web.Response:
        return web.Response(text=weights)

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/completions", completions)
    app.router.add_get("/cancelled", count)
    app.router.add_get("/weights", held)
    app.router.add_get("/metrics", series)
    return app


async def _serve(arguments: argparse.Namespace) -> None:
    app = build(
        arguments.name,
        arguments.key,
        arguments.weights,
        metrics=arguments.metrics,
        never_completes=arguments.never_completes,
    )
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    if not arguments.never_ready:
        await web.TCPSite(runner, "127.0.0.1", arguments.port).start()
    print("fake engine is up", flush=True)
    await asyncio.sleep(arguments.die_after or 300)


def main() -> None:
    """Run until killed, or for ``--die-after`` seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("name")
    parser.add_argument("key")
    parser.add_argument("--die-after", type=float)
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--never-completes", action="store_true")
    parser.add_argument("--weights", default="[]")
    parser.add_argument("--metrics", default="")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
