// Typed requests to a Kubernetes API server over one pool of HTTP/1.1 connections. HTTP/1.1 on purpose:
// a cancelled watch closes its connection, and a slow list cannot hold up a watch on a shared one.
// Each watch occupies a connection, so the pool's limit for one host is raised well above its default.

internal import AsyncHTTPClient
public import Logging
internal import MeshModel
internal import NIOCore
internal import NIOFoundationCompat
internal import NIOHTTP1
internal import NIOSSL
internal import Synchronization

/// How the body of a patch is to be understood.
public enum PatchType: String, Sendable {
    case merge = "application/merge-patch+json"
    case strategicMerge = "application/strategic-merge-patch+json"
    case json = "application/json-patch+json"
}

/// A client of one API server. Call `shutdown()` when done with it.
public final class KubernetesClient: Sendable {
    /// Connections to the API server at most; further requests wait for one to become free.
    public static let connectionsMax = 256
    /// An answer longer than this fails with `TooLarge`.
    public static let responseBytesMax = 256 << 20
    /// Objects asked for in one page of a list.
    public static let listPageObjectsMax = 500
    /// How long a request other than a watch may take as a whole.
    public static let requestTimeout: Duration = .seconds(30)
    /// How long a connection may take to establish.
    static let connectTimeout: TimeAmount = .seconds(5)
    /// Tokens from a file are read again at this age; the kubelet renews them well before they expire.
    static let tokenAgeMax: Duration = .seconds(60)

    public let config: KubernetesConfig
    let logger: Logger
    let http: HTTPClient
    private let baseURL: String
    private let token = Mutex(CachedToken())
    private let isShutDown = Mutex(false)

    private struct CachedToken {
        var text: String?
        var readAt: ContinuousClock.Instant?
    }

    /// Creates a client; nothing is connected yet.
    ///
    /// - Throws: `KubernetesConfigError` when certificates, keys or the server's URL are unusable.
    public init(config: KubernetesConfig, logger: Logger) throws {
        self.config = config
        self.logger = logger
        let target = try ServerTarget(config: config)
        baseURL = target.baseURL
        var settings = HTTPClient.Configuration()
        settings.httpVersion = .http1Only
        settings.redirectConfiguration = .disallow
        settings.timeout = .init(connect: Self.connectTimeout)
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Self.connectionsMax
        settings.connectionPool.idleTimeout = .seconds(30)
        // A refused connection is reported at once.
        settings.connectionPool.retryConnectionEstablishment = false
        settings.dnsOverride = target.dnsOverride
        settings.tlsConfiguration = try Self.tls(config)
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    deinit {
        // Forgotten shutdowns (a command that ends with an error) must not trip the pool's own check.
        if !isShutDown.withLock({ $0 }) { _ = http.shutdown() }
    }

    /// Closes every connection; running requests and watches fail.
    public func shutdown() async {
        let isFirst = isShutDown.withLock { done in
            defer { done = true }
            return !done
        }
        guard isFirst else { return }
        do { try await http.shutdown() } catch {
            logger.debug("API client did not close cleanly", metadata: ["error": "\(error)"])
        }
    }

    private static func tls(_ config: KubernetesConfig) throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        func bad(_ what: String) -> KubernetesConfigError {
            KubernetesConfigError(kind: .invalidFile, message: "the \(what) is not valid PEM")
        }
        if let pem = config.caPEM {
            guard let roots = try? NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)), !roots.isEmpty else {
                throw bad("certificate authority")  // The library's own error does not say which file.
            }
            tls.trustRoots = .certificates(roots)
        }
        if let certificate = config.clientCertificatePEM, let key = config.clientKeyPEM {
            guard let chain = try? NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)) else {
                throw bad("client certificate")  // As above.
            }
            guard let privateKey = try? NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem) else {
                throw bad("client key")  // As above.
            }
            tls.certificateChain = chain.map { .certificate($0) }
            tls.privateKey = .privateKey(privateKey)
        }
        if config.insecureSkipTLSVerify { tls.certificateVerification = .none }
        return tls
    }

    /// The bearer token to send now, or `nil` without one.
    private func bearerToken(refresh: Bool) -> String? {
        guard let path = config.bearerTokenPath else { return config.bearerToken }
        return token.withLock { cached in
            let now = ContinuousClock.now
            if !refresh, let text = cached.text, let readAt = cached.readAt, now - readAt < Self.tokenAgeMax {
                return text
            }
            if let text = TokenFile.read(path) {
                cached = CachedToken(text: text, readAt: now)
            } else {
                logger.warning("Service-account token unreadable", metadata: ["path": "\(path)"])
            }
            return cached.text ?? config.bearerToken
        }
    }

    /// A request with credentials.
    func makeRequest(
        _ method: String, path: String, body: [UInt8]?, contentType: String?, refreshToken: Bool = false
    ) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: baseURL + path)
        request.method = HTTPMethod(rawValue: method)
        request.headers.add(name: "accept", value: "application/json")
        request.headers.add(name: "user-agent", value: "linkerd/\(BuildVersion.current)")
        if let token = bearerToken(refresh: refreshToken) {
            request.headers.add(name: "authorization", value: "Bearer \(token)")
        }
        if let body {
            request.headers.add(name: "content-type", value: contentType ?? "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        return request
    }

    /// Sends a request and reads the whole answer.
    ///
    /// A read that fails without an answer is tried once more, since an idle connection may just have been
    /// closed; so is any request that a renewed token may let pass.
    func send(
        _ method: String, path: String, body: [UInt8]? = nil, contentType: String? = nil
    ) async throws(KubernetesError) -> ByteBuffer {
        do {
            return try await attempt(makeRequest(method, path: path, body: body, contentType: contentType))
        } catch  where error.code == 401 && config.bearerTokenPath != nil {
            let request = makeRequest(
                method, path: path, body: body, contentType: contentType, refreshToken: true)
            return try await attempt(request)
        } catch  where error.reason == "Transport" && method == "GET" && !Task.isCancelled {
            return try await attempt(makeRequest(method, path: path, body: body, contentType: contentType))
        }
    }

    private func attempt(_ request: HTTPClientRequest) async throws(KubernetesError) -> ByteBuffer {
        let http = http
        do {
            return try await Deadline.run(within: Self.requestTimeout) {
                let response = try await http.execute(request, deadline: .distantFuture)
                let body = try await response.body.collect(upTo: Self.responseBytesMax)
                guard (200..<300).contains(Int(response.status.code)) else {
                    throw Self.failure(status: Int(response.status.code), body: body)
                }
                return body
            }
        } catch {
            throw Self.transportError(error)
        }
    }

    /// The error that an answer outside 200…299 stands for.
    static func failure(status: Int, body: ByteBuffer) -> KubernetesError {
        // Proxies in between answer with text or HTML instead of a Status.
        if let status = try? ObjectCoding.decode(StatusBody.self, from: body.readableBytesView),
            status.code != nil
        {
            return status.error(httpStatus: status.code ?? 0)
        }
        let text = String(decoding: body.readableBytesView.prefix(200), as: UTF8.self)
        return KubernetesError(code: status, reason: status == 410 ? "Expired" : "Unknown", message: text)
    }

    static func transportError(_ error: any Error) -> KubernetesError {
        switch error {
        case let error as KubernetesError: error
        case is Deadline.Exceeded: KubernetesError(code: 0, reason: "TimedOut", message: "no answer in time")
        case is CancellationError:
            KubernetesError(code: 0, reason: "Cancelled", message: "the request was cancelled")
        case is NIOTooManyBytesError:
            KubernetesError(
                code: 0, reason: "TooLarge", message: "the answer exceeds \(responseBytesMax) bytes")
        default: KubernetesError(code: 0, reason: "Transport", message: "\(error)")
        }
    }
}
