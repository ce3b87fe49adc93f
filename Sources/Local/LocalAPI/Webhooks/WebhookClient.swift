import Foundation
import MeshModel
import NIOCore
import NIOHTTP1

/// Asks webhooks over TLS.
struct WebhookClient: Sendable {
    /// Bytes of an answer at most, as Kubernetes bounds them.
    static let answerBytesMax = 10 << 20
    private static let answerTextMax = 200

    let cluster: Cluster

    /// The answer of one webhook.
    ///
    /// - Throws: `WebhookFailure` in words when it cannot be had.
    func ask(_ webhook: AdmissionWebhook, _ call: AdmissionCall) async throws -> AdmissionAnswer {
        let question = try AdmissionReviewDocument(call, webhook: webhook)
        let route = try await route(webhook)
        let body = ByteBuffer(bytes: question.document.serialized())
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: route.uri)
        head.headers.add(name: "Host", value: route.authority)
        head.headers.add(name: "Connection", value: "close")
        head.headers.add(name: "Accept", value: "application/json, */*")
        head.headers.add(name: "Content-Type", value: "application/json")
        head.headers.add(name: "Content-Length", value: String(body.readableBytes))
        let answer: UpstreamAnswer
        do {
            answer = try await UpstreamExchange(
                target: route.target, head: head, body: body, limit: .seconds(Int64(webhook.timeout))
            ).collect(bytesMax: Self.answerBytesMax)
        } catch {
            throw WebhookFailure("failed to call webhook: Post \"https://\(route.authority)\(route.uri)\": \(error)")
        }
        guard answer.status == 200 else {
            let text = String(String(buffer: answer.body).prefix(Self.answerTextMax))
            throw WebhookFailure("failed to call webhook: the server answered \(answer.status): \(text)")
        }
        do {
            return try AdmissionAnswer(JSONValue(parsing: answer.body.readableBytesView), to: question)
        } catch let failure as WebhookFailure { throw failure } catch {
            throw WebhookFailure("failed to call webhook: the answer is not JSON: \(error)")
        }
    }

    private struct Route {
        let target: UpstreamTarget
        /// Host and port as the request names them.
        let authority: String
        let uri: String
    }

    private func route(_ webhook: AdmissionWebhook) async throws -> Route {
        let query = "timeout=\(webhook.timeout)s"
        switch webhook.destination {
        case .service(let namespace, let name, let path, let port):
            let host = "\(name).\(namespace).svc"
            let address: (host: String, port: Int)
            do {
                address = try await ServiceAddress(cluster: cluster).resolve(
                    namespace: namespace, name: name, port: String(port))
            } catch let problem as ServiceAddress.Problem {
                throw WebhookFailure(
                    "failed to call webhook: Post \"https://\(host):\(port)\(path)?\(query)\": "
                        + Self.words(problem, name: name, port: port))
            }
            let target = UpstreamTarget(host: address.host, port: address.port, tls: try tls(webhook, name: host))
            return Route(target: target, authority: "\(host):\(port)", uri: "\(path)?\(query)")
        case .url(let text):
            guard let url = URLComponents(string: text), url.scheme == "https", let host = url.host, !host.isEmpty else {
                throw WebhookFailure("its url must be an https URL: \"\(text)\"")
            }
            let port = url.port ?? 443
            let path = url.percentEncodedPath.isEmpty ? "/" : url.percentEncodedPath
            let separator = url.percentEncodedQuery.map { "?\($0)&" } ?? "?"
            let target = UpstreamTarget(host: host, port: port, tls: try tls(webhook, name: host))
            return Route(target: target, authority: "\(host):\(port)", uri: path + separator + query)
        }
    }

    private func tls(_ webhook: AdmissionWebhook, name: String) throws(WebhookFailure) -> UpstreamTarget.TLS {
        do {
            let context = try UpstreamTLSContext.make(authority: webhook.authority, verifies: true)
            return UpstreamTarget.TLS(context: context, serverName: name)
        } catch {
            throw WebhookFailure("its caBundle is unusable: \(error)")
        }
    }

    private static func words(_ problem: ServiceAddress.Problem, name: String, port: Int) -> String {
        switch problem {
        case .serviceNotFound: "service \"\(name)\" not found"
        case .portNotFound: "service \"\(name)\" has no port \(port)"
        case .endpointsNotFound, .missingEndpoints: "no endpoints available for service \"\(name)\""
        }
    }
}
