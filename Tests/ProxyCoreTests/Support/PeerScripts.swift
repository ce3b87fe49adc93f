/// Small programs over other people's libraries; each prints OK when everything it asked for was so.
enum PeerScripts {
    /// `PORT`: echoes bodies in chunks, with a trailer that says how long they were.
    static let httpServer = #"""
        import http.server, sys

        class Echo(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def body(self):
                if self.headers.get("transfer-encoding") == "chunked":
                    data = b""
                    while True:
                        size = int(self.rfile.readline().split(b";")[0], 16)
                        data += self.rfile.read(size)
                        if size == 0:
                            while self.rfile.readline() != b"\r\n": pass
                            return data
                        self.rfile.readline()
                return self.rfile.read(int(self.headers.get("content-length", 0)))

            def answer(self):
                data = self.body() or self.path.encode()
                if self.request_version == "HTTP/1.0":
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                    return
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.send_header("X-Version", self.request_version)
                self.end_headers()
                for start in range(0, len(data), 10000):
                    part = data[start:start + 10000]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.write(b"0\r\nX-Length: %d\r\n\r\n" % len(data))

            do_GET = do_POST = do_PUT = do_BREW = answer
            def log_message(self, *args): pass

        http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
        """#

    /// `PORT`: the four kinds of call, on bytes.
    static let grpcServer = #"""
        import grpc, sys, time
        from concurrent import futures

        def unary(request, context):
            meta = dict(context.invocation_metadata())
            context.send_initial_metadata((("x-first", meta.get("x-ask", "")),))
            context.set_trailing_metadata((("x-last-bin", b"\x00\xff"),))
            if request == b"fail": context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no \u00e9ntry")
            return request
        def down(request, context):
            for index in range(int(request)): yield b"%d" % index
        def up(requests, context): return b"%d" % sum(len(r) for r in requests)
        def both(requests, context):
            for request in requests: yield request
        def slow(request, context):
            while context.is_active(): time.sleep(0.01)
            open(sys.argv[2], "a").write("cancelled\n")
            return b""

        calls = {
            "Unary": grpc.unary_unary_rpc_method_handler(unary), "Down": grpc.unary_stream_rpc_method_handler(down),
            "Up": grpc.stream_unary_rpc_method_handler(up), "Both": grpc.stream_stream_rpc_method_handler(both),
            "Slow": grpc.unary_unary_rpc_method_handler(slow)}
        server = grpc.server(futures.ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.Test", calls),))
        assert server.add_insecure_port("127.0.0.1:" + sys.argv[1])
        server.start()
        server.wait_for_termination()
        """#

    /// `PORT FILE`: calls `grpcServer`; FILE is where that notes cancelled calls.
    static let grpcClient = #"""
        import grpc, sys, time
        channel = grpc.insecure_channel("127.0.0.1:" + sys.argv[1])
        def wait(): return {"timeout": 20}

        unary = channel.unary_unary("/t.Test/Unary")
        reply, call = unary.with_call(b"hello", metadata=(("x-ask", "me"),), **wait())
        assert reply == b"hello"
        assert dict(call.initial_metadata())["x-first"] == "me", call.initial_metadata()
        assert dict(call.trailing_metadata())["x-last-bin"] == b"\x00\xff", call.trailing_metadata()
        big = b"x" * 3000000
        assert unary(big, **wait()) == big
        try:
            unary(b"fail", **wait())
            raise SystemExit("no failure")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
            assert error.details() == "no \u00e9ntry", error
        assert len(list(channel.unary_stream("/t.Test/Down")(b"2000", **wait()))) == 2000
        assert channel.stream_unary("/t.Test/Up")((b"y" * 1000 for _ in range(500)), **wait()) == b"500000"
        sent = [b"%d" % index for index in range(300)]
        assert list(channel.stream_stream("/t.Test/Both")(iter(sent), **wait())) == sent
        slow = channel.unary_unary("/t.Test/Slow")
        try:
            slow(b"", timeout=0.3)
            raise SystemExit("no deadline")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
        call = slow.future(b"")
        time.sleep(0.1)
        call.cancel()
        end = time.time() + 10
        while open(sys.argv[2]).read().count("cancelled") < 2:
            assert time.time() < end, "the server was not told"
            time.sleep(0.01)
        try:
            channel.unary_unary("/t.Test/Nothing")(b"", **wait())
            raise SystemExit("no such method, yet an answer")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
        print("OK")
        """#

    /// `PORT`: echoes messages.
    static let webSocketServer = #"""
        import asyncio, sys, websockets
        async def echo(socket):
            async for message in socket: await socket.send(message)
            assert socket.close_code == 4001
        async def main():
            async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1]), subprotocols=["chat"], max_size=None):
                await asyncio.Future()
        asyncio.run(main())
        """#

    /// `PORT`: talks to `webSocketServer`.
    static let webSocketClient = #"""
        import asyncio, sys, websockets
        async def main():
            url = f"ws://127.0.0.1:{sys.argv[1]}/path"
            async with websockets.connect(url, subprotocols=["chat"], max_size=None) as socket:
                assert socket.subprotocol == "chat"
                for message in ["text", b"\x00\x01", "\u00e9" * 100000, b"z" * 2000000]:
                    await socket.send(message)
                    assert await socket.recv() == message
                await socket.send(["in ", "pieces"])
                assert await socket.recv() == "in pieces"
                await (await socket.ping())
                await socket.close(4001, "enough")
            print("OK")
        asyncio.run(main())
        """#

    /// `PORT`: frames that clients seldom send, to a server that answers `/index.html`.
    static let rawClient = #"""
        import socket, sys, h2.config, h2.connection, h2.events, h2.settings
        sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        sock.settimeout(20)
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        conn.initiate_connection()
        conn.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000})
        def head(*more): return [(":method", "GET"), (":scheme", "http"), (":authority", "voting"), (":path", "/index.html"), *more]
        # A head so long that it takes CONTINUATION frames.
        conn.send_headers(1, head(("x-long", "v" * 40000)), end_stream=True)
        # A body whose every frame is padded, behind an upload that is answered early or late.
        conn.send_headers(3, [(":method", "POST")] + head()[1:] + [("content-length", "30")])
        for _ in range(3): conn.send_data(3, b"0123456789", pad_length=200)
        conn.end_stream(3)
        # Reset before anything came back, then one more to see that the connection lives.
        conn.send_headers(5, head(), end_stream=True)
        conn.reset_stream(5)
        # With a dependency that nobody honours any more.
        conn.send_headers(7, head(), end_stream=True, priority_weight=16, priority_depends_on=0)
        conn.ping(b"12345678")
        sock.sendall(conn.data_to_send())
        status, sizes, ended, pong = {}, {}, set(), False
        while not ({1, 3, 7} <= ended and pong):
            data = sock.recv(65536)
            assert data, "closed"
            for event in conn.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived): status[event.stream_id] = dict(event.headers)[":status"]
                if isinstance(event, h2.events.DataReceived):
                    assert len(event.data) <= 1000
                    sizes[event.stream_id] = sizes.get(event.stream_id, 0) + len(event.data)
                    conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if isinstance(event, h2.events.StreamEnded): ended.add(event.stream_id)
                if isinstance(event, h2.events.StreamReset): assert event.stream_id == 5 or event.error_code == 0, event
                if isinstance(event, h2.events.PingAckReceived): pong = True
                if isinstance(event, h2.events.ConnectionTerminated): raise SystemExit(str(event))
            sock.sendall(conn.data_to_send())
        assert status[1] == status[7] == "200" and sizes[1] == sizes[7] == 5000, (status, sizes)
        print("OK")
        """#
}
