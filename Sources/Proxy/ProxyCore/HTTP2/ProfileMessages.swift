import MeshAPI
import MeshRoutes
import SwiftProtobuf

// Routes from the wire's messages to the proxy's own words. What makes no sense is left out: a route without a
// condition, a status outside 100 to 999, a budget out of range. Source: `spec/proxy.md` 3.3, 3.11.

extension DestinationProfile {
    /// Takes routes, budget and legs from a message.
    mutating func takeRoutes(_ message: Io_Linkerd_Proxy_Destination_DestinationProfile) {
        routes = message.routes.compactMap(ProfileRoute.init(_:))
        if message.hasRetryBudget { retryBudget = RetryBudget.Settings(message.retryBudget) }
        overrides = message.dstOverrides.map { WeightedAuthority(authority: $0.authority, weight: $0.weight) }
    }
}

extension ProfileRoute {
    init?(_ message: Io_Linkerd_Proxy_Destination_Route) {
        guard message.hasCondition, let condition = RequestCondition(message.condition) else { return nil }
        self.init(
            condition: condition, classes: message.responseClasses.compactMap(ResponseClass.init(_:)),
            labels: message.metricsLabels, isRetryable: message.isRetryable,
            timeoutNanoseconds: message.hasTimeout ? message.timeout.nanosecondsAboveZero.map { Int64($0) } : nil)
    }
}

extension RequestCondition {
    init?(_ message: Io_Linkerd_Proxy_Destination_RequestMatch) {
        switch message.match {
        case .all(let sequence): self = .all(sequence.matches.compactMap(RequestCondition.init(_:)))
        case .any(let sequence): self = .any(sequence.matches.compactMap(RequestCondition.init(_:)))
        case .not(let match):
            guard let condition = RequestCondition(match) else { return nil }
            self = .not(condition)
        case .path(let path): self = .path(path.regex)
        case .method(let method):
            guard let name = method.name else { return nil }
            self = .method(name)
        case nil: return nil
        }
    }
}

extension Io_Linkerd_Proxy_HttpTypes_HttpMethod {
    fileprivate var name: String? {
        switch type {
        case .registered(let known):
            switch known {
            case .get: "GET"
            case .post: "POST"
            case .put: "PUT"
            case .delete: "DELETE"
            case .patch: "PATCH"
            case .options: "OPTIONS"
            case .connect: "CONNECT"
            case .head: "HEAD"
            case .trace: "TRACE"
            case .UNRECOGNIZED: nil
            }
        case .unregistered(let name): name.isEmpty ? nil : name
        case nil: nil
        }
    }
}

extension ResponseClass {
    init?(_ message: Io_Linkerd_Proxy_Destination_ResponseClass) {
        guard message.hasCondition, let condition = ResponseCondition(message.condition) else { return nil }
        self.init(condition: condition, isFailure: message.isFailure)
    }
}

extension ResponseCondition {
    init?(_ message: Io_Linkerd_Proxy_Destination_ResponseMatch) {
        switch message.match {
        case .all(let sequence):
            let conditions = sequence.matches.compactMap(ResponseCondition.init(_:))
            guard !conditions.isEmpty else { return nil }
            self = .all(conditions)
        case .any(let sequence):
            let conditions = sequence.matches.compactMap(ResponseCondition.init(_:))
            guard !conditions.isEmpty else { return nil }
            self = .any(conditions)
        case .not(let match):
            guard let condition = ResponseCondition(match) else { return nil }
            self = .not(condition)
        case .status(let range):
            guard range.min >= 100, range.max <= 999, range.min <= range.max else { return nil }
            self = .status(Int(range.min)...Int(range.max))
        case nil: return nil
        }
    }
}

extension RetryBudget.Settings {
    init?(_ message: Io_Linkerd_Proxy_Destination_RetryBudget) {
        guard message.hasTtl, let window = message.ttl.nanosecondsAboveZero else { return nil }
        self.init(
            windowNanoseconds: window, ratio: Double(message.retryRatio), minPerSecond: message.minRetriesPerSecond)
    }
}

extension Google_Protobuf_Duration {
    /// `nil` for zero, less, or more than 292 years.
    fileprivate var nanosecondsAboveZero: UInt64? {
        guard seconds >= 0, nanos >= 0 else { return nil }
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflows) = product.addingReportingOverflow(Int64(nanos))
        return overflow || overflows || sum <= 0 ? nil : UInt64(sum)
    }
}
