// The two kinds of stream, each as a value that is asked to catch up with the present state.

internal import GRPCCore
internal import MeshAPI

/// What one open call has sent, and how it catches up.
protocol DestinationStream: Sendable {
    static var call: DestinationMetrics.Call { get }
    /// The topic whose changes concern this stream.
    var topic: Topic { get }
    /// Sends whatever is new and returns the number of messages.
    mutating func catchUp(with index: ClusterIndex) async throws -> Int
}

/// Deltas of an endpoint set.
struct EndpointStream: DestinationStream {
    static let call = DestinationMetrics.Call.endpoints

    let authority: ServiceAuthority
    let token: ContextToken
    let translator: EndpointTranslator
    let writer: RPCWriter<Io_Linkerd_Proxy_Destination_Update>
    private var diff = EndpointDiff()
    private var isFirst = true

    init(
        authority: ServiceAuthority, token: ContextToken, translator: EndpointTranslator,
        writer: RPCWriter<Io_Linkerd_Proxy_Destination_Update>
    ) {
        self.authority = authority
        self.token = token
        self.translator = translator
        self.writer = writer
    }

    var topic: Topic { .service(authority.service) }

    /// A service that never existed ends the stream; one that goes away later leaves an empty set, and the
    /// stream waits for it to come back.
    mutating func catchUp(with index: ClusterIndex) async throws -> Int {
        let view = index.read { $0.view(of: authority.service) }
        if isFirst, view.service == nil {
            throw DestinationError(.notFound, "no service \(authority.service)")
        }
        isFirst = false
        let updates = diff.updates(to: try translator.endpoints(of: authority, in: view, for: token))
        for update in updates { try await writer.write(update) }
        return updates.count
    }
}

/// Whole profiles, sent when they differ from the one before.
struct ProfileStream: DestinationStream {
    static let call = DestinationMetrics.Call.profile

    let path: DestinationPath
    let token: ContextToken
    let translator: ProfileTranslator
    let writer: RPCWriter<Io_Linkerd_Proxy_Destination_DestinationProfile>
    private var sent: Io_Linkerd_Proxy_Destination_DestinationProfile?

    init(
        path: DestinationPath, token: ContextToken, translator: ProfileTranslator,
        writer: RPCWriter<Io_Linkerd_Proxy_Destination_DestinationProfile>
    ) {
        self.path = path
        self.token = token
        self.translator = translator
        self.writer = writer
    }

    var topic: Topic {
        switch path {
        case .service(let authority): .service(authority.service)
        case .address(let address): .address(address.ip)
        }
    }

    mutating func catchUp(with index: ClusterIndex) async throws -> Int {
        let profile = try translate(index)
        guard profile != sent else { return 0 }
        sent = profile
        try await writer.write(profile)
        return 1
    }

    private func translate(
        _ index: ClusterIndex
    ) throws(DestinationError) -> Io_Linkerd_Proxy_Destination_DestinationProfile {
        switch path {
        case .service(let authority):
            let view = index.read { $0.view(of: authority.service) }
            return try translator.profile(of: authority, in: view, for: token)
        case .address(let address):
            let view = try index.read { (state) throws(DestinationError) in try state.view(of: address) }
            return try translator.profile(of: address, in: view, for: token)
        }
    }
}
