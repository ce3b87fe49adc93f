/// One request that was sampled, kept so that a spike leads to requests.
public struct RequestExemplar: Sendable, Hashable {
    /// When it ended.
    public var at: UnixTime
    /// `unknown` for clients that are no pods.
    public var src: WorkloadKey
    /// Empty when not known.
    public var srcPod: String
    public var dst: WorkloadKey
    public var dstPod: String
    public var method: String
    /// As `PathTemplate.kept` leaves it.
    public var path: String
    public var httpStatus: UInt32
    /// `nil` without gRPC.
    public var grpcStatus: UInt32?
    /// Whether the stream was reset.
    public var isReset: Bool
    /// From the request's head to the response's end.
    public var latencyMicroseconds: UInt64
    /// By the rule of `stat`.
    public var isFailure: Bool
    /// Hexadecimal digits; empty when the request carried none.
    public var traceID: String

    /// A request between two workloads; the rest is set by its name.
    public init(at: UnixTime, src: WorkloadKey, dst: WorkloadKey, method: String, path: String) {
        self.at = at
        self.src = src
        srcPod = ""
        self.dst = dst
        dstPod = ""
        self.method = method
        self.path = path
        httpStatus = 0
        grpcStatus = nil
        isReset = false
        latencyMicroseconds = 0
        isFailure = false
        traceID = ""
    }
}

/// Which exemplars are asked for; an empty text takes all.
public struct ExemplarFilter: Sendable, Equatable {
    /// One end of a request.
    public struct End: Sendable, Equatable {
        public var namespace: String
        public var kind: String
        public var name: String

        /// Any end; see the fields.
        public init(namespace: String = "", kind: String = "", name: String = "") {
            self.namespace = namespace
            self.kind = kind
            self.name = name
        }

        /// Whether a workload is such an end.
        public func matches(_ workload: WorkloadKey) -> Bool {
            (namespace.isEmpty || namespace == workload.namespace) && (kind.isEmpty || kind == workload.kind)
                && (name.isEmpty || name == workload.name)
        }
    }

    public var src: End
    public var dst: End
    /// Requests of each list.
    public var limit: Int

    /// A filter.
    public init(src: End = End(), dst: End = End(), limit: Int) {
        self.src = src
        self.dst = dst
        self.limit = limit
    }
}

/// What was found: the slowest and the failed.
public struct ExemplarLists: Sendable, Equatable {
    /// The slowest first.
    public var slowest: [RequestExemplar]
    /// The newest first.
    public var failed: [RequestExemplar]

    /// The best of `exemplars` for each list.
    public init(choosing exemplars: [RequestExemplar], limit: Int) {
        slowest = Array(exemplars.sorted { $0.latencyMicroseconds > $1.latencyMicroseconds }.prefix(limit))
        failed = Array(exemplars.filter(\.isFailure).sorted { $0.at > $1.at }.prefix(limit))
    }
}
