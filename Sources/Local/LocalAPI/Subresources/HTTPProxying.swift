// `pods/proxy` and `services/proxy`: passes a request to a pod over plain HTTP and streams the answer.

import Foundation
import MeshModel
import NIOCore
import NIOHTTP1

/// Passes requests on to pods.
struct HTTPProxying {
    let cluster: Cluster
    let operations: ObjectOperations

    func respond(_ call: SubresourceCall) async throws -> APIResponse {
        let (host, port) = try await address(call)
        let head = Self.head(call, host: host, port: port)
        let exchange = UpstreamExchange(
            target: UpstreamTarget(host: host, port: port), head: head, body: call.request.body)
        return .stream { stream in try await exchange.run(to: stream) }
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
        for (name, value) in request.headers where !UpstreamExchange.notForwarded.contains(name.lowercased()) {
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
        do {
            return try await ServiceAddress(cluster: cluster).resolve(
                namespace: service.namespace, name: service.name, port: port)
        } catch ServiceAddress.Problem.portNotFound {
            throw StatusError.badRequest("service \"\(service.name)\" has no port \"\(port)\"")
        } catch is ServiceAddress.Problem {
            throw StatusError.unavailable("no endpoints available for service \"\(service.name)\"")
        }
    }
}
