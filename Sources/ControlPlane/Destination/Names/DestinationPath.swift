// What a proxy may ask about, and how its text is read:
//
//   name.namespace.svc.<cluster domain>[:port]            a service
//   host.name.namespace.svc.<cluster domain>[:port]       one pod of a service, by its host name
//   1.2.3.4[:port]  or  [::1]:port                        an address (profiles only)
//
// The port defaults to 80. Anything else, such as short names, a trailing dot or another domain, is
// refused for good: the proxy must not ask again.

package import MeshKubernetes

/// Why a request cannot be answered.
package struct DestinationError: Error, Equatable, Sendable {
    /// What the caller should make of it.
    package enum Kind: String, Sendable, CaseIterable {
        /// The question makes no sense; asking again will not help.
        case invalidArgument = "invalid_argument"
        /// Nothing by that name now.
        case notFound = "not_found"
        /// The cluster's own state is contradictory.
        case failedPrecondition = "failed_precondition"
    }

    package let kind: Kind
    /// Text for people; names what was asked for.
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

/// A parsed request path.
package enum DestinationPath: Equatable, Sendable {
    case service(ServiceAuthority)
    case address(SocketAddress)

    /// - Throws: `invalidArgument` for everything that is not listed above.
    package init(parsing path: String, clusterDomain: String) throws(DestinationError) {
        let (host, port) = try Self.splitPort(path)
        if let ip = IPAddress(host) {
            self = .address(SocketAddress(ip: ip, port: port))
        } else {
            self = .service(try ServiceAuthority(host: host, port: port, clusterDomain: clusterDomain))
        }
    }

    /// A port of 0 or above 65535, and text that is no number, are refused.
    private static func splitPort(_ path: String) throws(DestinationError) -> (host: Substring, port: Int) {
        func invalid() -> DestinationError {
            DestinationError(.invalidArgument, "invalid authority: \(path)")
        }
        var host = Substring(path)
        var portText: Substring?
        if path.hasPrefix("[") {
            guard let close = path.firstIndex(of: "]") else { throw invalid() }
            host = path[path.index(after: path.startIndex)..<close]
            let rest = path[path.index(after: close)...]
            guard rest.isEmpty || rest.hasPrefix(":"), IPAddress(host)?.isV6 == true else { throw invalid() }
            portText = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = path.lastIndex(of: ":"), path.firstIndex(of: ":") == colon {
            host = path[..<colon]
            portText = path[path.index(after: colon)...]
        }
        guard !host.isEmpty else { throw invalid() }
        guard let portText else { return (host, 80) }
        guard !portText.isEmpty, portText.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = Int(portText),
            (1...65_535).contains(port)
        else { throw invalid() }
        return (host, port)
    }
}

/// A port of a service, or of one of its pods.
package struct ServiceAuthority: Hashable, Sendable {
    package let service: ObjectKey
    /// The pod's host name, for the names that stateful sets give their pods.
    package let hostname: String?
    package let port: Int

    package init(service: ObjectKey, hostname: String? = nil, port: Int) {
        self.service = service
        self.hostname = hostname
        self.port = port
    }

    init(host: Substring, port: Int, clusterDomain: String) throws(DestinationError) {
        let suffix = ".svc." + clusterDomain
        let name = host.lowercased()
        guard name.hasSuffix(suffix) else {
            throw DestinationError(.invalidArgument, "not a service of \(clusterDomain): \(host)")
        }
        let labels = name.dropLast(suffix.count).split(separator: ".", omittingEmptySubsequences: false)
        guard (2...3).contains(labels.count), labels.allSatisfy({ !$0.isEmpty }) else {
            throw DestinationError(.invalidArgument, "not a service name: \(host)")
        }
        let namespace = String(labels[labels.count - 1])
        let service = String(labels[labels.count - 2])
        self.init(
            service: ObjectKey(namespace: namespace, name: service),
            hostname: labels.count == 3 ? String(labels[0]) : nil, port: port)
    }
}
