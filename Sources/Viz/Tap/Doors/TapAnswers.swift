// What the HTTPS door answers, decided without a socket: who asks, whether they may, and what they want.

package import Logging
import MeshAPI
import MeshModel
import NIOCore
import SwiftProtobuf


/// A request, read whole.
package struct TapHTTPRequest: Sendable {
    package let method: String
    package let path: String
    package let headers: [(name: String, value: String)]
    /// `nil` when it was longer than is read.
    package let body: [UInt8]?
    /// The client's certificate, verified against the aggregator's authority; `nil` when it showed none.
    package let certificate: [UInt8]?

    package init(
        method: String, path: String, headers: [(name: String, value: String)] = [], body: [UInt8]? = [],
        certificate: [UInt8]? = nil
    ) {
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.certificate = certificate
    }

    func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }
}

/// An answer that is no stream.
package struct TapHTTPResponse: Sendable, Equatable {
    package let status: Int
    package let contentType: String
    package let body: [UInt8]
    /// Value of `linkerd-error`, when the body is a framed error.
    package let errorMarker: String?

    init(status: Int, contentType: String, body: [UInt8], errorMarker: String? = nil) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.errorMarker = errorMarker
    }

    static func json(_ value: JSONValue, status: Int = 200) -> TapHTTPResponse {
        TapHTTPResponse(status: status, contentType: "application/json", body: value.serialized())
    }

    static func error(_ message: String, status: Int) -> TapHTTPResponse {
        json(["error": .string(message)], status: status)
    }

    static func text(_ text: String) -> TapHTTPResponse {
        TapHTTPResponse(status: 200, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }
}

/// What to answer.
package enum HTTPAnswer: Sendable {
    case document(TapHTTPResponse)
    /// Events until the caller leaves; `run` ends when what it is given throws.
    case stream(TapQuestion, run: @Sendable (@escaping TapEngine.Write) async throws -> Void)
}

/// Decides answers.
package struct TapAnswers: Sendable {
    private let engine: TapEngine
    private let logger: Logger
    private let authority: any TapAuthority
    private let trust: @Sendable () -> FrontProxyTrust?
    private let metrics: @Sendable () -> [UInt8]

    /// - Parameter trust: what the API server publishes about its aggregator; `nil` trusts no headers.
    package init(
        engine: TapEngine, authority: any TapAuthority, trust: @escaping @Sendable () -> FrontProxyTrust?,
        metrics: @escaping @Sendable () -> [UInt8], logger: Logger
    ) {
        self.engine = engine
        self.authority = authority
        self.trust = trust
        self.metrics = metrics
        self.logger = logger
    }

    /// Answers one request.
    package func answer(_ request: TapHTTPRequest) async -> HTTPAnswer {
        if request.method == "GET" { return .document(document(request.path)) }
        guard request.method == "POST" else { return .document(.error("method not allowed", status: 405)) }
        guard let access = TapPath.parse(request.path) else {
            return .document(.error("invalid path: \"\(request.path)\"", status: 400))
        }
        do {
            let user = try await user(of: request)
            try await authority.authorize(user, access)
        } catch {
            engine.totals.refused(error.kind)
            return .document(.error(error.message, status: Self.status(error.kind)))
        }
        do {
            let question = try question(request, access)
            return .stream(question) { [engine] write in try await engine.run(question, write: write) }
        } catch {
            engine.totals.refused(error.kind)
            return .document(Self.framed(error))
        }
    }

    private func document(_ path: String) -> TapHTTPResponse {
        switch path {
        case "/healthz", "/healthz/log", "/healthz/ping": .text("ok")
        case "/metrics":
            TapHTTPResponse(
                status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: metrics())
        default: TapDiscovery.document(path).map { .json($0) } ?? .json(TapDiscovery.pathList, status: 404)
        }
    }

    /// A verified client certificate speaks for the aggregator, and only then do its headers count. Anybody else
    /// speaks for themselves with a token.
    private func user(of request: TapHTTPRequest) async throws(TapRefusal) -> TapUser {
        if let certificate = request.certificate, let trust = trust() {
            guard trust.allows(certificateDER: certificate) else {
                throw TapRefusal(
                    .invalidArgument,
                    "no valid CN found. allowed names: \(trust.allowedNames.joined(separator: ", "))")
            }
            guard let user = trust.user(request.headers) else {
                throw TapRefusal(.unauthenticated, "the front proxy named no user")
            }
            return user
        }
        let words = (request.header("authorization") ?? "").split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bearer" else {
            throw TapRefusal(
                .unauthenticated, "neither a front proxy's client certificate nor a bearer token was shown")
        }
        return try await authority.user(bearerToken: words[1].trimmingPrefix(while: { $0 == " " }).description)
    }

    private func question(_ request: TapHTTPRequest, _ access: TapAccessRequest) throws(TapRefusal) -> TapQuestion {
        guard let body = request.body else {
            throw TapRefusal(.invalidArgument, "the request is longer than \(HTTPDoor.bodyBytesMax) bytes")
        }
        let question = try TapQuestion(bytes: body)
        guard TapPath.fits(access, question) else {
            throw TapRefusal(.invalidArgument, "tap request body did not match APIServer URL: \(TapPath.path(question))")
        }
        try engine.check(question)
        return question
    }

    private static func status(_ kind: TapRefusal.Kind) -> Int {
        switch kind {
        case .invalidArgument, .unimplemented: 400
        case .notFound: 404
        case .unauthenticated: 401
        case .forbidden: 403
        case .unavailable: 503
        }
    }

    /// Linkerd's error after authorization.
    private static func framed(_ refusal: TapRefusal) -> TapHTTPResponse {
        let message = Linkerd2_Viz_ApiError.with { $0.error = refusal.message }
        // One text field cannot fail to encode.
        let bytes: [UInt8] = (try? message.serializedBytes()) ?? []
        let marker = refusal.kind == .invalidArgument ? "Bad Request" : "Internal Server Error"
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt32(bytes.count), endianness: .little)
        buffer.writeBytes(bytes)
        return TapHTTPResponse(
            status: 200, contentType: "application/octet-stream", body: Array(buffer.readableBytesView),
            errorMarker: marker)
    }
}

/// Messages behind one another, each after its length.
enum TapFraming {
    static func frames(_ events: [Linkerd2_Tap_TapEvent]) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        for event in events {
            let bytes: [UInt8] = try event.serializedBytes()
            buffer.writeInteger(UInt32(bytes.count), endianness: .little)
            buffer.writeBytes(bytes)
        }
        return buffer
    }
}
