#!/usr/bin/env python3
"""A camera for tests: Debian's gst-rtsp-server with one mount, described by a JSON object in argv[1].

launch: a GStreamer pipeline in parentheses whose payloaders are pay0, pay1
path, user, password, protocols ("tcp" or "udp"), cert (PEM file with key and certificate, for rtsps)
Prints {"port": N} when it listens, {"clients": N} when a client comes or goes, and ends with its standard input.
"""
import json
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

options = json.loads(sys.argv[1])
Gst.init(None)
loop = GLib.MainLoop()
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(str(options.get("port", 0)))

factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(options["launch"])
# One pipeline for all clients, as a camera has one encoder.
factory.set_shared(True)
factory.set_protocols(
    {"tcp": GstRtsp.RTSPLowerTrans.TCP, "udp": GstRtsp.RTSPLowerTrans.UDP}.get(
        options.get("protocols"), GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP
    )
)

auth = None
if options.get("user") or options.get("cert"):
    auth = GstRtspServer.RTSPAuth()
if auth:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if options.get("user"):
        basic = GstRtspServer.RTSPAuth.make_basic(options["user"], options["password"])
        auth.add_basic(basic, token)
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
    else:
        auth.set_default_token(token)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
if options.get("cert"):
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options["cert"]))
if auth:
    server.set_auth(auth)
server.get_mount_points().add_factory(options.get("path", "/live"), factory)

clients = 0


def say(**fields):
    print(json.dumps(fields), flush=True)


def changed(by):
    global clients
    clients += by
    say(clients=clients)


def connected(_server, client):
    client.connect("closed", lambda _client: changed(-1))
    changed(1)


server.connect("client-connected", connected)
if server.attach(None) == 0:
    sys.exit("cannot listen")
GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
say(port=server.get_bound_port())
loop.run()
