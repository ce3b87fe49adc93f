// `pods/proxy` and `services/proxy`: passes a request to a pod over plain HTTP and streams the answer.

import Foundation
import MeshModel
import NIOCore
import NIOHTTP1
import NIOPosix

/// Passes requests on to pods.
struct HTTPProxying {
    let cluster: Cluster
    let operations: ObjectOperations

    /// How long a pod may take to accept the connection.
    static let connectTimeout = TimeAmount.seconds(5)

    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding",
        "upgrade", "authorization", "host", "content-length", "expect",
    ]

    func respond(_ call: SubresourceCall) async throws -> APIResponse {
        let (host, port) = try await address(call)
        let head = Self.head(call, host: host, port: port)
        return .stream { stream in
            let upstream = try await Self.connect(host: host, port: port)
            try await Self.exchange(upstream, head: head, body: call.request.body, to: stream)
        }
    }

    private typealias Upstream = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    private static func connect(host: String, port: Int) async throws -> Upstream {
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(connectTimeout)
                .connect(host: host, port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        return try Upstream(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw StatusError.unavailable("error trying to reach service: dial tcp \(host):\(port): \(error)")
        }
    }

    private static func exchange(
        _ upstream: Upstream, head: HTTPRequestHead, body: ByteBuffer, to stream: ResponseStream
    ) async throws {
        try await upstream.executeThenClose { inbound, outbound in
            try await outbound.write(.head(head))
            if body.readableBytes > 0 { try await outbound.write(.body(.byteBuffer(body))) }
            try await outbound.write(.end(nil))
            for try await part in inbound {
                switch part {
                case .head(let answer):
                    let headers = answer.headers.filter { !hopByHop.contains($0.name.lowercased()) }
                    try await stream.start(
                        status: Int(answer.status.code), headers: headers.map { ($0.name, $0.value) })
                case .body(let piece): try await stream.write(piece)
                case .end: return
                }
            }
            if !stream.isStarted {
                throw StatusError.unavailable(
                    "error trying to reach service: the connection ended without an answer")
            }
        }
    }

    private static func head(_ call: SubresourceCall, host: String, port: Int) -> HTTPRequestHead {
        let request = call.request
        var uri = "/" + call.target.rest.map(encoded).joined(separator: "/")
        if request.endsWithSlash, uri != "/" { uri += "/" }
        if !request.query.isEmpty {
            uri +=
                "?" + request.query.map { "\(encoded($0.name))=\(encoded($0.value))" }.joined(separator: "&")
        }
        var head = HTTPRequestHead(version: .http1_1, method: request.method, uri: uri)
        for (name, value) in request.headers where !hopByHop.contains(name.lowercased()) {
            head.headers.add(name: name, value: value)
        }
        head.headers.add(name: "Host", value: "\(host):\(port)")
        head.headers.add(name: "Connection", value: "close")
        if request.body.readableBytes > 0 {
            head.headers.add(name: "Content-Length", value: String(request.body.readableBytes))
        }
        return head
    }

    private static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "-._~")))
            ?? text
    }

    /// Where to connect: `name`, `name:port`, `http:name:port`; the port by number or name.
    private func address(_ call: SubresourceCall) async throws -> (host: String, port: Int) {
        var parts = call.name.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 3 {
            guard parts[0].isEmpty || parts[0] == "http" else {
                throw StatusError.notImplemented("proxying by \(parts[0])")
            }
            parts.removeFirst()
        }
        let name = parts[0]
        let port = parts.count > 1 ? parts[1] : ""
        let object = try await operations.get(call.target.kind, call.namespace, name).object()
        if call.target.kind.qualifiedName == Resource.services {
            return try await endpoint(of: object, port: port)
        }
        guard let address = object.value(at: ["status", "podIP"])?.stringValue, !address.isEmpty else {
            throw StatusError.unavailable("pod \(name) has no address yet")
        }
        let ports = (object.value(at: ["spec", "containers"])?.arrayValue ?? []).flatMap {
            $0["ports"]?.arrayValue ?? []
        }
        let named = ports.first { $0["name"]?.stringValue == port && !port.isEmpty }
        let number = Int(port) ?? (named ?? ports.first)?["containerPort"]?.intValue ?? 80
        return (address, number)
    }

    private func endpoint(of service: JSONValue, port: String) async throws -> (host: String, port: Int) {
        let ports = service.value(at: ["spec", "ports"])?.arrayValue ?? []
        let wanted =
            port.isEmpty
            ? ports.first
            : ports.first { $0["name"]?.stringValue == port || $0["port"]?.intValue == Int(port) }
        guard let wanted, let kind = cluster.kinds.kind(qualifiedName: Resource.endpoints) else {
            throw StatusError.badRequest("service \"\(service.name)\" has no port \"\(port)\"")
        }
        let noEndpoints = StatusError.unavailable("no endpoints available for service \"\(service.name)\"")
        // A service without an Endpoints object has no endpoints.
        let stored = try? await operations.get(kind, service.namespace, service.name)
        guard let endpoints = try stored?.object() else { throw noEndpoints }
        for subset in endpoints["subsets"]?.arrayValue ?? [] {
            let match = (subset["ports"]?.arrayValue ?? []).first {
                ($0["name"]?.stringValue ?? "") == (wanted["name"]?.stringValue ?? "")
            }
            let address = subset["addresses"]?.arrayValue?.randomElement()?["ip"]?.stringValue
            if let number = match?["port"]?.intValue, let address { return (address, number) }
        }
        throw noEndpoints
    }
}
